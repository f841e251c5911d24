"""An event loop whose time jumps to the next timer, and whose sockets are pipes of memory.

Nothing in it waits or depends on the machine: the same seed gives the same order of everything. A
server that listens and a client that connects meet by port; bytes arrive after a delay from the
seed, cut at places from the seed. Threads run to their end before the loop goes on.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import chain
from typing import Any, TypeVar

T = TypeVar("T")

MAX_DELAY_SECONDS = 0.02
HIGH_WATER_BYTES = 256 * 1024


class Stuck(Exception):  # noqa: N818 says what the loop is
    """Everybody waits for somebody, and no timer runs."""


class _Jump(selectors.SelectSelector):
    """Waits for no file: time goes by instead, once all threads have ended."""

    def __init__(self, end_threads: Callable[[], bool]) -> None:
        super().__init__()
        self.now = 0.0
        self._end_threads = end_threads

    def select(self, timeout: float | None = None) -> list[Any]:
        if self._end_threads():
            return []
        if timeout is None:
            raise Stuck
        self.now += max(0.0, timeout)
        return []


class _Socket:
    """What is asked of a transport's socket."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def setsockopt(self, *_args: object) -> None:
        pass


class Pipe(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, loop: VirtualLoop, protocol: Any, port: int) -> None:  # noqa: ANN401 any
        super().__init__({"socket": _Socket(("127.0.0.1", port)), "peername": ("127.0.0.1", port)})
        self.peer: Pipe | None = None
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._lost = False
        self._reading = True
        self._arrived: list[bytes | None] = []
        self._under_way = 0
        self._paused_writing = False
        self._due = 0.0

    def begin(self) -> None:
        self._protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        found: asyncio.BaseProtocol = self._protocol
        return found

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self._under_way

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (HIGH_WATER_BYTES // 4, HIGH_WATER_BYTES)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        self._under_way += len(data)
        self._send(bytes(data))
        if self._under_way > HIGH_WATER_BYTES and not self._paused_writing:
            self._paused_writing = True
            self._protocol.pause_writing()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._send(None)
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self._lost:
            self._closing = True
            self._loop.call_soon(self._lose, None)
            peer = self.peer
            if peer is not None and not peer._lost:
                peer._closing = True
                self._loop.call_soon(peer._lose, ConnectionResetError("reset"))

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return self._reading

    def _send(self, data: bytes | None) -> None:
        """Let bytes arrive a little later, in order, perhaps in two parts."""
        rng = self._loop.rng
        parts: list[bytes | None] = [data]
        if data is not None and len(data) > 1 and rng.random() < 0.3:
            cut = rng.randrange(1, len(data))
            parts = [data[:cut], data[cut:]]
        for part in parts:
            now = self._loop.time()
            self._due = max(self._due, now) + rng.random() * MAX_DELAY_SECONDS
            self._loop.call_at(self._due, self._arrive, part)

    def _arrive(self, data: bytes | None) -> None:
        peer = self.peer
        self._under_way -= len(data or b"")
        if self._paused_writing and self._under_way <= HIGH_WATER_BYTES // 4:
            self._paused_writing = False
            if not self._lost:
                self._protocol.resume_writing()
        if peer is not None and not peer._lost:
            peer._arrived.append(data)
            peer._deliver()

    def _deliver(self) -> None:
        while self._arrived and self._reading and not self._lost:
            data = self._arrived.pop(0)
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)


class _Server:
    """A port that is listened on."""

    def __init__(self, loop: VirtualLoop, port: int, make: Callable[[], Any]) -> None:
        self.make = make
        self.sockets = (_Socket(("127.0.0.1", port)),)
        self._loop, self._port = loop, port

    def close(self) -> None:
        self._loop.servers.pop(self._port, None)

    async def wait_closed(self) -> None:
        pass

    def is_serving(self) -> bool:
        return self._port in self._loop.servers


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the file's head."""

    def __init__(self, seed: int) -> None:
        self._jump = _Jump(self._end_threads)
        self._others = set(threading.enumerate())
        self._owner = threading.get_ident()
        self._calls: dict[int | None, list[Callable[[], object]]] = {}
        super().__init__(self._jump)
        self.rng = random.Random(seed)
        self.servers: dict[int, _Server] = {}
        self._ports = 10_000
        self._goals: dict[int, int] = {}

    def time(self) -> float:
        return self._jump.now

    async def create_server(self, protocol_factory: Any, *_args: Any, **_kwargs: Any) -> Any:  # noqa: ANN401
        self._ports += 1
        self.servers[self._ports] = _Server(self, self._ports, protocol_factory)
        return self.servers[self._ports]

    async def sock_connect(self, sock: Any, address: Any) -> None:  # noqa: ANN401
        await asyncio.sleep(self.rng.random() * MAX_DELAY_SECONDS)
        if address[1] not in self.servers:
            raise ConnectionRefusedError(111, "refused")
        self._goals[sock.fileno()] = address[1]

    async def create_connection(
        self,
        protocol_factory: Any,  # noqa: ANN401
        *_args: Any,  # noqa: ANN401
        sock: Any = None,  # noqa: ANN401
        **_kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        port = self._goals.pop(sock.fileno())
        sock.close()
        server = self.servers.get(port)
        if server is None:
            raise ConnectionRefusedError(111, "refused")
        ours, theirs = protocol_factory(), server.make()
        near, far = Pipe(self, ours, port), Pipe(self, theirs, port)
        near.peer, far.peer = far, near
        far.begin()
        near.begin()
        return near, ours

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override] # noqa: ANN401
        """Keep what a thread asks for until it has ended, so that the order is always the same."""
        if threading.get_ident() == self._owner:
            return super().call_soon_threadsafe(callback, *args, context=context)
        call = partial(self.call_soon, callback, *args, context=context)
        self._calls.setdefault(threading.get_ident(), []).append(call)
        return None

    def _end_threads(self) -> bool:
        if not self._calls and threading.active_count() == len(self._others):
            return False  # to look at each of them takes a while
        threads = [one for one in threading.enumerate() if one not in self._others]
        for thread in threads:
            thread.join()
        calls, self._calls = self._calls, {}
        for call in chain.from_iterable(calls.values()):
            call()
        return bool(calls)

    def run_in_executor(self, _executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override] # noqa: ANN401
        """Run a thread's work to its end, so that its time does not count."""
        future = self.create_future()

        def work() -> None:
            try:
                outcome = func(*args)
            except Exception as error:  # noqa: BLE001 it is the caller's
                future.set_exception(error)
            else:
                future.set_result(outcome)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return future


def run(work: Coroutine[Any, Any, T], *, seed: int) -> T:
    """Run something in virtual time; what is left over at the end is cancelled."""
    loop = VirtualLoop(seed)
    # backoff draws its jitter from the one generator that all share.
    random.seed(seed)
    try:
        return loop.run_until_complete(work)
    finally:
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
