"""What the kubelet serves of a container's log: a pure model of its own reader.

Follows the kubelet's `ReadLogs` and its choice of the container instance step by step, with the
effects that matter to a tailer: the filter looks at every record from byte 0 of the newest file,
the pieces of a long line are joined behind the first one's stamp, only the newest file is ever
opened, and a follow that was overtaken by two rotations goes on in the newest file without a sign,
and then reads it once more from its beginning (seen on a kubelet 1.34).
No I/O and no clock.

Simplified: the kubelet reacts to queued inotify events; here a rotation between opening and the
first end of file is never missed.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from tests.sim.crilog import Instance
from tests.sim.gotime import fixed_stamp, in_zone_of, parse_stamp, trimmed_stamp

StampStyle = Literal["fixed", "trimmed"]


class KubeletError(Exception):
    """The kubelet refused before the first byte; the API server makes a 400 of it."""


@attrs.frozen
class LogOptions:
    """What a reader asked for, as the kubelet understands it; -1 stands for "all"."""

    follow: bool = False
    timestamps: bool = False
    since: int | None = None
    tail: int = -1
    limit_bytes: int = -1


@attrs.frozen
class Habits:
    """How this kubelet differs from the current one.

    The current one always prints nine digits and stamps a line once; `trimmed` prints the fraction
    without trailing zeros, older kubelets put a stamp before each piece of a long line.
    `serves_again` is whether a follow that had to wait over several rotations opens the newest file
    once for each.
    """

    stamps: StampStyle = "fixed"
    stamp_each_piece: bool = False
    serves_again: bool = True


class Reader:
    """One open log request; `read` gives what can be served now."""

    def __init__(
        self, instance: Instance, options: LogOptions, habits: Habits | None = None
    ) -> None:
        self.instance = instance
        self.options = options
        self.habits = habits or Habits()
        self.finished = False
        self._file = instance.newest
        self._files = len(instance.files)
        self._offset = _tail_offset(self._file.data, options.tail)
        self._records_left = -1 if options.follow else options.tail
        self._remain = options.limit_bytes
        self._at_line_start = True
        # By the first record that it reads the kubelet decides what the file's format is.
        self._has_format = False

    def read(self, size: int = 64 * 1024) -> bytes:
        """Return at least `size` bytes if there are as many; nothing means "wait" or `finished`."""
        out = bytearray()
        while len(out) < size and not self.finished:
            if self._records_left == 0:
                self.finished = True
                break
            end = self._file.data.find(b"\n", self._offset) + 1
            if end == 0:
                if self._end_of_file():
                    continue
                break
            record = bytes(self._file.data[self._offset : end])
            self._offset = end
            self._serve(record, out)
        return bytes(out)

    def _end_of_file(self) -> bool:
        """Open the newest file once for each that was begun, as in reality.

        So those between are skipped, and the newest is then read again from its beginning.
        """
        if self.options.follow and len(self.instance.files) > self._files:
            self._files = self._files + 1 if self.habits.serves_again else len(self.instance.files)
            self._file, self._offset = self.instance.newest, 0
            return True
        self.finished = not self.options.follow or self.instance.ended
        return False

    def _serve(self, record: bytes, out: bytearray) -> None:
        try:
            stamp, stream, tag, text = record.split(b" ", 3)
            at = parse_stamp(stamp.decode())
            if stream not in {b"stdout", b"stderr"}:
                raise ValueError(stream)  # noqa: TRY301 - one way out for all that is no record
        except ValueError:
            if not self._has_format:
                raise KubeletError(f"unsupported log format: {record!r}") from None
            return  # the kubelet logs the fault and says nothing to the reader
        self._has_format = True
        if tag.split(b":")[0] == b"P":
            text = text.removesuffix(b"\n")
        if self.options.since is None or at >= self.options.since:
            self._print(at, stamp.decode(), text, out)
        self._records_left -= self._records_left > 0
        # The flag is one for both streams and moves even over records that the filter left out.
        self._at_line_start = not text or text.endswith(b"\n")

    def _print(self, at: int, written: str, text: bytes, out: bytearray) -> None:
        if self.options.timestamps and (self._at_line_start or self.habits.stamp_each_piece):
            style = fixed_stamp if self.habits.stamps == "fixed" else trimmed_stamp
            # The hour stays that of the zone in which the runtime wrote it.
            text = in_zone_of(written, at, style).encode() + b" " + text
        if self._remain >= 0:
            text = text[: self._remain]
            self._remain -= len(text)
            self.finished = self._remain == 0
        out += text


@attrs.define(eq=False)
class Kubelet:
    """All container instances whose logs still exist, by containerID."""

    habits: Habits = attrs.field(factory=Habits)
    instances: dict[str, Instance] = attrs.field(factory=dict)

    def add(self, container_id: str) -> Instance:
        """Begin the log of a new container instance."""
        self.instances[container_id] = Instance(container_id)
        return self.instances[container_id]

    def remove(self, container_id: str) -> None:
        """Forget an instance, as garbage collection does; the pod's status still names it."""
        self.instances.pop(container_id, None)

    def open(
        self, pod: dict[str, Any], container: str, options: LogOptions, *, previous: bool
    ) -> Reader | bytes:
        """Open a log by the pod's status; bytes are error text that goes out with status 200."""
        container_id = pick_instance(pod, container, previous=previous)
        instance = self.instances.get(container_id)
        if instance is None:
            return f"unable to retrieve container logs for {container_id}".encode()
        return Reader(instance, options, self.habits)


def pick_instance(pod: dict[str, Any], container: str, *, previous: bool) -> str:
    """Choose the containerID that a request means, or raise `KubeletError`."""
    where = f'container "{container}" in pod "{pod["metadata"]["name"]}"'
    status = _container_status(pod, container)
    if status is None:
        raise KubeletError(f"{where} is not available")
    state = status.get("state") or {"waiting": {"reason": "ContainerCreating"}}
    dead = (status.get("lastState") or {}).get("terminated")
    dead_id = str((dead or {}).get("containerID", ""))
    if previous:
        if not dead_id:
            raise KubeletError(f"previous terminated {where} not found")
        return dead_id
    if "running" in state:
        return str(status["containerID"])
    if "terminated" in state or dead is not None:
        chosen = str(state.get("terminated", {}).get("containerID", "")) or dead_id
        if not chosen:
            raise KubeletError(f"{where} is terminated")
        return chosen
    raise KubeletError(f"{where} is waiting to start: {_waiting_words(state['waiting'])}")


def _waiting_words(waiting: dict[str, Any]) -> str:
    reason = str(waiting.get("reason", ""))
    return {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(reason, reason)


def _container_status(pod: dict[str, Any], container: str) -> dict[str, Any] | None:
    for part in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for status in pod.get("status", {}).get(part, ()):
            if status["name"] == container:
                found: dict[str, Any] = status
                return found
    return None


def _tail_offset(data: bytearray, records: int) -> int:
    """Find where the last `records` records begin; a piece counts as a record."""
    if records < 0:
        return 0
    offset = len(data)
    for _ in range(records):
        if offset == 0:
            break
        offset = data.rfind(b"\n", 0, offset - 1) + 1
    return offset
