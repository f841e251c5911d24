"""`GET …/pods/NAME/log`: from the request's options to the bytes of the stream.

Owns what the API server itself decides: options that it refuses, the choice of the container,
`sinceTime` cut to whole seconds, and how finely the stream is cut. What the lines are is the
kubelet's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import attrs

from tests.sim import status
from tests.sim.gotime import SECOND, parse_stamp
from tests.sim.kubelet import Kubelet, KubeletError, LogOptions, Reader
from tests.sim.query import boolean, integer
from tests.sim.status import Json
from tests.sim.wire import Wire

_READ_BYTES = 64 * 1024
_HALF = 1 << 63


@attrs.frozen
class LogRequest:
    """A decoded and valid request."""

    container: str
    previous: bool
    options: LogOptions


def parse_request(name: str, query: Mapping[str, str], *, now: int) -> LogRequest:
    """Decode the options, with the API's answers to those that it cannot take."""
    tail = integer(query, "tailLines")
    limit = integer(query, "limitBytes")
    seconds = integer(query, "sinceSeconds")
    since_time = _since_time(query)
    _validate(
        name,
        tail=tail,
        limit=limit,
        seconds=seconds,
        since_time=since_time,
        stream=query.get("stream"),
    )
    # `sinceSeconds` keeps the kubelet's own nanoseconds; `sinceTime` loses its fraction on
    # the way there.
    since = None if since_time is None else since_time // SECOND * SECOND
    if seconds is not None:
        # What is more than 64 bits of nanoseconds runs over.
        since = now - ((seconds * SECOND + _HALF) % (2 * _HALF) - _HALF)
    options = LogOptions(
        follow=boolean(query, "follow"),
        timestamps=boolean(query, "timestamps"),
        since=since,
        tail=-1 if tail is None else tail,
        limit_bytes=-1 if limit is None else limit,
    )
    return LogRequest(query.get("container", ""), boolean(query, "previous"), options)


async def serve_log(
    kubelet: Kubelet, pod: Json, wanted: LogRequest, wire: Wire, headers: Mapping[str, str]
) -> None:
    """Stream one container's log until its end, or for ever if it is followed."""
    container = _choose_container(pod, wanted.container)
    if not pod.get("spec", {}).get("nodeName"):
        await wire.answer(204, b"", {"Cache-Control": headers["Cache-Control"]})
        return
    try:
        opened = kubelet.open(pod, container, wanted.options, previous=wanted.previous)
    except KubeletError as error:
        raise status.bad_request(str(error)) from error
    if isinstance(opened, bytes):
        await wire.begin(200, headers)
        await wire.write(opened)
    else:
        await _stream(opened, wire, headers)
    await wire.finish()


async def _stream(reader: Reader, wire: Wire, headers: Mapping[str, str]) -> None:
    listeners = reader.instance.listeners
    listeners.add(wire.wake.set)
    caught_up = False
    try:
        while True:
            try:
                data = reader.read(_READ_BYTES)
            except KubeletError as error:
                raise status.bad_request(str(error)) from error
            # Nothing at all is sent before the first line, or before the end of an empty log.
            if wire.response is None and (data or reader.finished or wire.is_to_be_cut):
                await wire.begin(200, headers)
            # The kubelet flushes every line: what comes in live goes out line by line.
            for part in _lines(data) if caught_up else [data]:
                await wire.write(part)
            if reader.finished:
                return
            if data:
                await asyncio.sleep(0)  # a backlog of any size must not stop the rest of the loop
            else:
                caught_up = True
                await wire.wait()
    finally:
        listeners.discard(wire.wake.set)


def _lines(data: bytes) -> list[bytes]:
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), rest]


def _choose_container(pod: Json, asked: str) -> str:
    spec, name = pod.get("spec", {}), pod["metadata"]["name"]
    groups = ("initContainers", "containers", "ephemeralContainers")
    every = [part["name"] for group in groups for part in spec.get(group) or ()]
    if asked:
        if asked not in every:
            raise status.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    ordinary = spec.get("containers") or []
    if len(ordinary) == 1:
        return str(ordinary[0]["name"])
    message = f"a container name must be specified for pod {name}"
    if ordinary:
        message += f", choose one of: [{' '.join(every)}]"
    raise status.bad_request(message)


def _validate(
    name: str,
    *,
    tail: int | None,
    limit: int | None,
    seconds: int | None,
    since_time: int | None,
    stream: str | None,
) -> None:
    causes = []
    if tail is not None and tail < 0:
        message = f"Invalid value: {tail}: must be greater than or equal to 0"
        causes.append(status.cause("Invalid", message, "tailLines"))
    if limit is not None and limit < 1:
        message = f"Invalid value: {limit}: must be greater than 0"
        causes.append(status.cause("Invalid", message, "limitBytes"))
    if seconds is not None and since_time is not None:
        message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(status.cause("Forbidden", message, "[]"))
    elif seconds is not None and seconds < 1:
        message = f"Invalid value: {seconds}: must be greater than 0"
        causes.append(status.cause("Invalid", message, "sinceSeconds"))
    if stream is not None:
        causes.append(status.cause("Forbidden", "Forbidden: may not be specified", "stream"))
    if causes:
        raise status.invalid("PodLogOptions", name, *causes)


def _since_time(query: Mapping[str, str]) -> int | None:
    text = query.get("sinceTime", "")
    if text in {"", "null"}:
        return None
    try:
        return parse_stamp(text)
    except ValueError as error:
        raise status.bad_request(str(error)) from error
