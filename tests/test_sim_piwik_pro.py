"""The Piwik PRO collector over real HTTP: hits kept and dropped behind the same answer."""

import contextlib
import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from tests.asking import ask
from tests.sim.piwik_pro import PiwikPro

Hit = dict[str, str]

NOW = 1_795_435_200  # 2026-11-23T12:00:00Z
TOKEN = "0123456789abcdef0123456789abcdef"


@contextlib.asynccontextmanager
async def running(*, counts_bulk: bool = False) -> AsyncIterator[PiwikPro]:
    async with PiwikPro(counts_bulk=counts_bulk).running() as piwik:
        piwik.now = lambda: NOW
        yield piwik


@pytest.fixture
async def piwik() -> AsyncIterator[PiwikPro]:
    async with running() as piwik:
        yield piwik


def hit(**changes: str | None) -> Hit:
    made: dict[str, str | None] = {
        "idsite": "892d04bd-6e2b-4914-bfb4-bac721b37235",
        "rec": "1",
        "url": "https://botkube.invalid/",
        "_id": "257cc22df0ec483a",
        "uia": "1",
        "e_c": "botkube & co",
        "e_a": "Event handled",
        "e_v": "3",
        "send_image": "0",
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


async def send(piwik: PiwikPro, *hits: Hit) -> tuple[int, bytes]:
    body = json.dumps({"requests": [f"?{urlencode(one)}" for one in hits]}).encode()
    return await ask(f"{piwik.url}/ppms.php", body)


async def test_what_comes_twice_counts_twice(piwik: PiwikPro) -> None:
    assert (await send(piwik, hit(), hit())) == (204, b"")
    assert ([hit(), hit()], [], []) == (piwik.accepted, piwik.duplicates, piwik.ips)
    assert (hit(), hit()) == piwik.requests[0].events


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_one_hit_stands_in_the_query(piwik: PiwikPro, method: str) -> None:
    assert (await ask(f"{piwik.url}/ppms.php", method=method, query=hit())) == (204, b"")
    assert [hit()] == piwik.accepted


async def test_without_the_wish_for_none_the_answer_is_a_picture(piwik: PiwikPro) -> None:
    code, picture = await send(piwik, hit(send_image=None))

    assert (code, picture[:6]) == (200, b"GIF89a")


async def test_the_callers_address_is_kept_unless_forbidden(piwik: PiwikPro) -> None:
    await send(piwik, hit(uia=None), hit(uia=None, cip="0.0.0.0", token_auth=TOKEN))

    assert (piwik.ips, len(piwik.accepted)) == (["127.0.0.1"], 2)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (hit(idsite="1"), "idsite"),
        (hit(rec="0"), "rec"),
        (hit(url=None), "url"),
        (hit(_id="257cc22df0ec483"), "_id"),
        (hit(e_c=None), "e_c and e_a"),
        (hit(e_a=" "), "e_c and e_a"),
        (hit(e_n=""), "e_n"),
        (hit(e_v="many"), "e_v"),
        (hit(e_v="-1"), "e_v"),
        (hit(e_v="100000000001"), "e_v"),
        (hit(token_auth="wrong"), "token_auth"),
        (hit(cip="0.0.0.0"), "cip without token_auth"),
        (hit(cdt="2026-11-23T11:00:00Z", token_auth=TOKEN), "cdt"),
        (hit(cdt="2026-11-22 11:59:59"), "cdt without token_auth"),
        (hit(cdt=str(NOW - 86_401)), "cdt without token_auth"),
    ],
)
async def test_invalid_hits_are_dropped_behind_the_same_answer(
    piwik: PiwikPro, wrong: Hit, reason: str
) -> None:
    assert (await send(piwik, wrong, hit())) == (204, b"")
    assert ([hit()], [reason]) == (piwik.accepted, piwik.reasons())


async def test_a_sender_named_like_a_bot_is_dropped_unless_bots_are_wanted(piwik: PiwikPro) -> None:
    agent = "botkube-analytics/1.0"
    await send(piwik, hit(ua=agent), hit(ua=agent, bots="1"))

    assert ([hit(ua=agent, bots="1")], ["bots"]) == (piwik.accepted, piwik.reasons())


async def test_a_hit_of_the_last_day_or_with_a_token_may_be_dated_back(piwik: PiwikPro) -> None:
    day = hit(cdt="2026-11-22 12:00:00")
    old = hit(cdt="1700000000", token_auth=TOKEN)
    await send(piwik, day, old)

    assert ([day, old], []) == (piwik.accepted, piwik.restamped)


async def test_a_time_in_the_future_becomes_now(piwik: PiwikPro) -> None:
    ahead = hit(cdt=str(NOW + 1))
    await send(piwik, ahead)

    assert [ahead] == piwik.restamped


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"requests": [1]}', b'{"requests": []}'])
async def test_a_body_without_hits_is_400(piwik: PiwikPro, body: bytes) -> None:
    assert (await ask(f"{piwik.url}/ppms.php", body))[0] == 400


async def test_a_list_of_hits_may_be_answered_with_how_many_were_tracked() -> None:
    async with running(counts_bulk=True) as piwik:
        code, text = await send(piwik, hit(), hit(rec="0"))

    assert (code, json.loads(text)) == (200, {"status": "success", "tracked": 1, "invalid": 1})
