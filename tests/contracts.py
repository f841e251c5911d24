"""The documented requests of each service, and what in a recorded request departs from them.

A contract is a file in `data/contracts/`: one entry for each field that a document names, with
what that document says of it in our words, and the answers that it promises. Whatever a request
holds that its contract does not name is a fault. The contracts are written from the documents
alone: neither from what the agent sends nor from what `sim/` accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl

import attrs
import yaml

FOLDER = Path(__file__).parent / "data" / "contracts"
SERVICES = ("segment", "posthog", "ga4", "piwik-pro")

Where = Literal["method", "path", "header", "query", "body", "envelope", "event"]
Meaning = Literal["delivered", "dropped", "retry", "rejected"]

# What HTTP itself needs or any client may say.
_HTTP = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)
_UNSET: Any = object()


class Request(Protocol):
    """A recorded request; `text` is its body, unpacked."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> bytes: ...


@attrs.frozen(kw_only=True)
class Field:
    """One field of a request.

    A name with dots is a place inside objects, `*` there is any name that no other entry has, and
    an empty name is the whole body or event. `says` is what the document `source` has on it.
    `fixed` is our own choice among what is allowed, and `absent` is a field that is documented and
    that we never send; both have a `why`. `names` are limits of the names that a `*` stands for,
    and `when` holds a field to events of some kind.
    """

    where: Where
    name: str = ""
    source: str
    says: str
    why: str = ""
    required: bool = False
    absent: bool = False
    type: str = "string"
    fixed: Any = _UNSET
    one_of: tuple[Any, ...] = attrs.field(default=(), converter=tuple)
    none_of: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    no_prefix: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    pattern: str = ""
    max_chars: int | None = None
    max_items: int | None = None
    max_bytes: int | None = None
    min: float | None = None
    max: float | None = None
    names: Mapping[str, Any] = attrs.field(factory=dict)
    when: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def is_our_choice(self) -> bool:
        return self.absent or self.fixed is not _UNSET

    def applies(self, event: Mapping[str, Any]) -> bool:
        return all(event.get(name) == value for name, value in self.when.items())


@attrs.frozen(kw_only=True)
class Answer:
    """An answer and what it means.

    `dropped` is a success that kept nothing; `may_drop` is one behind which single events may have
    been thrown away.
    """

    status: str
    meaning: Meaning
    source: str
    says: str
    body: str = ""
    may_drop: bool = False


@attrs.frozen(kw_only=True)
class Contract:
    """All that is documented of one service; `events` names the list of them in the body.

    An event is an object or, as `query`, the text of a query string.
    """

    service: str
    sources: Mapping[str, str]
    events: str
    event_form: Literal["object", "query"]
    request: tuple[Field, ...]
    answers: tuple[Answer, ...]

    def at(self, where: Where) -> list[Field]:
        return [field for field in self.request if field.where == where]


def load(service: str) -> Contract:
    text = (FOLDER / f"{service}.yaml").read_text("utf-8")
    made = yaml.safe_load(text)
    request = tuple(Field(**entry) for entry in made.pop("request"))
    answers = tuple(Answer(**entry) for entry in made.pop("answers"))
    return Contract(request=request, answers=answers, **made)


def check(contract: Contract, request: Request) -> list[str]:
    """Return all that is wrong with a request, each as a place and a reason."""
    return list(_faults(contract, request))


def _faults(contract: Contract, request: Request) -> Iterator[str]:
    for where, value in (("method", request.method), ("path", request.path)):
        for field in contract.request:
            if field.where == where:
                yield from _value_faults(field, value, where, is_text=True)
    headers = {
        name.lower(): value for name, value in request.headers.items() if name.lower() not in _HTTP
    }
    yield from _object_faults(contract.at("header"), headers, "header", is_text=True)
    yield from _object_faults(contract.at("query"), request.query, "query", is_text=True)
    for field in contract.at("body"):
        yield from _size_faults(field, request.text, "body")
    repeated: list[str] = []
    body = _read(request.text, repeated)
    yield from (f"body: {name} stands twice in an object" for name in repeated)
    if body is None:
        yield "body: is no JSON object"
        return
    yield from _object_faults(contract.at("envelope"), body, "envelope")
    events = body.get(contract.events)
    for index, event in enumerate(events if isinstance(events, list) else []):
        yield from _event_faults(contract, event, f"event {index}")


def _event_faults(contract: Contract, event: object, place: str) -> Iterator[str]:
    is_text = contract.event_form == "query"
    if is_text and isinstance(event, str):
        pairs = parse_qsl(event.removeprefix("?"), keep_blank_values=True)
        of: dict[str, Any] = dict(pairs)
        if len(of) < len(pairs):
            yield f"{place}: a name stands twice"
    elif not is_text and isinstance(event, dict):
        of = event
    else:
        yield f"{place}: is no {contract.event_form}"
        return
    whole = [field for field in contract.at("event") if not field.name]
    for field in whole:
        yield from _size_faults(field, json.dumps(of, ensure_ascii=False).encode(), place)
    fields = [field for field in contract.at("event") if field.name and field.applies(of)]
    yield from _object_faults(fields, of, place, is_text=is_text)


def _object_faults(
    fields: list[Field],
    of: Mapping[str, Any],
    place: str,
    *,
    inside: str = "",
    is_text: bool = False,
) -> Iterator[str]:
    """Check the direct members of an object, and what is in them."""
    here = {
        field.name.removeprefix(inside): field
        for field in fields
        if field.name.startswith(inside) and "." not in field.name.removeprefix(inside)
    }
    others = here.pop("*", None)
    for name, value in of.items():
        field = here.get(name, others)
        where = f"{place}: {inside}{name}"
        if field is None:
            yield f"{where}: is not documented"
            continue
        if field is others:
            named = Field(where=field.where, source=field.source, says="", **field.names)
            yield from _value_faults(named, name, f"{where}: the name", is_text=True)
        yield from _value_faults(field, value, where, is_text=is_text)
        if isinstance(value, Mapping):
            below = f"{field.name}."
            yield from _object_faults(fields, value, place, inside=below, is_text=is_text)
    for name, field in here.items():
        if field.required and name not in of:
            yield f"{place}: {inside}{name}: is missing"


def _value_faults(
    field: Field, value: object, place: str, *, is_text: bool = False
) -> Iterator[str]:
    if field.absent:
        yield f"{place}: is never to be sent"
        return
    if not _types(value, is_text=is_text) & set(field.type.split(" or ")):
        yield f"{place}: is not {field.type}"
        return
    if field.fixed is not _UNSET and not _same(value, field.fixed):
        yield f"{place}: is not {json.dumps(field.fixed)}"
    if field.one_of and not any(_same(value, allowed) for allowed in field.one_of):
        yield f"{place}: is none of {json.dumps(field.one_of)}"
    if isinstance(value, str):
        yield from _text_faults(field, value, place)
    if field.max_items is not None and isinstance(value, Sized) and len(value) > field.max_items:
        yield f"{place}: has more than {field.max_items} members"
    if "number" in _types(value, is_text=is_text):
        number = float(str(value))
        if field.min is not None and number < field.min:
            yield f"{place}: is less than {field.min}"
        if field.max is not None and number > field.max:
            yield f"{place}: is more than {field.max}"


def _text_faults(field: Field, value: str, place: str) -> Iterator[str]:
    if field.pattern and not re.fullmatch(field.pattern, value):
        yield f"{place}: does not match {field.pattern}"
    if field.max_chars is not None and len(value) > field.max_chars:
        yield f"{place}: has more than {field.max_chars} characters"
    if value in field.none_of or value.startswith(field.no_prefix or ("\0",)):
        yield f"{place}: is reserved"


def _size_faults(field: Field, text: bytes, place: str) -> Iterator[str]:
    if field.max_bytes is not None and len(text) > field.max_bytes:
        yield f"{place}: has more than {field.max_bytes} bytes"


def _same(value: object, allowed: object) -> bool:
    """Compare as JSON does: true is not 1."""
    return type(value) is type(allowed) and value == allowed


def _types(value: object, *, is_text: bool) -> set[str]:
    """Return what a value can be read as; text, as in a query, may be a number too."""
    match value:
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number"}
        case None:
            return {"null"}
        case str():
            if not is_text or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
                return {"string"}
            return {"string", "number"} | (set() if "." in value else {"integer"})
        case Mapping():
            return {"object"}
        case _:
            return {"array"}


def _read(text: bytes, repeated: list[str]) -> dict[str, Any] | None:
    """Read a JSON object and note the names that stand twice in one."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        of = dict(pairs)
        if len(of) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in of if names.count(name) > 1)
        return of

    try:
        body = json.loads(text, object_pairs_hook=build)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
