"""A collector that speaks Piwik PRO's tracking API: `/ppms.php`, one hit or many.

A hit is a query string. Whatever is wrong with it, the answer is the same picture or nothing, 200
or 204; only a body that holds no hits is 400. There are no duplicates: what comes twice counts
twice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import attrs

from tests.sim.receiving import Received, Receiver, Reply, read_json

UNTOKENED_SECONDS = 24 * 3600
"""So far back a hit may be dated without a token."""
MAX_VALUE = 100_000_000_000

Hit = dict[str, str]

_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
)
# Bots are not tracked unless a hit asks for it; what is one is guessed by the name of the sender.
_BOT = re.compile("bot|crawler|spider", re.IGNORECASE)
_VISITOR = re.compile("[0-9a-fA-F]{16}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class PiwikPro(Receiver):
    """The server with its account.

    `ips` are addresses of callers that were kept: of all hits but those with `uia=1`, which asks
    for none, or with a `cip` of their own. `restamped` are accepted hits whose time lay in the
    future and was replaced by now. `counts_bulk` answers many hits in Matomo's form, which says
    how many were tracked.
    """

    def __init__(
        self,
        idsite: str = "892d04bd-6e2b-4914-bfb4-bac721b37235",
        token: str = "0123456789abcdef0123456789abcdef",
        *,
        counts_bulk: bool = False,
        untokened_seconds: int = UNTOKENED_SECONDS,
    ) -> None:
        super().__init__()
        self.idsite = idsite
        self.token = token
        self.counts_bulk = counts_bulk
        self.untokened_seconds = untokened_seconds
        self.ips: list[str] = []
        self.restamped: list[Hit] = []

    def _take(self, received: Received) -> Reply:
        if received.method not in {"GET", "POST"} or received.path != "/ppms.php":
            return Reply(404, b"not found")
        texts, is_bulk = _hits(received)
        hits = [dict(parse_qsl(text.removeprefix("?"), keep_blank_values=True)) for text in texts]
        self.requests.append(attrs.evolve(received, events=tuple(hits)))
        if not hits:
            return Reply(400, b"bad request")
        tracked = sum([self._account(hit, received) for hit in hits])
        if is_bulk and self.counts_bulk:
            invalid = len(hits) - tracked
            return Reply(200, {"status": "success", "tracked": tracked, "invalid": invalid})
        if "0" in {received.query.get("send_image"), *(hit.get("send_image") for hit in hits)}:
            return Reply(204)
        return Reply(200, _GIF, "image/gif")

    def _account(self, hit: Hit, received: Received) -> bool:
        """Keep or drop a hit and say whether it was kept."""
        agent = hit.get("ua", received.headers.get("User-Agent", ""))
        is_bot = _BOT.search(agent) is not None and hit.get("bots") != "1"
        fault = self._fault(hit) or ("bots" if is_bot else "")
        if fault:
            self._drop(fault, hit)
            return False
        self.accepted.append(hit)
        if hit.get("uia") != "1" and "cip" not in hit:
            self.ips.append(received.caller)
        if (_time(hit.get("cdt", "0")) or 0) > self.now():
            self.restamped.append(hit)
        return True

    def _fault(self, hit: Hit) -> str:
        if hit.get("idsite") != self.idsite:
            return "idsite"
        if hit.get("rec") != "1":
            return "rec"
        return _shape_fault(hit) or self._override_fault(hit)

    def _override_fault(self, hit: Hit) -> str:
        """Say which value may not be set without the token."""
        is_trusted = hit.get("token_auth") == self.token
        if "token_auth" in hit and not is_trusted:
            return "token_auth"
        if "cip" in hit and not is_trusted:
            return "cip without token_auth"
        if "cdt" not in hit:
            return ""
        at = _time(hit["cdt"])
        if at is None:
            return "cdt"
        if self.now() - at > self.untokened_seconds and not is_trusted:
            return "cdt without token_auth"
        return ""


def _hits(received: Received) -> tuple[list[str], bool]:
    """Return the hits of a request as query strings, and whether they came as a list."""
    if received.method == "GET" or not received.raw:
        return ([urlencode(received.query)] if received.query else []), False
    # That a packed body is read is documented nowhere: it is taken as it stands.
    body = read_json(received.raw)
    requests = None if body is None else body.get("requests")
    if not isinstance(requests, list) or not all(isinstance(text, str) for text in requests):
        return [], True
    return requests, True


def _shape_fault(hit: Hit) -> str:
    """Say which value has not the form that it must have."""
    if not hit.get("url"):
        return "url"
    if "_id" in hit and not _VISITOR.fullmatch(hit["_id"]):
        return "_id"
    is_event = bool({"e_c", "e_a", "e_n", "e_v"} & hit.keys())
    if is_event and not (hit.get("e_c", "").strip() and hit.get("e_a", "").strip()):
        return "e_c and e_a"
    if hit.get("e_n", "-") == "":
        return "e_n"
    value = hit.get("e_v", "0")
    if not _NUMBER.fullmatch(value) or float(value) > MAX_VALUE:
        return "e_v"
    return ""


def _time(text: str) -> float | None:
    """Read seconds since 1970 or a UTC date and time."""
    if text.isdecimal():
        return float(text)
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
