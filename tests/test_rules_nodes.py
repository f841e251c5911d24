"""What is no YAML, or more of it than a rule file may be: the place of the slip and its fix."""

from __future__ import annotations

import time

import pytest

from agent.rules import Problem
from agent.rules.nodes import MAX_DEPTH, Mapping, Scalar, read
from agent.rules.places import Problems

RULE = """\
id: mine
event: Event handled
question: Which events does my fork handle?
level: info
message: 'My fork has sent it to (?P<where>\\w+)$'
properties:
  platform: {capture: where, vocabulary: bots, otherwise: unknown}
hits:
  - log: '{"level":"info","msg":"My fork has sent it to Slack"}'
    expect: {platform: slack}
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


def found(text: str) -> list[Problem]:
    problems = Problems()
    read("a.yaml", text, problems)
    return problems.found


def edit(old: str, new: str) -> str:
    assert old in RULE
    return RULE.replace(old, new, 1)


SLIPS = {
    "quote-not-closed": (edit("\\w+)$'", "\\w+)$"), 5, 10, "close the quote that begins here"),
    "double-quote-not-closed": (
        edit("level: info", 'level: "info'),
        4,
        8,
        "close the quote that begins here",
    ),
    "last-quote-not-closed": (
        "id: mine\nmessage: 'My fork\n",
        2,
        10,
        "close the quote that begins here",
    ),
    "quote-within-quotes": (
        edit("question: Which", "question: 'It's not"),
        3,
        14,
        "twice: ''",
    ),
    "double-quote-within-quotes": (
        edit("question: Which", 'question: "a "b" c'),
        3,
        14,
        "or use single quotes",
    ),
    "no-colon": (edit("level: info", "level info"), 4, 1, "with a space after the colon"),
    "no-space": (edit("level: info", "level:info"), 4, 1, "with a space after the colon"),
    "no-colon-before-a-bracket": (
        edit("platform: {", "platform {"),
        7,
        11,
        "no colon follows the key",
    ),
    "list-not-closed": (edit("level: info", "level: [info, debug"), 4, 8, "close the bracket"),
    "mapping-not-closed": (edit("unknown}", "unknown"), 7, 13, "close the bracket"),
    "no-comma": (edit("bots, otherwise", "bots otherwise"), 7, 56, "put a comma before it"),
    "colon-in-text": (edit("Which events", "Which: events"), 3, 16, "with a colon in it in quotes"),
    "indented": (edit("level: info", "  level: info"), 4, 3, "like those above it"),
    "indented-behind-quotes": (
        edit("level: info", "'level': 'info'\n  origin: core"),
        5,
        3,
        "check the indentation",
    ),
    "tab": (edit("  platform", "\tplatform"), 7, 1, "indent with spaces"),
    "text-like-a-list": (edit("'My fork has", "[Mm]y fork has"), 5, 10, "in single quotes"),
    "text-like-a-mapping": (edit("'My fork has", "{my} 'fork has"), 5, 10, "in single quotes"),
    "text-like-a-tag": (edit("'My fork", '!My "fork" ['), 5, 10, "in single quotes"),
    "item-like-a-list": (edit("level: info", "level:\n- [i]nfo"), 5, 3, "in single quotes"),
    "no-space-after-a-hyphen": (edit("- log:", "-log:"), 9, 4, "a space after the hyphen"),
    "no-space-after-a-later-hyphen": (
        f"{RULE}  -log: x\n    expect: y\n",
        11,
        4,
        "a space after the hyphen",
    ),
    "no-hyphen": (
        f"{RULE}misses:\n  log: |\n      x\n    expect: y\n",
        12,
        3,
        "write `- ` before it",
    ),
    "item-indented-too-deep": (edit("    expect", "      expect"), 10, 7, "indent it like `log`"),
    "item-outdented": (edit("    expect", "  expect"), 10, 3, "indent it like `log`"),
    "item-outdented-behind-a-block": (
        f"{RULE}misses:\n  - log: |\n      x\n  expect: y\n",
        14,
        3,
        "indent it like `log`",
    ),
    "block-text-outdented": (
        f'{RULE}misses:\n  - log: |\n    {{"level":"info"}}\n      {{"level":"info"}}\n',
        13,
        5,
        "indent the text below `log: |` deeper",
    ),
    "percent": (edit("level: info", "level: %info"), 4, 8, "in single quotes"),
    "escape": (edit("'My fork has", '"My \\w has'), 5, 15, "use single quotes"),
    "alias": (edit("level: info", "level: *info"), 4, 8, "begins with * in quotes"),
    "two-documents": (RULE + "---\n" + RULE, 11, 1, "one rule a file"),
    "tag": (edit("level: info", "level: !info x"), 4, 8, "without it"),
    "tag-of-another-type": (edit("level: info", "level: !!int info"), 4, 8, "without it"),
    "tag-of-a-set": (edit("level: info", "level: !!set {info}"), 4, 8, "without it"),
    "tag-of-an-object": (
        edit("level: info", "level: !!python/object/apply:os.system ['x']"),
        4,
        8,
        "without it",
    ),
    "merge-key": (edit("level: info", "<<: {level: info}"), 4, 1, "write the keys out"),
    "long-number": (edit("level: info", f"priority: {'9' * 5000}"), 4, 11, "fewer digits"),
    "half-a-character": (edit("level: info", 'level: "\\ud800"'), 4, 8, "remove the escape"),
    "bell": (edit("Which", "Wh\aich"), 3, 13, "remove this character"),
    "nul-behind-wide-characters": (edit("Which", "W\u00fc\U0001f600\0"), 3, 14, "remove this"),
    "alias-of-itself": (edit("level: info", "level: &a [*a]"), 4, 8, "write its values out"),
}


@pytest.mark.parametrize(("text", "line", "column", "fix"), SLIPS.values(), ids=SLIPS)
def test_a_slip_has_its_place_and_its_fix(text: str, line: int, column: int, fix: str) -> None:
    (problem, *more) = found(text)
    place = problem.place

    assert ("yaml", line, column) == (problem.code, place.line, place.column), problem
    assert fix in problem.hint
    assert not more


def test_a_key_is_a_plain_word() -> None:
    (problem,) = found(edit("level: info", "[level]: info"))

    assert (problem.code, problem.place.line, problem.place.column) == ("type", 4, 1)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        pytest.param(LAUGHS, 1, 8, id="laughs"),
        pytest.param(f"a: {'[' * 100}{']' * 100}\n", 1, 44, id="deep"),
        pytest.param(f"a: {'{a: ' * 60}1{'}' * 60}\n", 1, 164, id="deep-mappings"),
        pytest.param(f"a: {'[' * 100_000}\n", 1, 44, id="very-deep"),
    ],
)
def test_no_small_file_can_be_large(text: str, line: int, column: int) -> None:
    began = time.process_time()
    (problem,) = found(text)

    assert problem.code in {"too-large", "yaml"}
    assert (line, column) == (problem.place.line, problem.place.column), problem
    # A third of a second, or three times that on a busy machine; what it guards against never ends.
    assert time.process_time() - began < 5


def test_as_deep_as_it_may_be() -> None:
    depth = MAX_DEPTH - 1

    assert not found(f"a: {'[' * depth}{']' * depth}\n")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\r"])
def test_lines_end_where_editors_end_them(mark: str) -> None:
    text = edit("Which events", f"'Which{mark}  events").replace("handle?\n", "handle?'\n")
    (problem,) = found(text.replace("level: info", "level: !info x"))

    assert (problem.place.line, problem.place.column) == (4, 8)


def test_a_byte_order_mark_moves_nothing() -> None:
    (problem,) = found("\ufeffid: !x y\n")

    assert (problem.place.line, problem.place.column) == (1, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("true", True),
        ("no", False),
        ("~", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
        # What YAML 1.1 reads in its own way stays as it is written.
        ("010", "010"),
        ("1:30", "1:30"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("2025-06-18", "2025-06-18"),
        ("=", "="),
    ],
)
def test_a_scalar_is_what_its_writer_sees(text: str, value: object) -> None:
    node = read("a.yaml", f"a: {text}\n", Problems())

    assert isinstance(node, Mapping)
    scalar = node.entries["a"]
    assert isinstance(scalar, Scalar)
    assert (type(value), value) == (type(scalar.value), scalar.value)


def test_an_alias_stands_for_what_it_names() -> None:
    assert not found("id: &name mine\nevent: *name\n")
