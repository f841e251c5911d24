"""What nobody thought of when the other scripts were written: verbs, options and bodies at odds.

No request names a version that is long gone: what is answered then depends on when the real server
has compacted its store.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.differential.ask import (
    CORE,
    LEASES,
    MERGE,
    Ask,
    Json,
    Script,
    Who,
    config_map,
    get,
    lease,
)
from tests.cluster.differential.writes import DELETING, PATCH, TWICE

MAPS, PODS = f"{CORE}/configmaps", f"{CORE}/pods"
EVERYBODY: tuple[Who, ...] = ("admin", "agent", "stranger", "nobody")
LOG = f"{PODS}/lines/log"
WATCH = f"{MAPS}?watch=1&timeoutSeconds=1&labelSelector=odd"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
MATCH = "resourceVersionMatch"

UNHEARD = "the parser of HTTP here knows no such method and refuses it before anything looks at it"
SEVERAL = "of several values the first counts: the agent tries nothing out"

GRACE = "an object goes at once, so that nothing is to be said of its grace period"
EARLY = "the year 0 is before what the calendar here knows: the agent's times are of today"
ABSENT = "what the API has beside the objects that the agent asks for is not there"
NAMELESS = "a field that the objects of the simulation lack selects none of them by its emptiness"
SHORT = "whether an answer comes in time is chance: the agent gives no time"

VERBS = ("TRACE", "PROPFIND", "QUERY", "LINK")

QUERIES = (
    "limit=2&limit=x", "Limit=2", "limit=2&continue=", "limit=0&continue=x", "limit=0x10",
    "limit=1&resourceVersion=0&resourceVersionMatch=Exact", f"{MATCH}=", f"{MATCH}=exact",
    f"resourceVersion=&{MATCH}=Exact",
    f"limit=1&resourceVersion=1&{MATCH}=NotOlderThan", "labelSelector=", "fieldSelector=",
    "labelSelector=odd&labelSelector=none", "fieldSelector=metadata.name%3Dx&fieldSelector=",
    "fieldSelector=type%3DOpaque", "fieldSelector=involvedObject.name%3Dx",
    "fieldSelector=data%3Dx", "fieldSelector=metadata.namespace%3D<ns>,metadata.name!%3Dstate",
    "continue=e30", "continue=eyJ2IjoieCJ9", "continue=%25", "continue=x&resourceVersion=x",
    "timeout=1s", "timeout=x", "timeout=-1s", "timeout=0", "timeoutSeconds=0",
    "timeoutSeconds=1.5", "sendInitialEvents=false", "sendInitialEvents=x", "sendInitialEvents=",
    f"sendInitialEvents=true&{MATCH}=NotOlderThan",
    f"sendInitialEvents=false&{MATCH}=NotOlderThan",
    f"sendInitialEvents=true&{MATCH}=Exact&resourceVersion=1", "includeUninitialized=true",
    "export=true", "exact=true", "watch=0&watch=1", "labelSelector=odd%20in%20(1)&limit=1", "=x",
    "&&", "a=b=c", "limit", "resourceVersion=18446744073709551615", "resourceVersion=0.5",
    "resourceVersion=%200", "shardSelector=x",
    "ignoreStoreReadErrorWithClusterBreakingPotential=true",
)  # fmt: skip
BEGINNINGS = (
    "&sendInitialEvents=x", "&sendInitialEvents=", "&sendInitialEvents=false",
    f"&sendInitialEvents=true&{MATCH}=Exact&resourceVersion=1",
    f"&sendInitialEvents=true&{MATCH}=NotOlderThan&resourceVersion=0",
    f"&sendInitialEvents=true&{MATCH}=NotOlderThan&resourceVersion=0&allowWatchBookmarks=true",
    f"&sendInitialEvents=true&{MATCH}=NotOlderThan&allowWatchBookmarks=false",
    f"&sendInitialEvents=false&{MATCH}=NotOlderThan&allowWatchBookmarks=true",
    f"&sendInitialEvents=false&{MATCH}=NotOlderThan&resourceVersion=0",
    f"&sendInitialEvents=false&{MATCH}=NotOlderThan&resourceVersion=<rv:odd>",
    f"&sendInitialEvents=true&{MATCH}=NotOlderThan&resourceVersion=x&allowWatchBookmarks=true",
    f"&sendInitialEvents=true&{MATCH}=NotOlderThan&limit=1&allowWatchBookmarks=true",
    f"&sendInitialEvents=true&{MATCH}=NotOlderThan&continue=x&allowWatchBookmarks=true",
    f"&{MATCH}=NotOlderThan", f"&{MATCH}=Exact&resourceVersion=<rv:odd>",
    "&resourceVersion=18446744073709551615", "&timeout=x", "&labelSelector=none", "&watch=false",
)  # fmt: skip
LOGS = (
    "sinceSeconds=5&sinceTime=2026-11-24T00:00:05Z&container=none", "container=none&tailLines=-1",
    "container=none&previous=true", "container=BAD_NAME", "container=botkube%20",
    "previous=true&follow=true&tailLines=1", "previous=1", "previous", "follow=x",
    "follow=false&follow=true&x", "tailLines=0&limitBytes=1", "tailLines=0&timestamps=true",
    "tailLines=2&limitBytes=1", "limitBytes=1&sinceTime=2026-11-24T00:00:05Z&timestamps=1",
    "tailLines=-0", "tailLines=007", "tailLines=1e1", "tailLines=0x2", "tailLines=1_0",
    "limitBytes=9223372036854775807", "limitBytes=9223372036854775808",
    "tailLines=9223372036854775807", "sinceSeconds=1.5", "sinceSeconds=-0", "sinceSeconds=",
    "limitBytes=", "TailLines=1", "taillines=1", "tail=1", "stream=Stdout", "stream=stdout",
    "stream=All&tailLines=2", "stream=Stderr&limitBytes=5",
    "sinceTime=2026-11-24T00:00:05Z&sinceTime=x", "sinceTime=2026-11-24T00%3A00%3A05Z",
    "sinceTime=%222026-11-24T00:00:05Z%22", "insecureSkipTLSVerifyBackend=x", "dryRun=All",
    "resourceVersion=x", "limit=x", "watch=1", "labelSelector=x", "timeoutSeconds=1", "timeout=x",
)  # fmt: skip
BODIES = (
    '{"metadata":{"name":"odd"},"DATA":{}}', '{"Metadata":{"name":"odd"}}',
    '\ufeff{"metadata":{"name":"odd"}}', '{"metadata":{"name":"odd"}}\n\n',
    '{"metadata":{"name":"odd"}}{"metadata":{"name":"odd"}}',
    '{"metadata":{"name":"odd"},"data":{"k":"\\x"}}',
    '{"metadata":{"name":"odd"},"data":{"k":NaN}}',
    '{"metadata":{"name":"odd"},"data":{"k":true}}',
    '{"metadata":{"name":"odd"},"immutable":null}', '{"metadata":{"name":"odd"},"immutable":1}',
    '[{"metadata":{"name":"odd"}}]', "{'metadata':{}}",
    '{"metadata":{"name":"odd","namespace":""}}', '{"metadata":{"name":"odd","namespace":5}}',
    '{"metadata":{"name":"odd","resourceVersion":" "}}', '{"metadata":{"name":"odd","uid":""}}',
    '{"metadata":{"name":"odd","generateName":"x"}}',
    '{"apiVersion":"v1","kind":"configmap","metadata":{"name":"odd"}}',
    '{"apiVersion":"","kind":"","metadata":{"name":"odd"}}',
    '{"apiVersion":"v1","metadata":{"name":"odd"}}',
    '{"apiVersion":"v1","kind":"List","items":[]}',
    '{"metadata":{"name":"odd","managedFields":[{}]}}',
    '{"metadata":{"name":"odd","finalizers":"x"}}',
    '{"metadata":{"name":"odd","labels":{"a/b/c":"x"}}}',
)  # fmt: skip
DOUBLE = '{"metadata":{"name":"odd"},"data":{"a":"1","a":"2"}}'
OTHER_PATCHES = (
    ('[{"op":"test","path":"/data/a","value":"x"}]', JSON_PATCH),
    ("{}", JSON_PATCH),
    ("[]", JSON_PATCH),
    ("x", JSON_PATCH),
    ('[{"op":"add","path":"/data/b","value":"2"}]', JSON_PATCH),
    ('{"apiVersion":"v1","kind":"ConfigMap","data":{}}', APPLY),
    ("{}", APPLY),
)
PATCHES = (
    ('{"data":{"a":"2"}}', f"{MERGE}; charset=utf-8"), ('{"data":{"a":"2"}}', ""),
    ('{"data":{"a":"2"}}', "application/merge-patch+yaml"), ('{"data":{"a":"2"}}', "*/*"),
    ('{"metadata":{"resourceVersion":"x"}}', MERGE),
    ('{"metadata":{"resourceVersion":""}}', MERGE),
    ('{"metadata":{"resourceVersion":"<rv:odd>"},"data":{"a":"3"}}', MERGE),
    ('{"metadata":"x"}', MERGE), ('{"unknown":1}', MERGE), ('{"metadata":null}', MERGE),
    ('{"immutable":true,"data":{"z":"1"}}', MERGE), ('{"data":{"z":"2"}}', MERGE),
    ('{"immutable":null}', MERGE), ("1", MERGE), ('"x"', MERGE),
)  # fmt: skip


FIELDS = (
    "=",
    "!=",
    "==",
    "=x",
    "x=",
    "metadata.name=lines,",
    "metadata.name=lines,x=1",
    "metadata.namespace=<ns>,metadata.name=lines",
    "metadata.name!=a,metadata.name=lines",
    "metadata.name=lines,metadata.name=odd",
    "metadata.name=..",
    "metadata.name=a/b",
    "metadata.name=a\\,b",
    "status.containerStatuses=x",
)
LISTS = (
    *(f"fieldSelector={one.replace('=', '%3D')}" for one in FIELDS),
    "fieldSelector=&labelSelector=&limit=1", "fieldSelector=%3D&limit=1",
    "fieldSelector=%3Dx&resourceVersionMatch=Exact", "labelSelector=(&resourceVersionMatch=Exact",
    *(f"fieldSelector=metadata.name%3Dlines&{one}" for one in (
        "labelSelector=(", "limit=x", "timeoutSeconds=x",
    )),
)  # fmt: skip
PAGES = ("limit=1", "limit=5", f"limit=5&{MATCH}=NotOlderThan", "limit=0", "limit=5&continue=x")
NOWHERE = (
    f"{CORE}/foo", f"{CORE}/foo/x", f"{CORE}/foo/x/y", f"{CORE}/foo/x/y/z", "/api/v1/foo",
    f"{CORE}/foo?watch=1", "/api/v1/configmaps/x", "/api/v1/pods/x/log", "/api/v2", "/api/v2/pods",
    f"{LOG}/x", "/apis/foo", "/apis/foo/v1", "/apis/foo/v1/x", "/apis/foo/v1/namespaces/x/y/z",
    "/apis/apps/v1/foo", "/apis/apps/v2/deployments", "/api/v1/namespaces/x/", "/foo/bar",
    "//api/v1/pods", "/api//v1/pods",
    *(f"/api/v1/{one}?labelSelector=run%3D<ns>" for one in ("namespaces//pods", "pods/")),
)  # fmt: skip


def _put(body: str | Json, path: str = f"{MAPS}/odd", **more: Any) -> Ask:  # noqa: ANN401 as Ask
    return Ask("PUT", path, body, **more)


SCRIPT: Script = (
    Ask("POST", MAPS, config_map("odd", data={"a": "1"}, meta_labels={"odd": "1"}), keep="odd"),
    Ask("POST", LEASES, lease("odd", spec={"holderIdentity": "me"}), keep="lease"),
    *(Ask(verb, path) for verb in VERBS for path in (MAPS, f"{MAPS}/odd", LOG, "/version", "/x")),
    *(Ask("TRACE", MAPS, who=who) for who in EVERYBODY),
    *(
        Ask(
            "FOO", MAPS, who=who,
            differs=(UNHEARD, {"status", "head", "reason", "message", "body"})
        )
        for who in EVERYBODY
    ),
    Ask("FOO", "/x", differs=(UNHEARD, {"status", "head", "body"})),
    *(get(f"{MAPS}?labelSelector=odd&{one}") for one in QUERIES),
    tuple(get(f"{WATCH}{one}") for one in BEGINNINGS),
    *(get(f"{PODS}?{one}") for one in LISTS), *(get(f"{MAPS}?{one}") for one in LISTS),
    *(get(f"{LEASES}?{one}", who="agent") for one in LISTS),
    *(get(f"{MAPS}?labelSelector=odd&resourceVersion=<rv:odd>&{one}") for one in PAGES),
    *(get(path, who=who) for path in NOWHERE for who in EVERYBODY),
    get(f"{LEASES}?watch=1&timeoutSeconds=3&labelSelector=none&allowWatchBookmarks=true"),
    get(f"{PODS}?watch=1&timeoutSeconds=1&fieldSelector=spec.x%3D1"), get(f"{MAPS}/odd?timeout=x"),
    get(f"{MAPS}/odd?limit=x"), get(f"{MAPS}/odd?resourceVersion=18446744073709551616"),
    get(f"{MAPS}/odd?watch=x"), get(f"{MAPS}/odd?fieldSelector=x"),
    get(f"{MAPS}/odd?watch=1&timeoutSeconds=1"), get(f"{MAPS}/odd%2Fx"), get(f"{MAPS}/odd%00"),
    get(f"{MAPS}/odd?x=%zz"), get(f"{CORE}/configmaps/odd/"), get(f"{CORE}/ConfigMaps"),
    get(f"{CORE}/configmap"), get("/API/v1/namespaces"),
    get("/api/v1/namespaces/<ns>/pods/lines/LOG"), *(get(f"{LOG}?{one}") for one in LOGS),
    Ask("POST", MAPS, DOUBLE, differs=(TWICE, {"head"})), _put(DOUBLE, differs=(TWICE, {"head"})),
    *(Ask("POST", MAPS, body) for body in BODIES), *(_put(body) for body in BODIES),
    _put(config_map("odd", meta_uid="<uid:lease>")),
    _put(config_map("odd", meta_namespace="none")), _put(config_map("Odd")),
    _put(config_map("odd", meta_resourceVersion="<rv:lease>", meta_uid="<uid:odd>")),
    _put(lease("odd")), Ask("PUT", f"{LEASES}/odd", config_map("odd")),
    _put(
        lease("odd", meta_uid="<uid:odd>", meta_resourceVersion="<rv:lease>"), f"{LEASES}/odd"
    ),
    Ask("PUT", f"{LEASES}/odd", lease("odd", spec={"renewTime": "2026-11-24 00:00:00Z"})),
    _put(
        config_map("odd"), f"{MAPS}/odd?dryRun=All&dryRun=x",
        differs=(SEVERAL, {"status", "reason", "body"})
    ),
    Ask("PUT", f"{MAPS}/odd?dryRun=", config_map("odd")),
    Ask("PUT", f"{MAPS}/odd?fieldManager=%00", config_map("odd")),
    Ask("PUT", f"{MAPS}/odd?force=true", config_map("odd")),
    Ask("POST", MAPS, config_map("odd5", meta_resourceVersion="x")),
    Ask("POST", MAPS, config_map("odd6", meta_resourceVersion="00")),
    Ask("POST", MAPS, config_map("odd7", meta_resourceVersion="5", meta_labels={"a b": "x"})),
    Ask("POST", MAPS, None), Ask("PUT", f"{MAPS}/odd", None),
    Ask("POST", f"{MAPS}?limit=x", config_map("odd2")),
    Ask("POST", f"{MAPS}?resourceVersion=x", config_map("odd3")),
    Ask("POST", f"{MAPS}/", config_map("odd4")),
    *(
        _put(config_map("odd"), kind=kind)
        for kind in (
            "application/json, text/plain", "application/jsonx", "json", "application/JSON;q=1",
            "multipart/form-data", "application/cbor",
        )
    ),
    *(Ask("PATCH", f"{MAPS}/odd", body, kind=kind) for body, kind in PATCHES),
    *(
        Ask("PATCH", f"{MAPS}/odd", body, kind=kind, differs=(PATCH, {"status", "reason", "body"}))
        for body, kind in OTHER_PATCHES
    ),
    *(
        Ask("PATCH", f"{MAPS}/odd", {"metadata": {"uid": uid, **stale}}, kind=MERGE)
        for uid in ("", "x", "<uid:odd>", None) for stale in ({}, {"resourceVersion": "1"})
    ),
    Ask("PATCH", f"{MAPS}/odd?force=true", "{}", kind=MERGE),
    Ask("PATCH", f"{MAPS}/odd?dryRun=All", '{"data":{"q":"1"}}', kind=MERGE),
    Ask("PATCH", f"{PODS}/lines/log", "{}", kind=MERGE),
    Ask("DELETE", f"{MAPS}/odd?propagationPolicy=x"),
    Ask("DELETE", f"{MAPS}/odd?gracePeriodSeconds=-1"),
    Ask("DELETE", f"{MAPS}/odd?orphanDependents=x"), Ask("POST", MAPS, config_map("odd")),
    Ask("DELETE", f"{MAPS}/odd?dryRun=x"), Ask("DELETE", f"{MAPS}/odd?dryRun="),
    Ask("DELETE", f"{MAPS}/odd?propagationPolicy="),
    Ask("DELETE", f"{MAPS}/odd?orphanDependents=true&propagationPolicy=Orphan"),
    Ask("DELETE", f"{MAPS}/odd?propagationPolicy=x", "{}"), Ask("POST", MAPS, config_map("odd")),
    Ask("DELETE", f"{MAPS}/odd?resourceVersion=x"),
    Ask("DELETE", f"{MAPS}/odd?uid=x"), Ask("DELETE", f"{MAPS}/odd?resourceVersion=&uid="),
    Ask("DELETE", f"{MAPS}/odd?uid=<uid:odd>"),
    Ask("POST", MAPS, config_map("odd")), Ask("DELETE", f"{MAPS}/odd"),
    get(f"{MAPS}/odd"), Ask("POST", MAPS, config_map("odd")),
    Ask("DELETE", f"{MAPS}/odd?dryRun=All&gracePeriodSeconds=x", "{}"), get(f"{MAPS}/odd"),
    Ask("POST", MAPS, config_map("odd")),
    _put(config_map("odd", meta_resourceVersion="\u0661")),
    _put('{"metadata":' + "[" * 9000 + "]" * 9000 + "}"),
    Ask("POST", f"{MAPS}?dryRun=All", config_map("odd8")), Ask("POST", MAPS, config_map("odd8")),
    Ask("POST", f"{MAPS}?dryRun=All", config_map("odd9", meta_resourceVersion="0")),
    *(
        _put(lease(name, meta_uid="x"), f"{LEASES}/{name}{how}")
        for name in ("odd", "odd8") for how in ("", "?dryRun=All")
    ),
    # Not modelled.
    Ask(
        "DELETE", f"{MAPS}/odd8?propagationPolicy=Orphan",
        differs=(DELETING, {"reason", "message", "body"})
    ),
    _put(
        '{"metadata":{"name":"odd"},"data":{"a":"1","a":"2"}}',
        f"{MAPS}/odd?fieldValidation=Strict",
        differs=(TWICE, {"status", "reason", "body"})
    ),
    _put(
        config_map("odd", meta_deletionGracePeriodSeconds=5),
        differs=(GRACE, {"status", "reason", "body"})
    ),
    _put(
        config_map("odd", meta_deletionTimestamp="2026-11-24T00:00:00Z"),
        differs=(GRACE, {"status", "reason", "body"})
    ),
    Ask(
        "PUT", f"{LEASES}/odd", lease("odd", spec={"acquireTime": "0000-01-01T00:00:00.000000Z"}),
        differs=(EARLY, {"status", "reason", "body"})
    ),
    get(
        f"{PODS}?fieldSelector=spec.serviceAccountName%3D", differs=(NAMELESS, {"body"})
    ),
    *(get(one, differs=(ABSENT, {"status", "head", "body"})) for one in ("/api", "/apis")),
    get("/api/v1", differs=(ABSENT, {"status", "reason", "message", "body"})),
    get(f"{PODS}/lines/exec", differs=(ABSENT, {"status", "reason", "message", "body"})),
    get(f"{PODS}/lines/proxy", differs=(ABSENT, {"status", "head", "reason", "message", "body"})),
    *(
        get(f"{MAPS}{one}?timeout=1ns", differs=(SHORT, {"status", "head", "body"}))
        for one in ("", "/odd")
    ),
)  # fmt: skip
