"""The installation object, as somebody may have edited it, and the ConfigMap that holds it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest
from attrs import field, frozen

from agent.source.api import Access, ApiError, Client
from agent.state.configmap import MAX_OBJECT_BYTES, ConfigMapStore
from agent.state.disk import FileStore
from agent.state.installation import (
    Installation,
    NewerInstallation,
    load_installation,
    note,
    note_off,
    read_installation,
)
from agent.state.store import Absent, StateError, Store, Stored
from agent.withholding import Withholding
from tests.faults.machine import FaultyStore
from tests.sim.cluster import Cluster
from tests.sim.faults import Answer
from tests.sim.store import CONFIGMAPS

ID = str(UUID(int=7, version=4))
WHOLE = {
    "version": 1,
    "id": ID,
    "first_start_seconds": 5,
    "commits": 2,
    "series": {"0": {"Event handled": {"platform": ["slack"]}}},
}


@frozen
class Says:
    """An API server that always says the same."""

    answer: Any

    async def request(self, *_asked: object, **_with: object) -> Any:  # noqa: ANN401 JSON
        return self.answer


def config_map(data: bytes) -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": "1"},
        "binaryData": {"state": b64encode(data).decode()},
    }


def store(answer: object) -> ConfigMapStore:
    return ConfigMapStore(Says(answer), "botkube", "installation")


async def nobody() -> str:
    raise AssertionError


async def load(answer: object) -> Any:  # noqa: ANN401
    return await load_installation(store(answer), choose_id=nobody, now_seconds=1)


async def test_a_whole_object_is_read() -> None:
    found = await load(config_map(orjson.dumps(WHOLE)))

    assert (found.id, found.first_start_seconds, found.commits) == (ID, 5, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": "1"},
        {"version": None},
        {"version": True},
        {"id": "x"},
        {"id": [1]},
        {"id": None},
        {"first_start_seconds": "x"},
        {"first_start_seconds": -1},
        {"first_start_seconds": 10**15},
        {"first_start_seconds": 1e300},
        {"commits": -1},
        {"commits": [1]},
        {"series": [1]},
        {"series": {"0": {"Event handled": [1]}}},
        {"series": {"0": {"Event handled": {"platform": 7}}}},
        {"series": {"soon": {}, "x": {"Event handled": {"platform": ["slack"]}}}},
        {"series": {"1000000000000000": {"Event handled": {"platform": ["slack"]}}}},
    ],
    ids=str,
)
async def test_an_object_with_an_odd_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(StateError, match="holds no installation"):
        await load(config_map(orjson.dumps(WHOLE | change)))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"7", b'"x"', b"{}", b"\xff"])
async def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(StateError, match="holds no installation"):
        await load(config_map(data))


@pytest.mark.parametrize("how", ["load", "read", "note", "note off"])
async def test_an_object_of_a_newer_release_is_refused_and_stays(tmp_path: Path, how: str) -> None:
    path = tmp_path / "installation.json"
    newer = orjson.dumps({"version": 7, "who": ID, "retention": 90})
    path.write_bytes(newer)
    kept = FileStore(path)
    withheld = Withholding({})
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "load": lambda: load_installation(kept, choose_id=nobody, now_seconds=1),
        "read": lambda: read_installation(kept),
        "note": lambda: note(
            kept,
            slot="",
            commits=3,
            withholding=withheld,
            sends=True,
            now_seconds=1,
            went_by=Installation(ID, 1),
        ),
        "note off": lambda: note_off(kept, now_seconds=1),
    }
    with pytest.raises(NewerInstallation, match="has format 7, this agent reads up to 1"):
        await ways[how]()

    assert path.read_bytes() == newer


@pytest.mark.parametrize(("times", "sends"), [(1, False), (None, True)])
async def test_an_off_is_noted_although_another_replica_writes_just_then(
    tmp_path: Path, times: int | None, *, sends: bool
) -> None:
    async with Cluster.running() as cluster:
        cluster.namespace("botkube")
        cluster.config_map("botkube", "installation")
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_bytes(orjson.dumps(cluster.server.kubeconfig()))
        async with Client(Access(str(kubeconfig)), "test") as client:
            kept = ConfigMapStore(client, "botkube", "installation")
            on = orjson.dumps(WHOLE | {"sends": True})
            await kept.save(on, (await kept.load()).version)
            cluster.server.faults.add(Answer(409), verb="update", times=times)
            with nullcontext() if times else pytest.raises(StateError, match="keeps changing"):
                await note_off(kept, now_seconds=1)
            said, _is_there = await read_installation(kept)

    assert said is not None
    assert (said.sends, said.is_off) == (sends, not sends)


@pytest.mark.parametrize("sends", [True, False])
async def test_an_off_that_was_noted_is_over_once_a_start_takes_it_back(
    tmp_path: Path, *, sends: bool
) -> None:
    kept = FileStore(tmp_path / "installation.json")
    before = await note_off(kept, now_seconds=1)
    await load_installation(kept, choose_id=chosen, now_seconds=2)
    said = [await note_off(kept, now_seconds=3, noted=one) for one in (before, None, 0, 2)]
    await note_begun(kept, now_seconds=8, sends=sends)
    said += [await note_off(kept, now_seconds=9, noted=one) for one in (0, 2)]
    found, _is_there = await read_installation(kept)

    # It was not there; it is noted already; it was taken back.
    assert (before, said) == (0, [2, 2, 2, 2, None, None])
    assert found is not None
    assert (found.sends, found.is_off, found.not_before) == (sends, False, 9)


@pytest.mark.parametrize(
    ("said", "sends", "not_before"),
    [
        ({}, True, 0),
        ({"sends": True}, True, 0),
        ({"sends": True}, False, 0),
        ({"sends": False, "is_off": False}, True, 9),
        ({"sends": False, "is_off": False}, False, 0),
        ({"sends": False, "is_off": True}, True, 9),
        ({"sends": False, "is_off": True}, False, 9),
    ],
    ids=str,
)
async def test_nothing_counts_from_before_an_off_or_local_was_over(
    tmp_path: Path, said: dict[str, object], *, sends: bool, not_before: int
) -> None:
    kept = FileStore(tmp_path / "installation.json")
    await kept.save(orjson.dumps(WHOLE | said), "")
    noted = await note_begun(kept, now_seconds=8, sends=sends)
    found, _is_there = await read_installation(kept)

    assert found is not None
    assert found == noted
    assert (found.sends, found.is_off, found.not_before) == (sends, False, not_before)


@pytest.mark.parametrize("noted", [5, 12])
async def test_an_off_that_is_not_the_one_that_was_obeyed_is_missed(
    tmp_path: Path, noted: int
) -> None:
    """Also one that is noted of before: somebody has put another object there."""
    kept = FileStore(tmp_path / "installation.json")
    await kept.save(orjson.dumps(WHOLE | {"off_noted": noted}), "")

    assert await note_later(kept, Installation(ID, 5, off_noted=9)) is None


@pytest.mark.parametrize("slot", ["", "state-3"])
async def test_how_often_state_was_written_never_goes_back_and_is_said_once(slot: str) -> None:
    kept = FaultyStore(orjson.dumps(WHOLE))
    works, _is_there = await read_installation(kept)
    assert works is not None
    for commits, written in ((7, 1), (7, 1), (3, 1), (8, 2)):
        found = await note_later(kept, works, slot=slot, commits=commits)

        assert found is not None
        assert (found.commits_of(slot), kept.version) == (max(7, commits), written)
    begun = await note_begun(kept, now_seconds=9, slot=slot)

    assert begun is not None
    assert (begun.commits_of(slot), begun.sends) == (8, True)


class Raced(FaultyStore):
    """A store into which another replica writes just before this one does."""

    async def save(self, data: bytes, version: str) -> str:
        if not self.version:
            self.data, self.version = orjson.dumps(WHOLE | {"commits": 9}), 1
        return await super().save(data, version)


async def test_what_is_noted_is_noted_although_another_slots_owner_was_faster() -> None:
    kept = Raced(orjson.dumps(WHOLE))
    noted = await note_later(kept, Installation(ID, 5), slot="state-3")

    assert noted is not None
    assert (noted.commits, noted.commits_of("state-3"), kept.version) == (9, 7, 2)


async def test_the_id_that_another_replica_chose_first_is_the_one() -> None:
    async def choose() -> str:
        return str(UUID(int=8, version=4))

    found = await load_installation(Raced(), choose_id=choose, now_seconds=1)

    assert (found.id, found.commits, found.is_new) == (ID, 9, False)


@pytest.mark.parametrize("was_off", [False, True])
async def test_an_off_from_before_the_first_start_is_noted_with_the_id(*, was_off: bool) -> None:
    async def look() -> bool:
        return was_off

    kept = FaultyStore()
    found = await load_installation(kept, choose_id=chosen, now_seconds=3, was_off=look)
    again = await load(config_map(kept.data or b""))

    assert attrs.evolve(again, is_new=True) == found
    assert (found.is_off, found.off_noted) == (was_off, 3 if was_off else 0)


async def test_what_does_not_say_how_often_state_was_written_had_one() -> None:
    said = {name: one for name, one in WHOLE.items() if name != "commits"}
    found = await load(config_map(orjson.dumps(said)))

    assert found.commits == 1


async def test_an_object_that_is_not_there_and_may_not_be_made_says_nothing() -> None:
    works = Installation(ID, 5)

    assert await note_later(Nowhere(), works) is works


class Nowhere(FaultyStore):
    async def load(self) -> Stored:
        raise Absent("not there")


async def test_another_off_is_another_one(tmp_path: Path) -> None:
    kept = FileStore(tmp_path / "installation.json")
    await load_installation(kept, choose_id=chosen, now_seconds=1)
    said = [await note_off(kept, now_seconds=5)]
    await note_begun(kept, now_seconds=8)
    said.append(await note_off(kept, now_seconds=10))
    begun_with, _is_there = await read_installation(kept)
    await note_begun(kept, now_seconds=20)
    # Also by a clock that was set back.
    said.append(await note_off(kept, now_seconds=3))
    # One that has obeyed the off before takes back neither this one nor what it says.
    noted = await note_begun(kept, now_seconds=30, went_by=begun_with)
    found, _is_there = await read_installation(kept)

    assert (said, noted) == ([5, 10, 11], None)
    assert found is not None
    assert (found.is_off, found.not_before, found.commits) == (True, 21, 1)


@pytest.mark.parametrize("sends", [True, False])
async def test_only_a_beginning_changes_the_mode(tmp_path: Path, *, sends: bool) -> None:
    kept = FileStore(tmp_path / "installation.json")
    await kept.save(orjson.dumps(WHOLE | {"sends": not sends, "is_off": False}), "")
    noted = await note_later(kept, Installation(ID, 5, sends=sends), sends=sends)
    found, _is_there = await read_installation(kept)

    assert found is not None
    assert (noted, found.sends, found.commits) == (found, not sends, 7)


@pytest.mark.parametrize(
    ("said", "is_off"), [({}, False), ({"sends": True}, False), ({"sends": False}, True)], ids=str
)
async def test_one_of_an_older_release_may_have_been_off(
    tmp_path: Path, said: dict[str, object], *, is_off: bool
) -> None:
    """It says the same of the mode `local`."""
    kept = FileStore(tmp_path / "installation.json")
    await kept.save(orjson.dumps(WHOLE | said), "")
    found, _is_there = await read_installation(kept)

    assert found is not None
    assert (found.is_off, found.off_noted, found.not_before) == (is_off, 0, 0)
    # Such a replica that stands by leaves out what it does not know.
    works = attrs.evolve(found, is_off=False)
    assert (await note_later(kept, works) is None) is is_off


@pytest.mark.parametrize("sends", [True, False])
async def test_one_that_works_misses_no_off_that_somebody_else_has_taken_back(
    tmp_path: Path, *, sends: bool
) -> None:
    kept = FileStore(tmp_path / "installation.json")
    await kept.save(orjson.dumps(WHOLE | {"sends": sends, "is_off": False}), "")
    works, _is_there = await read_installation(kept)
    assert works is not None
    goes_on = await note_later(kept, works)
    await note_off(kept, now_seconds=9)
    again = await note_begun(kept, now_seconds=20, sends=sends)

    assert goes_on is not None
    assert await note_later(kept, goes_on) is None
    assert again is not None
    assert await note_later(kept, again) == again
    # Nor does a beginning, if both happened after its first look.
    assert await note_begun(kept, now_seconds=30, went_by=works, sends=sends) is None


@pytest.mark.parametrize(
    "data", [b'{"version":1,"sends":false}\n', b'{ "sends": false, "version": 1 }']
)
async def test_an_off_that_somebody_has_edited_is_one(tmp_path: Path, data: bytes) -> None:
    kept = FileStore(tmp_path / "installation.json")
    await kept.save(data, "")
    works = await note_later(kept, Installation(ID, 5))
    said = await note_off(kept, now_seconds=1)
    stays = (await kept.load()).data
    found = await load_installation(kept, choose_id=chosen, now_seconds=1)

    assert (works, said, stays, found.is_off) == (None, 0, data, True)


async def test_an_off_from_before_there_was_an_id_is_known_to_whoever_chooses_one(
    tmp_path: Path,
) -> None:
    kept = FileStore(tmp_path / "installation.json")
    said = [await note_off(kept, now_seconds=1, noted=one) for one in (None, 0)]
    data = (await kept.load()).data
    none, is_there = await read_installation(kept)
    found = await load_installation(kept, choose_id=chosen, now_seconds=1)
    again = await load_installation(kept, choose_id=nobody, now_seconds=1)

    assert (said, none, is_there) == ([0, 0], None, True)
    # No id is chosen while it stands.
    assert data == b'{"version":1,"sends":false}'
    assert (found.id, found.sends, found.is_new) == (ID, False, True)
    assert (found.is_off, again.is_off) == (True, True)


async def test_one_that_works_misses_no_off_of_which_alone_the_object_tells(tmp_path: Path) -> None:
    kept, works = FileStore(tmp_path / "installation.json"), Installation(ID, 5, off_noted=7)
    there = await note_later(kept, works)
    said = await note_off(kept, now_seconds=9, noted=7)
    noted = [await note_later(kept, works, sends=sends) for sends in (True, False)]

    # Somebody has deleted it since, so that nobody has obeyed.
    assert (there, said, noted) == (works, 0, [None, None])


async def note_later(
    kept: Store, went_by: Installation, *, sends: bool = True, slot: str = "", commits: int = 7
) -> Installation | None:
    """Note what one that works does at the end of a window."""
    return await note(
        kept,
        slot=slot,
        commits=commits,
        withholding=Withholding({}),
        sends=sends,
        now_seconds=8,
        went_by=went_by,
    )


async def note_begun(
    kept: Store,
    *,
    now_seconds: int,
    went_by: Installation | None = None,
    sends: bool = True,
    slot: str = "",
) -> Installation | None:
    """Note what a beginning does which has obeyed what stands there now."""
    went_by = went_by or (await read_installation(kept))[0]
    assert went_by is not None
    return await note(
        kept,
        slot=slot,
        commits=1,
        withholding=Withholding({}),
        sends=sends,
        now_seconds=now_seconds,
        went_by=went_by,
        begins=True,
    )


async def chosen() -> str:
    return ID


async def test_what_others_wrote_into_the_metadata_stays(tmp_path: Path) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1"}
    theirs = {
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "ownerReferences": [owner],
        "finalizers": ["example.org/wait"],
    }
    async with Cluster.running() as cluster:
        cluster.namespace("botkube")
        objects = cluster.server.store
        made = {"metadata": {"name": "installation", **theirs}}
        objects.create(CONFIGMAPS, "botkube", made, at=0)
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_bytes(orjson.dumps(cluster.server.kubeconfig()))
        async with Client(Access(str(kubeconfig)), "test") as client:
            kept = ConfigMapStore(client, "botkube", "installation")
            await kept.save(b"{}", (await kept.load()).version)
        metadata = objects.get(CONFIGMAPS, "botkube", "installation")["metadata"]

    assert {key: metadata[key] for key in theirs} == theirs


ODD = [
    {},
    {"metadata": [1]},
    {"metadata": {}},
    {"metadata": {"resourceVersion": "1"}, "binaryData": [1]},
    {"metadata": {"resourceVersion": "1"}, "binaryData": {"state": 7}},
    {"metadata": {"resourceVersion": "1"}, "binaryData": {"state": "A"}},
]


@pytest.mark.parametrize("answer", ODD, ids=str)
async def test_an_answer_that_is_no_config_map_is_a_failure_to_read(answer: object) -> None:
    with pytest.raises(StateError, match="cannot read ConfigMap"):
        await load(answer)


@frozen
class Gone:
    """An API server without the object, which another replica makes just before this one does."""

    asked: list[str] = field(factory=list)

    async def request(self, method: str, path: str, *, body: object = None) -> Any:  # noqa: ANN401
        del path, body
        self.asked.append(method)
        if method == "POST":
            raise ApiError(409, "exists")
        if len(self.asked) == 1:
            raise ApiError(404, "not found")
        return config_map(b"theirs")


@pytest.mark.parametrize(
    ("is_owner", "found", "asked"),
    [(True, Stored(b"theirs", "1"), ["GET", "POST", "GET"]), (False, Stored(None, ""), ["GET"])],
)
async def test_what_is_not_there_is_made_by_its_owner_or_by_another_replica(
    found: Stored, asked: list[str], *, is_owner: bool
) -> None:
    server = Gone()
    kept = ConfigMapStore(server, "botkube", "installation", is_owner)

    assert (await kept.load(), server.asked) == (found, asked)


async def test_an_object_is_written_up_to_the_most_that_it_may_hold() -> None:
    kept = store(config_map(b""))

    assert await kept.save(bytes(MAX_OBJECT_BYTES), "1") == "1"
    with pytest.raises(StateError, match="too large"):
        await kept.save(bytes(MAX_OBJECT_BYTES + 1), "1")


@pytest.mark.parametrize("answer", ODD[:3], ids=str)
async def test_an_answer_that_is_no_config_map_is_a_failure_to_write(answer: object) -> None:
    with pytest.raises(StateError, match="cannot write ConfigMap"):
        await store(answer).save(b"{}", "1")
