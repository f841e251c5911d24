"""The kubelet's model: what is served of files of CRI records, record by record."""

import pytest

from tests.sim.crilog import PIECE_BYTES, Instance
from tests.sim.gotime import SECOND, fixed_stamp, parse_stamp, trimmed_stamp
from tests.sim.kubelet import Habits, Kubelet, KubeletError, LogOptions, Reader

T0 = 1_795_469_485 * SECOND  # 2026-11-23T21:31:25Z
FOLLOW = LogOptions(follow=True)
STAMPED = LogOptions(timestamps=True)


def served(instance: Instance, options: LogOptions, habits: Habits | None = None) -> bytes:
    return Reader(instance, options, habits).read(1 << 30)


def written(*lines: tuple[int, bytes]) -> Instance:
    instance = Instance("containerd://a")
    for at, text in lines:
        instance.write(text + b"\n", at=at)
    return instance


@pytest.mark.parametrize(
    ("at", "fixed", "trimmed"),
    [
        (T0, "2026-11-23T21:31:25.000000000Z", "2026-11-23T21:31:25Z"),
        (T0 + 44_600_000, "2026-11-23T21:31:25.044600000Z", "2026-11-23T21:31:25.0446Z"),
        (T0 + 1, "2026-11-23T21:31:25.000000001Z", "2026-11-23T21:31:25.000000001Z"),
    ],
)
def test_stamps_are_printed_and_read_as_go_does(at: int, fixed: str, trimmed: str) -> None:
    assert (fixed, trimmed) == (fixed_stamp(at), trimmed_stamp(at))
    assert at == parse_stamp(fixed) == parse_stamp(trimmed)


def test_stamps_with_an_offset_are_read_as_utc() -> None:
    assert parse_stamp("2026-11-23T23:31:25+02:00") == T0


def test_a_stamp_that_is_none_has_gos_words() -> None:
    with pytest.raises(ValueError, match='cannot parse "soon" as "2006"'):
        parse_stamp("soon")


def test_plain_reading_gives_the_text_alone() -> None:
    assert served(written((T0, b"one"), (T0, b"two")), LogOptions()) == b"one\ntwo\n"


def test_the_current_kubelet_prints_nine_digits() -> None:
    assert served(written((T0, b"x")), STAMPED) == b"2026-11-23T21:31:25.000000000Z x\n"


def test_a_kubelet_may_trim_its_stamps() -> None:
    habits = Habits(stamps="trimmed")

    assert served(written((T0, b"x")), STAMPED, habits) == b"2026-11-23T21:31:25Z x\n"


def test_the_since_filter_looks_at_each_stamp_and_not_at_the_position() -> None:
    instance = written((T0 + 5, b"late"), (T0 - 1, b"ran back"), (T0, b"exact"))

    assert served(instance, LogOptions(since=T0)) == b"late\nexact\n"


def test_a_text_without_newline_waits_for_its_rest() -> None:
    instance = written((T0, b"whole"))
    instance.write(b"half", at=T0 + 1)

    assert served(instance, LogOptions()) == b"whole\n"

    instance.write(b" and half\n", at=T0 + 2)

    assert served(instance, LogOptions()) == b"whole\nhalf and half\n"


def test_the_last_words_of_a_dead_container_have_no_newline() -> None:
    instance = written()
    instance.write(b"panic: ", at=T0)
    instance.end(at=T0 + 1)

    assert served(instance, LogOptions()) == b"panic: "


def test_pieces_of_a_long_line_are_joined_behind_the_first_stamp() -> None:
    text = b"x" * (2 * PIECE_BYTES + 3)
    instance = written((T0, text))

    assert instance.newest.data.count(b" P ") == 2
    assert served(instance, STAMPED) == fixed_stamp(T0).encode() + b" " + text + b"\n"


def test_a_line_of_exactly_the_limit_is_one_record() -> None:
    assert written((T0, b"x" * PIECE_BYTES)).newest.data.count(b"\n") == 1


def test_an_older_kubelet_stamps_each_piece() -> None:
    instance = written((T0, b"x" * PIECE_BYTES + b"y"))

    reply = served(instance, STAMPED, Habits(stamp_each_piece=True))

    assert reply.endswith(b"x" + fixed_stamp(T0 + 1).encode() + b" y\n")


def test_a_reply_starts_with_an_unstamped_fragment_if_the_first_piece_is_too_old() -> None:
    instance = written((T0 - 1, b"x" * PIECE_BYTES + b"rest"))

    assert served(instance, LogOptions(since=T0, timestamps=True)) == b"rest\n"


def test_a_record_of_the_other_stream_is_glued_between_two_pieces() -> None:
    instance = Instance("containerd://a")
    instance.write_record(b"%s stdout P long\n" % trimmed_stamp(T0).encode())
    instance.write_record(b"%s stderr F alien\n" % trimmed_stamp(T0).encode())

    assert served(instance, STAMPED).endswith(b" longalien\n")


def test_records_that_cannot_be_parsed_are_left_out() -> None:
    instance = written((T0, b"one"))
    instance.write_record(b"not a record\n")
    instance.write(b"two\n", at=T0)

    assert served(instance, LogOptions()) == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("tail", "expected"), [(0, b""), (1, b"c\n"), (2, b"b\nc\n"), (9, b"a\nb\nc\n")]
)
def test_tail_lines(tail: int, expected: bytes) -> None:
    instance = written((T0, b"a"), (T0, b"b"), (T0, b"c"))

    assert expected == served(instance, LogOptions(tail=tail))


def test_limit_bytes_cuts_in_the_middle_of_a_stamp() -> None:
    reader = Reader(written((T0, b"abc")), LogOptions(timestamps=True, limit_bytes=7))

    assert (reader.read(), reader.finished) == (b"2026-11", True)


def test_only_the_newest_file_can_be_reached() -> None:
    instance = written((T0, b"old"))
    instance.rotate()
    instance.write(b"new\n", at=T0)

    assert served(instance, LogOptions()) == b"new\n"


def test_a_follow_continues_into_the_new_file() -> None:
    instance = written((T0, b"old"))
    reader = Reader(instance, FOLLOW)
    instance.rotate()
    instance.write(b"new\n", at=T0)

    assert reader.read(1 << 20) == b"old\nnew\n"
    assert not reader.finished


@pytest.mark.parametrize("serves_again", [False, True])
def test_a_follow_overtaken_by_two_rotations_skips_a_whole_file(*, serves_again: bool) -> None:
    instance = written((T0, b"first"))
    reader = Reader(instance, FOLLOW, Habits(serves_again=serves_again))
    for text in (b"second\n", b"third\n"):
        instance.rotate()
        instance.write(text, at=T0)

    assert reader.read(1 << 20) == b"first\nthird\n" + b"third\n" * serves_again


def test_lines_written_late_to_a_renamed_file_are_lost_to_a_follow_that_went_on() -> None:
    instance = written((T0, b"old"))
    ahead, behind = Reader(instance, FOLLOW), Reader(instance, FOLLOW)
    instance.rotate()
    ahead.read()
    instance.write_late(b"late\n", at=T0)

    assert (ahead.read(), behind.read()) == (b"", b"old\nlate\n")


def test_a_follow_ends_with_its_container() -> None:
    instance = written((T0, b"one"))
    reader = Reader(instance, FOLLOW)

    assert (reader.read(), reader.finished) == (b"one\n", False)

    instance.end(at=T0)

    assert (reader.read(), reader.finished) == (b"", True)


def test_a_change_is_told_to_listeners() -> None:
    told: list[int] = []
    instance = written()
    instance.listeners.add(lambda: told.append(len(instance.newest.data)))
    instance.write(b"x\n", at=T0)

    assert told == [len(instance.newest.data)]


def pod_with(**status: object) -> dict[str, object]:
    return {
        "metadata": {"name": "web"},
        "status": {"containerStatuses": [{"name": "botkube", **status}]},
    }


RUNNING = {"state": {"running": {}}, "containerID": "containerd://now"}
DEAD = {"terminated": {"containerID": "containerd://dead"}}


@pytest.mark.parametrize(
    ("status", "previous", "expected"),
    [
        pytest.param(RUNNING, False, "now", id="running"),
        pytest.param({**RUNNING, "lastState": DEAD}, True, "dead", id="previous"),
        pytest.param({"state": DEAD}, False, "dead", id="terminated"),
        pytest.param({"state": {"waiting": {}}, "lastState": DEAD}, False, "dead", id="back-off"),
        pytest.param(
            {"state": {"waiting": {}}, "lastState": DEAD}, True, "dead", id="back-off previous"
        ),
    ],
)
def test_the_instance_follows_from_the_status(
    status: dict[str, object], previous: bool, expected: str
) -> None:
    kubelet = Kubelet()
    for name in ("now", "dead"):
        kubelet.add(f"containerd://{name}").write(name.encode() + b"\n", at=T0)

    opened = kubelet.open(pod_with(**status), "botkube", LogOptions(), previous=previous)

    assert isinstance(opened, Reader)
    assert opened.read() == expected.encode() + b"\n"


@pytest.mark.parametrize(
    ("status", "previous", "words"),
    [
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, False, "to start: ContainerCre"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, False, "image can't be pulled"),
        (RUNNING, True, 'previous terminated container "botkube" in pod "web" not found'),
    ],
)
def test_refusals_have_the_kubelets_words(
    status: dict[str, object], previous: bool, words: str
) -> None:
    with pytest.raises(KubeletError, match=words):
        Kubelet().open(pod_with(**status), "botkube", LogOptions(), previous=previous)


def test_a_container_that_the_runtime_removed_is_error_text() -> None:
    opened = Kubelet().open(pod_with(**RUNNING), "botkube", LogOptions(), previous=False)

    assert opened == b"unable to retrieve container logs for containerd://now"
