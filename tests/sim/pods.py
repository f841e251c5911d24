"""One simulated pod: its containers start, write, crash, wait in back-off, restart and go.

Owns the statuses that the kubelet would report; the logs behind them are the kubelet's. Time is an
argument of every step, in nanoseconds since the epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import attrs

from tests.sim.botkube import Action
from tests.sim.crilog import Instance, Stream
from tests.sim.gotime import SECOND, seconds_stamp
from tests.sim.status import Json, Kind
from tests.sim.store import PODS


class Logs(Protocol):
    """Where the logs of container instances are."""

    @property
    def instances(self) -> Mapping[str, Instance]: ...
    def add(self, container_id: str) -> Instance: ...
    def remove(self, container_id: str) -> None: ...


class Objects(Protocol):
    """Where the pods are, to report on them."""

    def get(self, kind: Kind, namespace: str, name: str) -> Json: ...
    def update(self, kind: Kind, namespace: str, name: str, obj: Json) -> Json: ...
    def delete(self, kind: Kind, namespace: str, name: str) -> object: ...


class Server(Protocol):
    """What a pod needs of a cluster: the simulated one, or a real one in `tests/cluster`."""

    @property
    def kubelet(self) -> Logs: ...
    @property
    def store(self) -> Objects: ...


@attrs.define(eq=False)
class Pod:
    """One pod; its first container is the one that the steps mean when none is named."""

    server: Server
    namespace: str
    name: str
    uid: str
    containers: tuple[str, ...]
    _statuses: dict[str, Json] = attrs.field(factory=dict)

    def log(self, container: str = "") -> Instance:
        """Return the log of the container's current instance, dead or alive."""
        status = self._statuses[container or self.containers[0]]
        return self.server.kubelet.instances[status["containerID"]]

    def container_id(self, container: str = "") -> str:
        return str(self._statuses[container or self.containers[0]]["containerID"])

    def names_dead(self, container: str = "") -> bool:
        """Return whether the status names an instance that has ended."""
        return bool(self._statuses[container or self.containers[0]]["lastState"])

    def write(
        self, text: bytes | str, *, at: int, stream: Stream = "stdout", container: str = ""
    ) -> None:
        """Print something; only whole lines reach the log."""
        data = text.encode() if isinstance(text, str) else text
        self.log(container).write(data, at=at, stream=stream)

    def play(self, action: Action) -> None:
        """Print what a writer of BotKube's logs made; a crash in it still has to be ordered."""
        for stream, text in action.parts:
            self.write(text, at=action.at, stream=stream)

    def rotate(self, container: str = "") -> None:
        self.log(container).rotate()

    def start(self, *, at: int, container: str = "") -> None:
        """Start a container for the first time, or again: a new instance with an empty log."""
        name = container or self.containers[0]
        status = self._statuses[name]
        dead = status["state"].get("terminated") or status["lastState"].get("terminated")
        count = status["restartCount"] + (1 if dead else 0)
        before = (status["lastState"].get("terminated") or {}).get("containerID", "")
        if dead and before and before != dead["containerID"]:
            # The node keeps one dead instance per container.
            self.server.kubelet.remove(before)
        seed = f"{self.uid}/{name}/{count}".encode()
        container_id = f"containerd://{hashlib.sha256(seed).hexdigest()}"
        self.server.kubelet.add(container_id)
        self._statuses[name] = status | {
            "containerID": container_id,
            "restartCount": count,
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": seconds_stamp(at)}},
            "lastState": {"terminated": dead} if dead else {},
        }
        self._report()

    def crash(
        self, *, at: int, exit_code: int = 2, reason: str = "Error", container: str = ""
    ) -> None:
        """End a container; its state stays `terminated` until `back_off` or `restart`."""
        name = container or self.containers[0]
        status = self._statuses[name]
        self.log(name).end(at=at)
        terminated = {
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": status["state"]["running"]["startedAt"],
            "finishedAt": seconds_stamp(at),
            "containerID": status["containerID"],
        }
        ended = {"state": {"terminated": terminated}, "ready": False, "started": False}
        self._statuses[name] = status | ended
        self._report()

    def back_off(self, container: str = "") -> None:
        """Wait in CrashLoopBackOff: requests with `previous` and without mean one instance."""
        name = container or self.containers[0]
        status = self._statuses[name]
        words = (
            f"back-off 10s restarting failed container={name} "
            f"pod={self.name}_{self.namespace}({self.uid})"
        )
        self._statuses[name] = status | {
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": words}},
            "lastState": {"terminated": status["state"]["terminated"]},
        }
        self._report()

    def restart(self, *, at: int, container: str = "") -> None:
        """Start the container again, after `crash` or `back_off`."""
        self.start(at=at, container=container)

    def lose(self) -> None:
        """Let the runtime not find what runs on: the kubelet names no id.

        Where no instance has ended before it counts a restart.
        """
        name = self.containers[0]
        status = self._statuses[name] | {
            "containerID": "",
            "state": {"waiting": {"reason": "ContainerCreating"}},
        }
        if not self.names_dead():
            unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}
            status["lastState"] = {"terminated": unknown}
            status["restartCount"] += 1
        self._report(status)

    def find(self) -> None:
        """Let the runtime find again what it had lost: its own restart count stands."""
        self._report()

    def replace_lost(self, *, at: int) -> None:
        """Start another in place of what was lost; nobody says any more how that ended."""
        name = self.containers[0]
        status = self._statuses[name]
        self.server.kubelet.remove(status["containerID"])
        count = status["restartCount"] + (not self.names_dead())  # `start` adds one else
        self._statuses[name] = status | {"restartCount": count, "state": {}}
        self.start(at=at)

    def forget_dead(self, container: str = "") -> None:
        """Let the runtime remove the last dead instance, which the status goes on naming."""
        dead = self._statuses[container or self.containers[0]]["lastState"]["terminated"]
        self.server.kubelet.remove(dead["containerID"])

    def begin_delete(self, *, at: int, grace_seconds: int = 30) -> None:
        """Mark the pod as going; its containers still run and write."""
        obj = self.server.store.get(PODS, self.namespace, self.name)
        obj["metadata"] |= {
            "deletionTimestamp": seconds_stamp(at + grace_seconds * SECOND),
            "deletionGracePeriodSeconds": grace_seconds,
        }
        self.server.store.update(PODS, self.namespace, self.name, obj)

    def evict(self, *, at: int) -> None:
        """End all that runs; the object and the logs stay, as what a node evicts does."""
        for container, status in self._statuses.items():
            if "running" in status["state"]:
                self.crash(at=at, exit_code=137, container=container)
        obj = self.server.store.get(PODS, self.namespace, self.name)
        obj["status"] |= {"phase": "Failed", "reason": "Evicted"}
        self.server.store.update(PODS, self.namespace, self.name, obj)

    def remove(self, *, at: int, exit_code: int = 0, reason: str = "Completed") -> None:
        """End what still runs, delete the pod, and its logs with it."""
        for container, status in self._statuses.items():
            if "running" in status["state"]:
                self.crash(at=at, exit_code=exit_code, reason=reason, container=container)
        self.server.store.delete(PODS, self.namespace, self.name)
        for status in self._statuses.values():
            self.server.kubelet.remove(status.get("containerID", ""))

    def wait_to_start(self, reason: str = "ContainerCreating", container: str = "") -> None:
        name = container or self.containers[0]
        self._statuses[name] = {
            "name": name,
            "image": "",
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": reason}},
            "lastState": {},
        }
        self._report()

    def _report(self, first: Json | None = None) -> None:
        """Show the statuses; that of the first container as given, if it is."""
        store = self.server.store
        obj = store.get(PODS, self.namespace, self.name)
        images = {part["name"]: part["image"] for part in obj["spec"]["containers"]}
        shown = self._statuses if first is None else {**self._statuses, first["name"]: first}
        statuses = [
            {**shown[name], "image": images[name]} for name in self.containers if name in shown
        ]
        running = any("running" in status["state"] for status in statuses)
        obj["status"] = {
            "phase": "Running" if running or obj["status"]["phase"] == "Running" else "Pending",
            "podIP": "10.0.0.7",
            "containerStatuses": statuses,
        }
        store.update(PODS, self.namespace, self.name, obj)
