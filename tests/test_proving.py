"""`prove`: no false alarm on anything of ours, and a real one on every way to leak."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from agent.__main__ import main
from agent.disclosure import disclosures
from agent.lines import MAX_LINE_BYTES
from agent.preview import Preview
from agent.proving.prove import Verdict, preview_texts, prove
from agent.proving.reading import _look_up, make_policy
from agent.proving.renaming import CANARY, STYLES, Renaming, words_of
from agent.proving.report import shorten
from agent.proving.variant import read_log, vary
from agent.rules import Rule, RuleSet
from agent.rules.ruleset import Captured, Constant, Source
from agent.rules.words import Vocabulary
from tests.shipped import RULES, load_cases
from tests.strategies import SAMPLE_LOGS, SAMPLES

LINES = Path(__file__).parent / "data" / "lines"
POLICY = make_policy(RULES)
LONG_BYTES = 100_000


def show(texts: Sequence[bytes], ruleset: RuleSet = RULES) -> Preview:
    return preview_texts(
        texts,
        ruleset,
        window_seconds=3600,
        agent_version="1",
        now_seconds=1_800_000_000,
        minimum=0,
    )


def check(*texts: bytes, ruleset: RuleSet = RULES, seeds: int = 1) -> Verdict:
    return prove(texts, ruleset, seeds=seeds, show=partial(show, ruleset=ruleset))


# --- no false alarm -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.slow] * ((SAMPLES / name).stat().st_size > LONG_BYTES)
        )
        for name in SAMPLE_LOGS
    ],
)
def test_recorded_logs_are_proved(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["prove", "--format", "json", str(SAMPLES / name)])
    said = json.loads(capsys.readouterr().out)

    assert (code, said["verdict"], said["failures"]) == (0, "proved", [])
    # It is no proof to leave everything as it was.
    assert said["words_replaced"] > said["words_kept"] or said["lines"] < 50


def test_every_example_of_every_rule_is_proved() -> None:
    logs = [one.log.encode() for rule in RULES.rules for one in (*rule.hits, *rule.misses)]

    assert len(logs) > 150
    assert check(*logs).failures == ()


@pytest.mark.parametrize("path", sorted(LINES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_labelled_line_is_proved(path: Path) -> None:
    logs = [one["log"].encode() for one in load_cases(path)]

    assert check(*logs).failures == ()


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_every_example_alone_is_proved(rule: Rule) -> None:
    assert not [one.place for one in (*rule.hits, *rule.misses) if check(one.log.encode()).failures]


def test_a_word_without_which_no_rule_looks_at_an_entry_is_left() -> None:
    log = b"unexpected fault address 0x7f\nfatal error: fault\n\ngoroutine 1 [running]:\nx()\n"

    assert check(log).failures == ()


@pytest.mark.parametrize("name", sorted(RULES.vocabularies))
def test_a_word_is_looked_up_apart_from_anonymize_with_the_same_result(name: str) -> None:
    vocabulary = RULES.vocabularies[name]
    logs = [one.log.encode() for rule in RULES.rules for one in rule.hits]
    texts = [*logs, *(text.encode() for words in vocabulary.words.values() for text in words)]

    for text in texts:
        assert _look_up(vocabulary, text) == vocabulary.word(text)


# --- what a variant is ----------------------------------------------------------------------------


def test_a_variant_has_none_of_the_names_and_all_of_the_decisions() -> None:
    log = read_log((SAMPLES / "v1.6.0" / "pod.log").read_bytes(), POLICY)
    renaming = Renaming("secret", 1)
    varied = vary(log, POLICY, renaming)
    names = {b"namespaces", b"lyon", b"alerts", b"executor", b"plugins"} & words_of(log.text)

    assert names
    assert not names & words_of(varied.text)
    assert log.readings == varied.readings
    assert renaming.replaced > 300
    assert {b"kubectl", b"get", b"Mattermost"} <= renaming.kept


@given(st.lists(st.binary(min_size=1, max_size=12)), st.sampled_from(STYLES), st.data())
def test_no_two_words_get_the_same_stand_in(
    texts: list[bytes], style: str, data: st.DataObject
) -> None:
    renaming = Renaming(style, 3)
    words = sorted(set().union(*map(words_of, texts)))
    first = [renaming.rename(word) for word in words]
    if words:
        renaming.keep({data.draw(st.sampled_from(words + first))})
    again = {word: renaming.rename(word) for word in words}
    final = {word: renaming.rename(word) for word in words}

    assert len(set(final.values())) == len(words)
    assert again == final or renaming.changes
    assert all(final[word] == word for word in words if word in renaming.kept)


def test_a_stand_in_of_the_same_style_has_the_same_shape() -> None:
    text = 'Payments-db01 wäre \\u003cnil\\u003e\t\\"x\\" 日本 0.5 🙂'.encode()
    other = Renaming("same", 1).rename(text)

    assert len(other) == len(text)
    assert re.sub(rb"[A-Za-z0-9\x80-\xff]", b"", text) == re.sub(
        rb"[A-Za-z0-9\x80-\xff]", b"", other
    )
    assert b"Payments" not in other


def test_no_closed_word_looks_like_a_canary() -> None:
    said = [str(value) for one in disclosures(RULES) for value in (one.name, *one.values)]

    assert not list(filter(CANARY.search, said))


# --- a real alarm on every way to leak ------------------------------------------------------------

SECRET = "payments-db-hunter2"
REQUEST = (
    '{"bot":"Mattermost","level":"debug","msg":"Mattermost incoming Request: kubectl %s %s",'
    '"time":"2026-11-23T21:29:%02dZ"}\n'
)
LOG = "".join(REQUEST % (f"frob{n}", SECRET + str(n), n) for n in range(10, 26)).encode()


class Raw(Vocabulary):
    """A closed list that lets text through."""

    def word(self, text: bytes) -> str | None:
        return text.decode("latin-1")


class Covert(Vocabulary):
    """A closed list of which the text chooses a word: nothing but closed words, and yet a leak."""

    def word(self, text: bytes) -> str | None:
        return ("get", "describe")[sha256(text).digest()[0] % 2]


def leaking(make: Callable[[Rule], Source]) -> RuleSet:
    """Return the shipped rules with one source that could not have been compiled."""
    rules = [
        evolve(rule, properties={**rule.properties, "command": make(rule)})
        if rule.id == "command-request"
        else rule
        for rule in RULES.rules
    ]
    return evolve(RULES, rules=tuple(rules))


def raw(rule: Rule) -> Source:
    return Captured("command", Raw("raw", rule.place, "exact", {"get": ("get",)}), Constant("get"))


def covert(rule: Rule) -> Source:
    words: dict[str, tuple[str, ...]] = {"get": ("get",), "describe": ("describe",)}
    return Captured("command", Covert("covert", rule.place, "exact", words), Constant("other"))


def test_without_a_leak_it_is_proved() -> None:
    assert check(LOG).is_proved
    assert check(LOG).matched == 16


def test_text_that_passes_for_a_value_is_found_with_its_line_and_rule() -> None:
    found = check(LOG, ruleset=leaking(raw)).failures

    assert (
        found[0].what,
        found[0].input,
        found[0].line,
        found[0].rule,
    ) == ("a value that is not declared", 1, 1, "command-request")


def test_a_closed_word_that_text_chooses_is_found() -> None:
    found = check(LOG, ruleset=leaking(covert)).failures

    assert {"what is counted depends on text"} == {one.what for one in found}
    assert {"command-request"} == {one.rule for one in found}


def test_what_the_builder_was_made_to_leak_is_found() -> None:
    def leaky(texts: Sequence[bytes]) -> Preview:
        found = show(texts)
        return evolve(found, batches=found.batches[: len(texts[0]) % 2])

    longer = prove([LOG], RULES, seeds=2, show=leaky)

    assert {"what would be sent depends on text"} == {one.what for one in longer.failures}


# --- the command ----------------------------------------------------------------------------------


def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: bytes,
    *arguments: str,
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    code = main(["prove", *arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_verdict_has_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, monkeypatch, LOG, "-")

    assert code == 0
    assert "16 lines, 16 entries, 16 of them matched" in said
    assert "6 variants tried" in said
    assert said.splitlines()[-1].startswith("proved: ")


def test_no_text_of_the_log_is_printed_when_it_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.commands.load_rules", lambda _paths: leaking(raw))
    for arguments in ((), ("--format", "json")):
        code, said = run(capsys, monkeypatch, LOG, *arguments)

        assert code == 1
        assert "not proved" in said
        assert "command-request" in said
        assert "hunter2" not in said
        assert "frob" not in said


@pytest.mark.parametrize("text", [b"", b"\n", b"hello\nworld\n", b"\x00\xff" * 9], ids=repr)
def test_input_without_an_entry_ends_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    code, said = run(capsys, monkeypatch, text)

    assert code == 2
    assert "unusable" in said


@pytest.mark.parametrize("arguments", [(), ("--format", "json")], ids=["text", "json"])
def test_a_log_of_which_no_line_belongs_to_a_rule_proves_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    text = b'{"level":"info","msg":"a poem","time":"2025-06-18T08:28:13Z"}\n'
    code, said = run(capsys, monkeypatch, text, *arguments)

    assert code == 3
    assert "nothing to prove" in said
    assert "poem" not in said


def test_a_file_that_is_not_there_ends_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, monkeypatch, b"", "/nowhere/pod.log")

    assert code == 2
    assert "cannot read /nowhere/pod.log" in said


def test_input_as_powershell_saves_it_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"\xff\xfe" + LOG.decode().replace("\n", "\r\n").encode("utf-16-le")
    code, said = run(capsys, monkeypatch, text)

    assert code == 0
    assert "16 of them matched" in said


def test_no_more_of_a_line_than_counting_sees_is_replaced() -> None:
    """Else one line without an end takes minutes."""
    long = b"a" * MAX_LINE_BYTES

    assert shorten(long + b"b\n" + long + b"bcd\nx\n") == long + b"b\n" + long + b"b\nx\n"


LOG_LINES = LOG.count(b"\n")


@pytest.mark.parametrize(
    ("name", "limit", "is_cut", "lines"),
    [
        ("MAX_BYTES", len(LOG) // 2, True, 8),
        ("MAX_BYTES", len(LOG), False, LOG_LINES),
        # Lines that are empty are many before they are long.
        ("MAX_LINES", LOG_LINES - 1, True, LOG_LINES - 1),
        ("MAX_LINES", LOG_LINES, False, LOG_LINES),
    ],
)
def test_no_more_of_an_input_than_the_limit_is_read_and_it_says_so(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limit: int,
    *,
    is_cut: bool,
    lines: int,
) -> None:
    monkeypatch.setattr(f"agent.proving.report.{name}", limit)
    code, said = run(capsys, monkeypatch, LOG, "--format", "json")

    assert code == 0
    assert (json.loads(said)["cut"], json.loads(said)["lines"]) == (is_cut, lines)
