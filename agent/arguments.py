"""What can be written on the command line: commands, their arguments, and the words of `--help`.

Must not know what a command does, nor the settings, whose flags it is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from agent import __version__
from agent.workbench import command_line as workbench

Command: TypeAlias = Callable[[argparse.Namespace], int]

MAX_INSTALLATIONS = 1000
"""Below which a report can withhold numbers."""

EXIT_CODES = """\
exit codes:
  0    done, and nothing is wrong
  1    done, and something is wrong with what was looked at (rules, events, State, a proof)
  2    the command, its input, a setting, a rule file or a port is wrong; nothing was done
  3    the cluster, State or the ledger cannot be used; plan: something new is disclosed; prove:
       no line belongs to a rule
  130  interrupted
"""


def make_parser(
    commands: Mapping[str, Command], add_flags: Callable[[argparse.ArgumentParser], None]
) -> argparse.ArgumentParser:
    """Return the parser; the arguments' `command` is the one of `commands` that was called.

    `add_flags` declares the flag of each setting.
    """
    parser = argparse.ArgumentParser(
        prog="botkube-analytics",
        description="Count what BotKube's logs tell, anonymously, and report it.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = subparsers.add_parser("run", help="follow the cluster and report until stopped")
    add_flags(run)
    run.set_defaults(command=commands["run"])

    preview = subparsers.add_parser(
        "preview",
        help="show what would be sent for saved logs; sends nothing",
        description="Apply the rules to saved logs and show the batch that would be sent. "
        "Try: kubectl logs deploy/botkube | botkube-analytics preview -",
    )
    preview.add_argument("files", nargs="*", metavar="FILE", help="log files; - or none: stdin")
    preview.add_argument(
        "--format", choices=("table", "json"), default="table", help="json: the batch itself"
    )
    add_flags(preview)
    preview.set_defaults(command=commands["preview"])

    prove = subparsers.add_parser(
        "prove",
        help="show on your own logs that nothing sent depends on their text",
        description="Put other text into saved logs wherever no decision of the rules rests on "
        "it, in several ways, and compare what would be sent byte by byte. Prints counts, line "
        "numbers and rule ids, and no text of the logs.",
        epilog="exit codes:\n  0  proved\n  1  not proved\n  2  unusable input\n"
        "  3  nothing to prove: no entry belongs to a rule\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prove.add_argument("files", nargs="*", metavar="FILE", help="log files; - or none: stdin")
    prove.add_argument("--format", choices=("text", "json"), default="text")
    add_flags(prove)
    prove.set_defaults(command=commands["prove"])

    plan = subparsers.add_parser(
        "plan",
        help="show everything that could ever be sent, or what is new in it",
        description="Print every series that could ever exist, with all its values, the worst case "
        "of a window, and the settings on which it depends how much that tells, and whom; or what "
        "could be sent now and could not before. Newly disclosed are also: another cluster id "
        "(none, uuid5, raw, in this order), a shorter window, a smaller minimum, a shorter quiet "
        "period, another server, and the mode (off, local, on) as the agent's own switches and the "
        "write key say it here; what stands in a cluster no plan knows.",
        epilog="exit codes:\n  0  printed\n  2  a setting, a rule or the older plan is wrong\n"
        "  3  something is newly disclosed, and not acknowledged\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument(
        "--against",
        metavar="OLD",
        help="an older plan (--format json), or a folder of rules, which tells no settings",
    )
    plan.add_argument("--acknowledge", action="store_true", help="what is new is known: exit 0")
    plan.add_argument("--format", choices=("text", "json"), default="text")
    add_flags(plan)
    plan.set_defaults(command=commands["plan"])

    audit = subparsers.add_parser(
        "audit",
        help="check an export of received events for losses and doubles",
        description="Check events as they arrived, one a line: Segment track calls, arrays or "
        "requests of them, or rows of a warehouse as JSON. Ends with 0 if nothing was lost or "
        "doubled, 1 if something was, 2 if a line cannot be used. What would come after the newest "
        "window of a stream cannot be missed.",
    )
    audit.add_argument("files", nargs="+", metavar="FILE", help="exports; -: stdin")
    audit.add_argument(
        "--part", action="store_true", help="the export may begin later than its streams do"
    )
    audit.add_argument("--format", choices=("table", "json"), default="table")
    audit.set_defaults(command=commands["audit"])

    report = subparsers.add_parser(
        "report",
        help="answer from exported events what is used where, as one HTML page",
        description="Read received events and write one HTML page, with its tables as CSV in a "
        "folder beside it. A source is a file of JSON lines (Segment calls, arrays or requests of "
        "them, rows of a warehouse; gzip, too), a folder of such files, a ledger's folder, "
        "Parquet, a DuckDB file, or postgresql://... Needs pip install "
        "'botkube-analytics[report]'.",
        epilog="exit codes:\n  0  written; lines that could not be used are named\n"
        "  2  nothing could be read, DuckDB is missing, or a source would be replaced;\n"
        "     nothing was written\n"
        "  130, 143, 129  interrupted, stopped or hung up; nothing was written\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument("sources", nargs="+", metavar="SOURCE", help="exports; -: stdin")
    report.add_argument("-o", "--output", required=True, metavar="FILE", help="report.html")
    report.add_argument(
        "--suppress-below",
        type=_installations,
        default=5,
        metavar="N",
        help="withhold numbers of fewer installations, and what they follow from (5)",
    )
    report.set_defaults(command=commands["report"])

    workbench.add_commands(
        subparsers.add_parser(
            "rules",
            help="work with rule files",
            epilog=workbench.EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )

    status = subparsers.add_parser(
        "status", help="show the mode, every switch, and what State holds"
    )
    add_flags(status)
    status.set_defaults(command=commands["status"])

    doctor = subparsers.add_parser(
        "doctor",
        help="check rights, reachability, clock and what is kept, with the fix of each fault",
        description="Ask the cluster and the destination what the agent needs of them, and judge "
        "it: ok, warn or fail, and the fix. Changes nothing and sends no event: the destination, "
        "in mode on alone, is asked for GET / without key or id. While a local switch says off, "
        "nothing is contacted; while one in the cluster does, no log is read.",
        epilog="exit codes:\n  0  nothing fails\n  1  something fails\n"
        "  2  the command or a setting is wrong; nothing was looked at\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.add_argument("--format", choices=("text", "json"), default="text")
    doctor.add_argument(
        "--deployed",
        action="store_true",
        help="look at what an agent in the cluster keeps, in place of this machine's state file",
    )
    add_flags(doctor)
    doctor.set_defaults(command=commands["doctor"])

    ledger = subparsers.add_parser(
        "ledger",
        help="list the reports that were sent, and those that were not",
        description="List the reports that the running agent, else the directory of ledger.path, "
        "has kept, with destination, answer and digest.",
    )
    ledger.add_argument("--format", choices=("table", "json"), default="table")
    add_flags(ledger)
    ledger.set_defaults(command=commands["ledger"])
    show = ledger.add_subparsers(title="commands", metavar="COMMAND").add_parser(
        "show",
        help="print one report byte for byte",
        description="Print the batch array of one report exactly as it was sent.",
        # What was given before the word stands.
        argument_default=argparse.SUPPRESS,
    )
    show.add_argument("report", metavar="NUMBER|DIGEST", help="from the list")
    add_flags(show)
    return parser


def _installations(text: str) -> int:
    with suppress(ValueError):
        if 0 <= (number := int(text)) <= MAX_INSTALLATIONS:
            return number
    raise argparse.ArgumentTypeError(
        f"not a number of installations up to {MAX_INSTALLATIONS}: {text!r}"
    )
