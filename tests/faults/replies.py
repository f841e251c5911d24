"""Replies of the simulated kubelet that remember which records each of their lines came from."""

from __future__ import annotations

import attrs

from tests.sim import kubelet
from tests.sim.crilog import Instance
from tests.sim.gotime import parse_stamp
from tests.sim.kubelet import Habits, LogOptions

Place = tuple[str, int, int]
"""Where a record stands: container instance, number of the file, offset in it."""


@attrs.frozen
class Line:
    """One stamped line of a reply: where it ends in the reply, and the records that it shows."""

    end: int
    at_ns: int
    places: tuple[Place, ...]


class Reply(kubelet.Reader):
    """What a request is answered with; `passed` are records that `since` left out, and where."""

    def __init__(self, instance: Instance, options: LogOptions, habits: Habits) -> None:
        super().__init__(instance, options, habits)
        self.opened = len(instance.files) - 1
        self.lines: list[Line] = []
        self.passed: list[Line] = []
        self.skipped: list[tuple[int, int]] = []
        self._sent = 0
        self._begun: list[Place] = []
        self._begun_ns = 0
        self._is_stamped = False

    def read(self, size: int = 64 * 1024) -> bytes:
        data = super().read(size)
        self._sent += len(data)
        return data

    def _end_of_file(self) -> bool:
        before = self.instance.files.index(self._file)
        moved = super()._end_of_file()
        after = self.instance.files.index(self._file)
        if after > before + 1:
            self.skipped.append((before, after))
        return moved

    def _serve(self, record: bytes, out: bytearray) -> None:
        place = (
            self.instance.container_id,
            self.instance.files.index(self._file),
            self._offset - len(record),
        )
        begin, is_stamped = len(out), self._at_line_start
        super()._serve(record, out)
        try:
            at_ns = parse_stamp(record.split(b" ", 1)[0].decode())
        except ValueError:
            return
        if len(out) == begin:
            self.passed.append(Line(self._sent + begin, at_ns, (place,)))
            return
        if self.passed and not self._begun and not is_stamped:
            # Glued to a piece that was left out: shown without a stamp, so as good as left out.
            self.passed.append(Line(self._sent + begin, self.passed[-1].at_ns, (place,)))
        if not self._begun:
            self._begun_ns, self._is_stamped = at_ns, is_stamped
        self._begun.append(place)
        if out.endswith(b"\n"):
            if self._is_stamped:
                self.lines.append(Line(self._sent + len(out), self._begun_ns, tuple(self._begun)))
            self._begun = []
