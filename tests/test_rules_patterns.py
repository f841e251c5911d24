"""Patterns: what RE2 refuses and how to write it, and the plain text by which lines are found."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from agent.rules import compile_rules
from agent.rules.branches import branches_of
from agent.rules.literals import longest_literal
from agent.rules.patterns import Pattern, captures_in, compile_pattern
from agent.rules.places import Place, Problems
from agent.rules.words import options
from tests.test_rules_compile import SHARED, files, problems

LITERALS = {
    # pattern: (the text that must stand in every match, something that matches)
    "plain": ("My fork has sent", "My fork has sent"),
    "My fork (?:has )?sent it": ("My fork ", "My fork sent it"),
    "abc(defgh)ij": ("abc", "abcdefghij"),
    "Got [\\]abcdef] as the bracket": (" as the bracket", "Got ] as the bracket"),
    "Order [[:alpha:]] was accepted": (" was accepted", "Order x was accepted"),
    "Order [^]]+ was accepted": (" was accepted", "Order x was accepted"),
    "Can\\x2dnot connect": ("not connect", "Can-not connect"),
    "Can\\x{2d}not connect": ("not connect", "Can-not connect"),
    "Can\\055not connect": ("not connect", "Can-not connect"),
    "a\\pLbcdefgh": ("bcdefgh", "axbcdefgh"),
    "a\\p{Greek}*bcdefgh": ("bcdefgh", "abcdefgh"),
    "Plain \\Qa.b*cdefgh\\E end": ("Plain ", "Plain a.b*cdefgh end"),
    "Plain \\Qa.b*cdefgh": ("Plain ", "Plain a.b*cdefgh"),
    "(?i)my fork has sent": ("", "MY FORK HAS SENT"),
    "My fork(?i) has sent": ("My fork", "My fork HAS SENT"),
    "(?s)My fork": ("My fork", "My fork"),
    "(?-i)My fork": ("My fork", "My fork"),
    "(?i:my) fork has": (" fork has", "MY fork has"),
    "My fork|your spoon": ("", "your spoon"),
    "abcdefs?": ("abcdef", "abcdef"),
    "abcdefs*": ("abcdef", "abcdef"),
    "abcdefs+x": ("abcdefs", "abcdefsssx"),
    "abcdefs{0,2}x": ("abcdef", "abcdefx"),
    "abcdefs{3}xyz": ("abcdef", "abcdefsssxyz"),
    "a{b|c}defghi": ("", "a{b"),
    "{Header: bcd": ("{Header: bcd", "{Header: bcd"),
    "it\\.is\\.over": ("it.is.over", "it.is.over"),
    "say <b>loud and clear": ("loud and clear", "say <b>loud and clear"),
}


@pytest.mark.parametrize("pattern", LITERALS)
def test_a_literal_stands_in_every_match(pattern: str) -> None:
    literal, text = LITERALS[pattern]
    if pattern == "plain":
        pattern = literal

    assert literal == longest_literal(pattern).decode()
    assert re2.compile(pattern.encode(), options=options()).match(text.encode())
    assert literal in text


PIECES = st.sampled_from(
    ["abc", "d", "[xy]", "(?:ab|c)", "(?i:k)", "(?i)", ".", "\\d", "\\x41", "{", "|", " ", "[^]a]"]
)
QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,1}", "*?"])


@given(
    st.lists(st.tuples(PIECES, QUANTIFIERS), max_size=6),
    st.text("abcdkxyABCK1 {", max_size=12),
)
def test_no_match_is_without_its_literal(pieces: list[tuple[str, str]], text: str) -> None:
    pattern = "".join(
        piece + (quantifier if piece not in {"|", "(?i)"} else "") for piece, quantifier in pieces
    )
    try:
        made = re2.compile(pattern.encode(), options=options())
    except re2.error:
        return

    assert not made.fullmatch(text.encode()) or longest_literal(pattern) in text.encode()


REFUSED = {
    "(?=x)": "no look-around",
    "(?!x)": "no look-around",
    "(?<=x)": "no look-around",
    "(?<!x)": "no look-around",
    "(?>x)": "(?:...)",
    "(?P<a>x)(?P=a)": "no back-references",
    "(?x)a b": "flags i, m, s and U",
    "(?P<>x)": "with a name",
    "(?P<a-b>x)": "with a name",
    "(?<a-b>x)": "with a name",
    "(?P<a>x": "close the group",
    "(?P<a>x))": "open the group",
    "[a-z": "close the class",
    "(a)\\1": "no back-references",
    "x\\Z": "the end of the text",
    "x\\": "write \\\\",
    "*x": "the character itself",
    "x**": "one repetition",
    "x{1,2000}": "repeat at most 1000",
    "(?:(?:x{100}){100}){100}": "the product of nested repetitions must be at most 1000",
    "(?:x{2,}){501}": "the product of nested repetitions must be at most 1000",
    "[[:foo:]]": "a class that RE2 has",
    "[z-a]": "lower end of a range first",
    "(?P<a>x)(?P<a>y)": "another name",
    "(?P<a>x)(?<a>y)": "another name",
    "(\\w+)+": "one repetition",
    "(?:[ab]*)*": "one repetition",
    "(?P<a>x+){2,}": "one repetition",
    "x" * 1001: "at most 1000",
    "[a-c]{1000}" * 40: "lower its repetitions",
}


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda one: one[:20])
def test_a_refused_pattern_says_what_to_write(pattern: str) -> None:
    problems = Problems()
    compile_pattern(Pattern(Place("a.yaml", 1, 1), pattern), problems)

    assert [one.code for one in problems.found] == ["pattern"]
    assert REFUSED[pattern] in problems.found[0].hint


@pytest.mark.parametrize(
    "pattern", ["(\\w+,)+", "(?:a|b+)*", "(x+)?", "\\(x+\\)+", "[(]x+[)]+", "(?:ab+)+", "(?P<a>x+)"]
)
def test_a_list_of_several_is_no_repetition_of_a_repetition(pattern: str) -> None:
    problems = Problems()
    compile_pattern(Pattern(Place("a.yaml", 1, 1), pattern), problems)

    assert not problems.found


def test_a_capture_may_be_written_in_two_ways() -> None:
    assert {"a", "b"} == set(captures_in("(?P<a>x)(?<b>y)(?<=z)\\(?P<c>w"))


def test_flags_hold_for_every_branch() -> None:
    branches = branches_of("(?i)ab|cd")

    assert [one.text for one in branches.taken(b"CD")] == ["cd"]
    assert [one.text for one in branches.taken(b"AB")] == ["ab"]


@pytest.mark.parametrize(
    ("pattern", "index"),
    {
        "a(b(c)": 1,
        r"\(a(b": 3,
        "[(](a": 3,
        "a)b(": 1,
        r"a\)(b))": 6,
        "a[b": 1,
        "z-a [z-a]": 5,
        "[[:foo:]]": 1,
        r"\\1 \1": 4,
        r"[a\q]": 2,
        r"\\Z\Z": 3,
        "a(?=x)": 1,
        r"\(?= (?=x)": 5,
        "(?P<a>x) (?P=a)": 9,
        "a(?P<a-b>x)": 1,
        "(?P<a>x)(?P<b>y)(?P<a>z)": 16,
        r"a*\*x**": 5,
        "a*(*b)": 3,
        "a{2}b{1001}": 5,
        "a\\": 1,
        "ab(x+)+": 2,
        "ab[é]": 2,
        "abé+": 2,
        r"ab\x{1F4}": 2,
        "x" * 1001: 0,
    }.items(),
    ids=lambda one: one[:20] if isinstance(one, str) else "",
)
def test_a_refused_pattern_says_where(pattern: str, index: int) -> None:
    problems = Problems()
    compile_pattern(Pattern(Place("a.yaml", 1, 1, pattern), pattern), problems)

    assert [index + 1] == [one.place.column for one in problems.found]


# --- fragments ------------------------------------------------------------------------------------


def fragments(text: str) -> str:
    return SHARED.replace("  tail: '(?s:.*)'\n", text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("  tail: 'x${in}'\n  in: 'y${most}z'\n  most: 'a?b'\n", id="outer-first"),
        pytest.param("  most: 'a?b'\n  in: 'y${most}z'\n  tail: 'x${in}'\n", id="inner-first"),
    ],
)
def test_fragments_may_name_others(text: str) -> None:
    patterns = [rule.pattern for rule in compile_rules(files(shared=fragments(text))).rules]

    assert "Starting botxya?bz" in patterns


NESTED = {
    "itself": ("  tail: 'x${tail}'\n", [("pattern", 6, 11)]),
    "each-other": ("  tail: 'x${in}'\n  in: 'yy${tail}'\n", [("pattern", 7, 10)]),
    "unknown": ("  tail: 'x${inn}'\n  in: 'y'\n", [("unknown-name", 6, 11)]),
    "unknown-within": ("  in: 'x${zz}'\n  tail: '${in}'\n", [("unknown-name", 6, 9)]),
    "torn": ("  tail: 'x${in}'\n  in: 'y('\n", [("pattern", 7, 9)]),
}


@pytest.mark.parametrize(("text", "faults"), NESTED.values(), ids=NESTED)
def test_a_fault_of_nested_fragments_is_told_once(
    text: str, faults: list[tuple[str, int, int]]
) -> None:
    found = problems(shared=fragments(text))

    assert faults == [(one.code, one.place.line, one.place.column) for one in found]


def test_nested_fragments_end_where_a_pattern_may() -> None:
    deep = "".join(f"  f{at}: '${{f{at + 1}}}${{f{at + 1}}}'\n" for at in range(60))
    wide = f"  f60: xy\n  tail: '{'${f0}' * 1000}'\n"
    (found,) = problems(shared=fragments(f"{deep}{wide}"))

    assert (found.code, found.place.path) == ("pattern", "rule.yaml")


def test_a_long_chain_of_fragments_is_written_out() -> None:
    chain = "".join(f"  f{at}: '${{f{at + 1}}}'\n" for at in range(3000))

    assert not problems(shared=fragments(f"  tail: '${{f0}}'\n{chain}  f3000: x\n"))
