"""The sub-commands of `rules`: their arguments, and which module does each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.rulefiles import load_rules, shipped_folder, split_scenarios
from agent.workbench.faults import FORMATS, as_text, sources
from agent.workbench.inputs import InputError, read_log, read_log_or_line

if TYPE_CHECKING:
    import argparse

EXIT_CODES = """\
exit codes:
  0    nothing is wrong
  1    something is wrong with what was looked at
  2    the command is wrong, or what it needs cannot be read
"""
PATHS = "rule files or folders, added to the shipped rules unless they declare `platforms`"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done with rule files."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_check(commands)
    _add_test(commands)
    _add_explain(commands)
    _add_coverage(commands)
    _add_schema(commands)
    _add_docs(commands)
    _add_fmt(commands)


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 has no public name


def _add_check(commands: _Commands) -> None:
    parser = commands.add_parser(
        "check",
        help="find every fault of rule files, and run their examples",
        description="Compile rule files and run their examples; show every fault with its place.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"{PATHS}; none: the shipped ones")
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", dest="style")
    parser.set_defaults(command=_check)


def _add_test(commands: _Commands) -> None:
    parser = commands.add_parser(
        "test",
        help="run the examples and scenario files of rules",
        description="Run the examples of all rules and the *.scenario.yaml files beside them: a "
        "log in (`log:` or `file:`), and what it counts out (`expect:`).",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"scenario files; {PATHS}")
    parser.set_defaults(command=_test)


def _add_explain(commands: _Commands) -> None:
    parser = commands.add_parser(
        "explain",
        help="show why each line of a log counts as what it does",
        description="Show of each entry how it was read, which rule took it, what it counts, and "
        "of each rule that came near the first condition that failed. Shows your log's text.",
    )
    parser.add_argument("log", metavar="LINE|FILE|-", help="a log line, a file, or - for stdin")
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: an object for each line with line, rule, event, properties",
    )
    _add_rules(parser)
    parser.set_defaults(command=_explain)


def _add_coverage(commands: _Commands) -> None:
    parser = commands.add_parser(
        "coverage",
        help="show what no example and no given log reaches",
        description="Show the rules, closers, branches of patterns and words of vocabularies that "
        "no example reaches, nor a given log; of given logs also the messages of level error or "
        "worse that no rule takes, grouped into templates.",
    )
    parser.add_argument("logs", nargs="*", metavar="FILE", help="logs, stamped or plain; -: stdin")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--strict", action="store_true", help="exit 1 if anything is not reached")
    _add_rules(parser)
    parser.set_defaults(command=_coverage)


def _add_schema(commands: _Commands) -> None:
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of rule files",
        description="Print the JSON Schema (draft 2020-12) by which editors complete rule files.",
    )
    parser.set_defaults(command=lambda _: _print_schema())


def _add_docs(commands: _Commands) -> None:
    parser = commands.add_parser(
        "docs",
        help="print the reference of the rule language and what covers what",
        description="Print the reference of the rule language, and for each category, BotKube "
        "version and wire format the rules that cover it, as Markdown.",
    )
    _add_rules(parser)
    parser.set_defaults(command=lambda given: _print_docs(given.rules))


def _add_fmt(commands: _Commands) -> None:
    parser = commands.add_parser(
        "fmt",
        help="bring rule files into one layout",
        description="Order the keys of rule files and clean their whitespace. Comments stay with "
        "their keys, and no meaning changes.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="none: the shipped rules")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if one would")
    parser.set_defaults(command=_fmt)


def _check(given: argparse.Namespace) -> int:
    from agent.workbench.check import check

    return check(given.paths, style=given.style)


def _test(given: argparse.Namespace) -> int:
    from agent.workbench.test import test

    return test(given.paths)


def _fmt(given: argparse.Namespace) -> int:
    from agent.workbench.fmt import fmt

    return fmt(given.paths, is_check=given.check)


def _print_schema() -> int:
    from agent.workbench.docs import schema_text

    print(schema_text(), end="")
    return 0


def _print_docs(paths: list[str]) -> int:
    from agent.workbench.docs import make_page

    print(make_page(load_rules(paths)), end="")
    return 0


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", action="append", default=[], metavar="PATH", help=PATHS)


def _explain(given: argparse.Namespace) -> int:
    from agent.workbench.check import load_sound
    from agent.workbench.explain import explain

    try:
        text = read_log_or_line(given.log)
    except InputError as error:
        return _refuse(error)
    ruleset, lost = load_sound(given.rules)
    explain(ruleset, text, as_json=given.format == "json")
    return 1 if lost else 0


def _coverage(given: argparse.Namespace) -> int:
    from agent.workbench.check import load_sound
    from agent.workbench.coverage import measure
    from agent.workbench.scenarios import read_scenarios
    from agent.workbench.unreached import show

    try:
        logs = {name: read_log(name) for name in given.logs}
    except InputError as error:
        return _refuse(error)
    ruleset, lost = load_sound(given.rules)
    _, paths = split_scenarios([str(shipped_folder()), *given.rules])
    scenarios, faults = read_scenarios(paths, ruleset, lost)
    found = measure(ruleset, logs, [text for _, text in scenarios])
    show(found, as_json=given.format == "json", has_logs=bool(logs))
    for line in as_text(faults, sources(one.place.path for one in faults)):
        print(line, file=sys.stderr)
    return 1 if lost or faults or (given.strict and not found.is_full) else 0


def _refuse(error: InputError) -> int:
    print(f"botkube-analytics: {error}", file=sys.stderr)
    return 2
