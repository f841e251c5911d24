"""Watches: where they begin, what they bring and how they end."""

from __future__ import annotations

from tests.cluster.differential.ask import (
    CORE,
    LEASES,
    MERGE,
    Ask,
    Script,
    config_map,
    get,
    lease,
)

MAPS, PODS = f"{CORE}/configmaps", f"{CORE}/pods"
WATCH = "watch=1&timeoutSeconds=1&labelSelector=w"
LIST, MARKS = "resourceVersion=<rv:list>", "allowWatchBookmarks=true"
FROM = "resourceVersionMatch=NotOlderThan"
OLD = "a way to watch that was deprecated before all versions that are supported"
ETCD = "what the database still knows and the server does not is not modelled"
PAST = "a time before now is not modelled: the agent gives none"


def patch(name: str, change: str) -> Ask:
    return Ask("PATCH", f"{MAPS}/{name}", change, kind=MERGE)


BEGINNINGS = (
    "", "&resourceVersion=", "&resourceVersion=0", f"&{LIST}", "&resourceVersion=<rv:first>",
    "&resourceVersion=x", "&resourceVersion=-1", "&resourceVersion=999999999", f"&{LIST}&{FROM}",
    f"&{LIST}&resourceVersionMatch=Exact", f"&{LIST}&resourceVersionMatch=x",
    "&sendInitialEvents=true", f"&sendInitialEvents=true&{FROM}",
    f"&sendInitialEvents=false&{FROM}",
    f"&sendInitialEvents=true&{FROM}&{MARKS}", f"&sendInitialEvents=true&{FROM}&{LIST}&{MARKS}",
    "&limit=1", "&continue=x", f"&continue=x&{LIST}", "&pretty=true", "&limit=x",
    f"&{LIST}&allowWatchBookmarks=x", f"&{LIST}&{MARKS}", f"&{MARKS}",
    f"&{MARKS}&resourceVersion=0",
    "&fieldSelector=metadata.name%3Dfirst", "&fieldSelector=metadata.name%3Dnone",
)  # fmt: skip
OTHERS = (
    f"{MAPS}?watch=1&timeoutSeconds=x", f"{MAPS}?watch=true&timeoutSeconds=1&labelSelector=a+b",
    f"{MAPS}?watch=true&timeoutSeconds=1&fieldSelector=spec.x%3D1", f"{MAPS}/first?{WATCH}",
    *(f"{MAPS}?watch{one}&timeoutSeconds=1&labelSelector=w" for one in ("", "=True", "=t", "=yes")),
    f"/api/v1/namespaces/none/configmaps?{WATCH}", f"/api/v1/configmaps?{WATCH}&{LIST}",
    f"{PODS}?watch=1&timeoutSeconds=1&fieldSelector=spec.nodeName%3D",
    f"{PODS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dtwo",
    f"{PODS}?watch=1&timeoutSeconds=1&labelSelector=app%3Dother",
)  # fmt: skip

SCRIPT: Script = (
    Ask("POST", MAPS, config_map("first", meta_labels={"w": "1"}), keep="first"),
    Ask("POST", MAPS, config_map("second", meta_labels={"w": "1", "x": "1"})),
    get(f"{MAPS}?labelSelector=w", keep="list"),
    tuple(get(f"{MAPS}?{WATCH}{one}") for one in BEGINNINGS),
    tuple(map(get, OTHERS)),
    get(f"{MAPS}?watch=1&timeoutSeconds=-1", seconds=1, differs=(PAST, {"body"})),
    get(
        f"/api/v1/watch/namespaces/<ns>/configmaps?{WATCH}",
        differs=(OLD, {"status", "reason", "message", "body"}),
    ),
    get(f"{MAPS}?{WATCH}", who="agent"),
    get(f"{MAPS}?{WATCH}", who="stranger"),
    get(f"{MAPS}?{WATCH}", who="nobody"),
    get(f"/api/v1/pods?{WATCH}", who="agent"),
    get(f"{PODS}?{WATCH}", who="agent"),
    get(f"{MAPS}?{WATCH}", accept="text/html"),
    # What comes in meanwhile. What leaves the selection is deleted for it, and a last bookmark
    # comes two seconds before the end.
    get(
        f"{MAPS}?watch=1&timeoutSeconds=4&labelSelector=w&{LIST}&{MARKS}",
        has_marks=True,
        during=(
            Ask("POST", MAPS, config_map("third", meta_labels={"w": "1"})),
            patch("third", '{"data":{"a":"1"}}'),
            patch("third", "{}"),
            patch("third", '{"metadata":{"labels":{"w":null}}}'),
            patch("third", '{"data":{"b":"1"}}'),
            patch("third", '{"metadata":{"labels":{"w":"2"}}}'),
            Ask("DELETE", f"{MAPS}/third"),
            Ask("POST", MAPS, config_map("unseen")),
        ),
    ),
    get(
        f"{MAPS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dfirst&{LIST}",
        during=(patch("first", '{"data":{"a":"1"}}'), patch("second", '{"data":{"a":"1"}}')),
    ),
    get(
        f"{LEASES}?watch=1&timeoutSeconds=1",
        during=(
            Ask("POST", LEASES, lease("l", spec={"holderIdentity": "x"})),
            Ask("DELETE", f"{LEASES}/l"),
        ),
    ),
)

BEFORE: Script = (
    Ask("POST", MAPS, config_map("first", meta_labels={"w": "1"}), keep="first"),
    Ask("POST", MAPS, config_map("second", meta_labels={"w": "1"})),
)
AFTER: Script = (
    get(f"{MAPS}?{WATCH}&resourceVersion=<rv:first>"),
    get(f"{MAPS}?{WATCH}&resourceVersion=<rv:first>&{MARKS}"),
    get(f"{MAPS}?labelSelector=w&resourceVersion=<rv:first>"),
    get(
        f"{MAPS}?labelSelector=w&resourceVersion=<rv:first>&resourceVersionMatch=Exact",
        differs=(ETCD, {"status", "reason", "message", "body"}),
    ),
    get(f"{MAPS}/first?resourceVersion=<rv:first>"),
    get(f"{MAPS}?{WATCH}"),
)
"""After a restart the server knows nothing of what was before."""
