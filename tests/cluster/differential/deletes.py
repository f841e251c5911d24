"""Deletes: what goes, what is kept, and what a delete may say of itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tests.cluster.differential.ask import CORE, LEASES, Ask, Aspect, Json, config_map, get, lease

MAPS = f"{CORE}/configmaps"
MANY = "?labelSelector=many"
WHOLE: Collection[Aspect] = {"status", "reason", "message", "body"}

FOREGROUND = "an object is deleted at once: what waits for an object's dependents is not modelled"
AT_ONCE = "nobody deletes many objects with one request"
STOPPING = "a pod goes when its node has stopped it, which is the part of the driver of a test"


def delete(path: str, body: Json | str | None = None, **more: Any) -> Ask:  # noqa: ANN401 as Ask
    return Ask("DELETE", path, body, **more)


DRY: tuple[Json, ...] = ({"dryRun": ["All"]}, {"dryRun": ["All", "All"]})
WRONG: tuple[Json | str, ...] = (
    "{", "[]", "1", "null x", {"preconditions": {"uid": "x"}}, {"preconditions": "x"},
    {"preconditions": {"resourceVersion": "1"}}, {"preconditions": {"uid": 1}},
    {"propagationPolicy": "x"}, {"propagationPolicy": 1}, {"orphanDependents": "yes"},
    {"orphanDependents": True, "propagationPolicy": "Background"}, {"gracePeriodSeconds": "x"},
    {"dryRun": ["x"]}, {"dryRun": "All"}, {"dryRun": [1]}, {"kind": "Foo"}, {"apiVersion": "v7"},
)  # fmt: skip
RIGHT: tuple[Json | str | None, ...] = (
    None, "", "{}", "null", {"kind": "DeleteOptions", "apiVersion": "v1"}, {"dryRun": []},
    {"gracePeriodSeconds": 0}, {"propagationPolicy": "Background"}, {"orphanDependents": False},
    {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}, {"unknown": "x"},
)  # fmt: skip

SCRIPT: tuple[Ask, ...] = (
    Ask("POST", MAPS, config_map("kept")),
    delete(f"{MAPS}/none"), delete(f"{LEASES}/none"), delete(f"{CORE}/pods/none"),
    delete(f"{MAPS}/kept", who="agent"), delete(f"{MAPS}/kept?dryRun=All"),
    delete(f"{MAPS}/kept?gracePeriodSeconds=x"), delete(f"{MAPS}/kept", "{}", kind="text/plain"),
    *(delete(f"{MAPS}/kept", body) for body in (*DRY, *WRONG)),
    get(f"{MAPS}/kept"),
    *(
        ask for number, body in enumerate(RIGHT) for ask in (
            Ask("POST", MAPS, config_map(f"gone{number}")), delete(f"{MAPS}/gone{number}", body),
            get(f"{MAPS}/gone{number}")
        )
    ),
    delete(f"{MAPS}/kept?gracePeriodSeconds=0"), delete(f"{MAPS}/kept"),
    # One that is there again is another one.
    Ask("POST", MAPS, config_map("gone"), keep="gone"),
    delete(f"{MAPS}/gone", {"preconditions": {"uid": "<uid:gone>"}}),
    Ask("POST", MAPS, config_map("gone"), keep="back"),
    Ask("PUT", f"{MAPS}/gone", config_map("gone", meta_uid="<uid:gone>")),
    Ask("PUT", f"{MAPS}/gone", config_map("gone", meta_resourceVersion="<rv:gone>")),
    Ask("POST", LEASES, lease("lease")), delete(f"{LEASES}/lease", who="agent"),
    delete(f"{LEASES}/lease"),
    # What may be created by an update needs the right to create.
    *(
        Ask("PUT", f"{LEASES}/lease", body, who="agent") for body in (
            lease("lease"), lease("lease", meta_resourceVersion="1"),
            lease("lease", spec={"leaseDurationSeconds": -1}), lease("lease", meta_uid="x"),
            lease("lease", meta_resourceVersion="x"),
        )
    ),
    get(f"{LEASES}/lease"),
    # Not modelled.
    delete(MAPS, who="agent"), delete(f"{MAPS}{MANY}", differs=(AT_ONCE, WHOLE)),
    delete(f"{LEASES}{MANY}", differs=(AT_ONCE, WHOLE)),
    delete(f"{CORE}/pods{MANY}", differs=(AT_ONCE, WHOLE)),
    delete(f"{CORE}/pods/lines", differs=(STOPPING, WHOLE)),
    delete(
        f"{MAPS}/gone", {"propagationPolicy": "Foreground"},
        differs=(FOREGROUND, {"reason", "message", "body"})
    ),
)  # fmt: skip
