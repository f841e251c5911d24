from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agent import logs
from agent.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "kubectl get secrets -n payroll"


@pytest.fixture
def stream() -> Iterator[StringIO]:
    """Configure logging onto a stream and put everything back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("agent")
    before = root.handlers[:], root.level, ours.level, sys.excepthook, sys.unraisablehook
    stream = StringIO()
    logs.configure("info", stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:], level, our_level, sys.excepthook, sys.unraisablehook = before
    root.setLevel(level)
    ours.setLevel(our_level)


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_logger_message_and_fields(stream: StringIO) -> None:
    logging.getLogger("agent.pipeline").warning("pods cannot be listed", extra={"status": 403})

    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "agent.pipeline",
        "message": "pods cannot be listed",
        "status": 403,
    }


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param({"status": 1.5, "mode": "on"}, {"status": 1.5, "mode": "on"}, id="plain"),
        pytest.param({"status": True}, {"status": True}, id="boolean"),
        pytest.param({"mode": "x" * 500}, {"mode": "x" * 200}, id="cut"),
        pytest.param({"text": SECRET, "line": SECRET}, {}, id="unknown names"),
        pytest.param({"why": ValueError(SECRET)}, {}, id="exception"),
        pytest.param({"mode": [SECRET], "status": {"a": SECRET}}, {}, id="containers"),
        pytest.param({"mode": SECRET.encode()}, {}, id="bytes"),
        pytest.param({"seconds": float("nan")}, {}, id="not a number"),
        pytest.param({"mode": None}, {}, id="nothing"),
        pytest.param({"mode": "a\nb\u2028\ud800"}, {"mode": "a\nb\u2028\ud800"}, id="line breaks"),
    ],
)
def test_fields(stream: StringIO, extra: dict[str, object], expected: dict[str, object]) -> None:
    logging.getLogger("agent").info("state changed", extra=extra)

    (line,) = lines(stream)
    constant = {"time", "level", "logger", "message"}
    assert expected == {name: value for name, value in line.items() if name not in constant}


def leak_by_argument(log: logging.Logger) -> None:
    log.error("got %s", SECRET)


def leak_by_message_object(log: logging.Logger) -> None:
    log.error(ValueError(SECRET))


def leak_by_wrong_arguments(log: logging.Logger) -> None:
    log.error("got %d", SECRET)


def leak_by_traceback(log: logging.Logger) -> None:
    try:
        int(SECRET)
    except ValueError:
        log.exception("unexpected error")


def leak_by_group(log: logging.Logger) -> None:
    group = ExceptionGroup(SECRET, [ValueError(SECRET), TypeError(SECRET)])
    group.add_note(SECRET)
    log.error("unexpected error", exc_info=group)


def leak_by_stack(log: logging.Logger) -> None:
    payroll = SECRET
    log.error("unexpected error", stack_info=bool(payroll))


LEAKS = (
    leak_by_argument,
    leak_by_message_object,
    leak_by_wrong_arguments,
    leak_by_traceback,
    leak_by_group,
    leak_by_stack,
)


@pytest.mark.parametrize("logger", ["agent.reader", "asyncio", "agentx"])
@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_nothing_else_leaks(
    stream: StringIO,
    capfd: pytest.CaptureFixture[str],
    leak: Callable[[logging.Logger], None],
    logger: str,
) -> None:
    # Again, because pytest has put handlers of its own beside it since.
    logs.configure("info", stream)
    leak(logging.getLogger(logger))

    assert len(lines(stream)) == 1
    assert "payroll" not in stream.getvalue()
    assert capfd.readouterr() == ("", "")


def test_what_a_library_says_is_where_it_said_it(stream: StringIO) -> None:
    logging.getLogger("asyncio").error(f"future: {SECRET}", extra={"mode": SECRET})  # noqa: G004

    (line,) = lines(stream)
    assert line["message"] == logs.LIBRARY_MESSAGE
    assert line["where"].startswith("test_logs:")
    assert "mode" not in line


def test_libraries_are_heard_from_warning_on(stream: StringIO) -> None:
    library = logging.getLogger("kubernetes_asyncio.client")
    library.setLevel(logging.DEBUG)
    library.info("connected")
    library.warning("broken")
    library.setLevel(logging.NOTSET)

    assert [line["level"] for line in lines(stream)] == ["warning"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_level(stream: StringIO, level: str, expected: list[str]) -> None:
    logs.configure(level, stream)
    for each in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("agent.sink").log(each, "state changed")

    assert expected == [line["level"] for line in lines(stream)]


def test_an_exception_is_its_types_and_our_innermost_place(stream: StringIO) -> None:
    def read_text(_: str) -> str:
        raise ZeroDivisionError(SECRET)

    with pytest.raises(ZeroDivisionError) as caught:
        load({}, {}, read_text)
    raised = ExceptionGroup(SECRET, [caught.value])
    logging.getLogger("agent").error("unexpected error", exc_info=raised)

    (line,) = lines(stream)
    assert line["error"] == "ExceptionGroup < ZeroDivisionError"
    assert line["where"].startswith("agent/settings/")


def test_an_exception_that_never_met_us_has_no_place(stream: StringIO) -> None:
    logging.getLogger("agent").error("unexpected error", exc_info=ValueError(SECRET))

    (line,) = lines(stream)
    assert "where" not in line


def test_causes_in_a_circle_end(stream: StringIO) -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    logging.getLogger("agent").error("unexpected error", exc_info=one)

    (line,) = lines(stream)
    assert line["error"] == "ValueError < KeyError"


def test_what_would_reach_standard_error_is_logged(
    stream: StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    sys.excepthook(ValueError, ValueError(SECRET), None)
    sys.unraisablehook(
        SimpleNamespace(
            exc_type=KeyError, exc_value=KeyError(SECRET), exc_traceback=None, object=SECRET
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(SECRET, stacklevel=1)

    assert [line.get("error") for line in lines(stream)] == ["ValueError", "KeyError", None]
    assert "payroll" not in stream.getvalue()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "what",
    [
        "warnings.warn(SECRET, stacklevel=1)",
        "warnings.warn_explicit(SECRET, UserWarning, SECRET + '.py', 1)",
        "compile('\"' + SECRET + '\" is 1', SECRET, 'exec')",
        "warnings.showwarning(SECRET, UserWarning, SECRET, 1)",
    ],
)
def test_a_warning_of_python_in_a_process_of_its_own_repeats_nothing(what: str) -> None:
    """A warning quotes its text and the line of source that it points at."""
    code = (
        "import sys, warnings\nfrom agent import logs\nSECRET = sys.argv[1]\n"
        f"logs.configure('info')\n{what}\n"
    )
    said = subprocess.run(  # noqa: S603 our own code
        [sys.executable, "-W", "always", "-c", code, SECRET],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    (line,) = map(json.loads, said.stdout.splitlines())

    assert (line["level"], line["message"]) == ("warning", "a library reported something")
    assert said.stderr == ""
    assert "payroll" not in said.stdout


def test_a_broken_stream_says_nothing(capfd: pytest.CaptureFixture[str], stream: StringIO) -> None:
    stream.close()
    logging.getLogger("agent").error("got %s", SECRET)

    assert capfd.readouterr() == ("", "")


def test_standard_output_is_the_default(
    capsys: pytest.CaptureFixture[str], stream: StringIO
) -> None:
    logs.configure("info")
    logging.getLogger("agent").info("started")

    assert stream.getvalue() == ""
    assert json.loads(capsys.readouterr().out)["message"] == "started"


def test_no_field_has_a_name_that_logging_keeps_for_itself() -> None:
    taken = vars(logging.makeLogRecord({})).keys() | {
        "message",
        "asctime",
        "time",
        "level",
        "logger",
    }

    assert set() == logs.FIELDS & taken
