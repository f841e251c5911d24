"""Lists and gets: selectors, pages, versions, rights, paths and ways to ask that do not exist."""

from __future__ import annotations

from tests.cluster.differential.ask import CORE, LEASES, Ask, Json, Who, config_map, get, lease

PODS, MAPS = f"{CORE}/pods", f"{CORE}/configmaps"
APPS = "/apis/apps/v1/namespaces/<ns>"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ALL_RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
EVERYBODY: tuple[Who, ...] = ("admin", "agent", "stranger", "nobody")

SELECTORS = (
    "app=botkube", "app==botkube", "app!=botkube", "app in (botkube,other)", "app in (botkube)",
    "app notin (botkube)", "app notin (x, y)", "app", "!app", "! app", "app=botkube,run=<ns>",
    "app=botkube,app=other", "app=", "app in ()", "app=botkube,", ",", " app = botkube ", "a b",
    "app in botkube", "app in (botkube", "=botkube", "app=bot kube", "app=bot=kube", "app>1",
    "app<1", "app>x", "-app", "app=-x", "app=" + "x" * 64, "a/b/c=d", "example.org/app=x", "app;x",
    "in=x", "notin", "app in (a,,b)", "app=ü", "!app=x", "!!app", "app exists", "(app)",
    "app,,run",
    "run in (<ns>),app", "x=y",
)  # fmt: skip
FIELDS = (
    "metadata.name=lines", "metadata.name==lines", "metadata.name!=lines", "metadata.name=none",
    "metadata.namespace=<ns>", "metadata.namespace=other", "spec.nodeName=<ns>", "spec.nodeName=",
    "spec.nodeName!=<ns>", "spec.nodeName=none", "status.phase=Running", "status.phase=Pending",
    "status.phase!=Running,spec.nodeName=<ns>", "spec.restartPolicy=Always", "spec.colour=red",
    "metadata.labels=x", "metadata.uid=x", "spec.schedulerName=default-scheduler", "status.podIP=",
    "spec.serviceAccountName=x", "metadata.name", "metadata.name=a=b", "=x", ",",
    "metadata.name=lines,", "metadata.name in (lines)", "metadata.name=lines,metadata.name=two",
    "metadata.name=a\\,b", "metadata.name=a\\", " metadata.name=lines", "spec.hostNetwork=false",
    "status.nominatedNodeName=", "metadata.name=Bad_Name", "status.podIPs=x",
)  # fmt: skip
PAGES = (
    "limit=2", "limit=0", "limit=-1", "limit=x", "limit=", "limit=500", "limit=1&limit=2",
    "limit=99999999999999999999", "continue=x", "continue=", "resourceVersion=0", "watch=false",
    "resourceVersion=0&limit=2", "resourceVersion=x", "resourceVersion=-1", "resourceVersion=",
    "resourceVersion=0&resourceVersionMatch=NotOlderThan", "resourceVersionMatch=NotOlderThan",
    "resourceVersion=0&resourceVersionMatch=Exact", "resourceVersion=0&resourceVersionMatch=x",
    "resourceVersion=99999999&resourceVersionMatch=Exact", "unknown=1", "pretty=x", "watch=0",
    "timeoutSeconds=5", "timeoutSeconds=x", "sendInitialEvents=true", "allowWatchBookmarks=true",
    "allowWatchBookmarks=x", "resourceVersion=1e3", "resourceVersion=%2B1", "limit=1.5",
    "watch=no&timeoutSeconds=1", "resourceVersion=00", "limit=+2",
)  # fmt: skip


def query(key: str, value: str) -> str:
    kept = "<>ns"
    return f"{key}=" + "".join(
        one
        if (one.isalnum() and one.isascii()) or one in kept
        else "".join(f"%{byte:02X}" for byte in one.encode())
        for one in value
    )


FURNITURE = (
    *(Ask("POST", MAPS, config_map(name, data={"k": name})) for name in ("a", "b", "c", "state")),
    Ask("POST", MAPS, config_map("bin", binaryData={"k": "AAECAw=="}, meta_labels={"x": "y"})),
    Ask("POST", LEASES, lease("lease", spec={"holderIdentity": "me", "leaseTransitions": 0})),
)

OBJECTS = (
    *(f"{PODS}/{one}" for one in ("lines", "waiting", "two", "unscheduled", "none")),
    *(f"{MAPS}/{one}" for one in ("a", "bin", "state", "none")),
    f"{LEASES}/lease", f"{LEASES}/none", f"{APPS}/deployments/none", f"{APPS}/replicasets/none",
    f"{APPS}/daemonsets/none", f"{APPS}/statefulsets/none",
    CORE, "/api/v1/namespaces/none", "/api/v1/nodes/none", f"{CORE}/secrets/none",
    f"{CORE}/serviceaccounts/none", f"{CORE}/services/none", f"{CORE}/events/none",
    "/api/v1/namespaces/none/pods/x", "/api/v1/namespaces/none/pods",
    "/api/v1/namespaces/none/configmaps/x",
)  # fmt: skip
LISTS = (
    f"{PODS}?labelSelector=app%3Dbotkube", f"{MAPS}?labelSelector=x%3Dy", LEASES,
    f"{APPS}/deployments",
    f"{APPS}/replicasets", f"{APPS}/daemonsets", f"{CORE}/secrets", f"{CORE}/events",
    "/api/v1/pods?labelSelector=run%3D<ns>", "/api/v1/configmaps?labelSelector=x%3Dnone",
    "/api/v1/namespaces?fieldSelector=metadata.name%3D<ns>",
    "/api/v1/nodes?labelSelector=x%3Dnone",
    "/apis/coordination.k8s.io/v1/leases?labelSelector=x%3Dnone",
    f"{PODS}?watch=1&resourceVersion=x",
    f"{MAPS}?fieldSelector=metadata.name%3Dstate", f"{MAPS}?fieldSelector=metadata.name%3Da",
    f"{MAPS}?watch=1&resourceVersion=x&fieldSelector=metadata.name%3Dstate",
)  # fmt: skip
PATHS = (
    "/version", "/version/", "/livez", "/readyz", "/healthz", "/livez/", "/nonsense",
    "/api/v1/nonsense", "/api/v2/pods",
    "/apis/apps/v1beta1/deployments", f"{CORE}/nonsense", f"{CORE}/nonsense/x",
    f"{PODS}/lines/nonsense",
    f"{PODS}/", f"{PODS}/lines/", f"{MAPS}/a/b", f"{MAPS}/a/status", f"{PODS}/lines/status",
    f"{CORE}/status", "/api/v1/pods/lines",
    "/api/v1/configmaps/a", "/apis/none.example.org/v1/things", f"/{PODS}", f"{CORE}//pods",
    f"{PODS}/../configmaps/a",
    "/api/v1/namespaces/<ns>/pods/UPPER", "/readyz/none",
    "/api/v1/namespaces//pods?labelSelector=run%3D<ns>", "/metrics/none", f"{PODS}/%6Cines",
)  # fmt: skip
METHODS = (
    Ask("POST", "/version"), Ask("DELETE", "/version"), Ask("POST", f"{MAPS}/a", {}),
    Ask("PUT", MAPS, {}),
    Ask("PATCH", MAPS, {}), Ask("DELETE", "/livez"), Ask("HEAD", f"{MAPS}/a"), Ask("HEAD", MAPS),
    Ask("OPTIONS", MAPS),
    Ask("POST", f"{PODS}/lines/log"), Ask("PUT", f"{PODS}/lines/log"),
    Ask("DELETE", f"{PODS}/lines/log"), Ask("POST", "/nonsense"),
    Ask("HEAD", "/version"), Ask("PUT", "/api/v1/pods"),
    Ask("POST", "/api/v1/configmaps", config_map("x")), Ask("DELETE", "/api/v1/configmaps"),
    Ask("HEAD", f"{MAPS}/none"),
)  # fmt: skip
ACCEPTS = (
    "*/*", "application/*", "text/plain", "text/html", "application/json, */*", "text/plain, */*",
    "application/json;q=0.5",
    "garbage", "", "application/json; charset=utf-8", "application/cbor",
)  # fmt: skip
ATTRIBUTES: tuple[Json, ...] = (
    {"verb": "get", "resource": "pods", "namespace": "<ns>"},
    {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "<ns>", "name": "x"},
    {"verb": "update", "resource": "configmaps", "namespace": "<ns>", "name": "state"},
    {"verb": "update", "resource": "configmaps", "namespace": "<ns>"},
    {"verb": "get", "resource": "leases", "namespace": "<ns>", "name": "lease"},
    {
        "verb": "get", "group": "coordination.k8s.io", "resource": "leases", "namespace": "<ns>",
        "name": "lease"
    },
    {"verb": "*", "resource": "*", "namespace": "<ns>"}, {"verb": "get", "resource": "pods"},
    {"verb": "get", "resource": "nonsense", "namespace": "<ns>"}, {},
    {"verb": "get", "resource": "pods/log", "namespace": "<ns>"},
    {"verb": "list", "resource": "pods", "namespace": ""}, {"verb": "list", "unknown": "x"},
)  # fmt: skip
SPECS: tuple[Json, ...] = (
    *({"spec": {"resourceAttributes": one}} for one in ATTRIBUTES),
    *(
        {"spec": {"nonResourceAttributes": {"path": path, "verb": "get"}}}
        for path in ("/version", "/metrics", "/livez")
    ),
    {"spec": {}}, {}, {"spec": {"resourceAttributes": {}, "nonResourceAttributes": {"path": "/"}}},
    {"metadata": {"name": "x", "namespace": "y"}, "spec": {"resourceAttributes": ATTRIBUTES[0]}},
    {"spec": "x"}, {"spec": []}, {"spec": {"resourceAttributes": "x"}}, {"kind": "Other"},
    {"spec": {"nonResourceAttributes": []}}, {"spec": {"resourceAttributes": {"verb": 1}}},
)  # fmt: skip

HELD = (
    "resourceVersion=<rv:held>&resourceVersionMatch=Exact", "resourceVersion=<rv:held>",
    "resourceVersion=<rv:held>&resourceVersionMatch=Exact&limit=1",
    "resourceVersion=<rv:held>&resourceVersionMatch=NotOlderThan",
    "continue=<continue:held>", "continue=<continue:held>&limit=1",
    "resourceVersion=0&continue=<continue:held>&limit=1",
)  # fmt: skip
"""How to ask for a past of which something has changed, been added and gone since."""

DISCOVERY = "what there is in an API is not modelled: the agent knows what it asks for"
PARTS = "of the parts of objects and pods only logs and status are modelled: nobody asks for others"
RULES = "the agent asks for one right at a time"
CHECKS = "which checks a server makes of itself is a release's own"

SCRIPT: tuple[Ask, ...] = (
    *FURNITURE,
    *(get(path, who=who) for path in OBJECTS for who in ("admin", "agent")),
    *(
        get(
            path, who=who) for path in (PODS, "/api/v1/pods?labelSelector=x", f"{PODS}/lines",
            f"{PODS}/lines/log", "/version", "/nonsense", f"{MAPS}/state"
        ) for who in EVERYBODY
    ),
    *(get(path, who=who) for path in LISTS for who in ("admin", "agent")),
    *(get(f"{PODS}?{query('labelSelector', one)}") for one in SELECTORS),
    *(get(f"{PODS}?{query('fieldSelector', one)}") for one in FIELDS),
    get(f"{MAPS}?fieldSelector=spec.nodeName%3Dx"),
    get(f"{MAPS}?fieldSelector=metadata.name%3Da&labelSelector=x%3Dy"),
    *(get(f"{MAPS}?labelSelector=x&{one}") for one in PAGES),
    get(f"{PODS}?limit=2", keep="page"),
    get(f"{PODS}?limit=2&continue=<continue:page>", keep="page"),
    get(f"{PODS}?continue=<continue:page>"),
    get(f"{PODS}?continue=<continue:page>&resourceVersion=0"),
    get(f"{PODS}?continue=<continue:page>&resourceVersion=5"),
    get(f"{PODS}?continue=<continue:page>&labelSelector=app"),
    get(f"{PODS}?resourceVersion=0&limit=1"),
    get(f"{MAPS}?labelSelector=x&continue=<continue:page>"),
    get(f"{LEASES}?continue=<continue:page>"),
    get(f"{PODS}?continue=<continue:page>&fieldSelector=metadata.name%3Dtwo"),
    get("/api/v1/namespaces?limit=1&fieldSelector=metadata.name%3Dkube-system"),
    *(
        Ask("POST", MAPS, config_map(name, data={"k": "1"}, meta_labels={"held": "1"}))
        for name in ("h1", "h3", "h4")
    ),
    get(f"{MAPS}?labelSelector=held&limit=1", keep="held"),
    Ask("DELETE", f"{MAPS}/h3"), Ask("PUT", f"{MAPS}/h4", config_map("h4")),
    Ask("POST", MAPS, config_map("h2", meta_labels={"held": "1"})),
    *(get(f"{MAPS}?labelSelector=held&{one}") for one in HELD),
    get(f"{MAPS}?labelSelector=none&continue=<continue:held>"),
    get(f"{MAPS}?resourceVersion={2**64}"), get(f"{MAPS}/a?resourceVersion={2**64}"),
    get(f"{MAPS}/a?resourceVersion=0"), get(f"{MAPS}/a?resourceVersion=x"),
    get(f"{MAPS}/a?resourceVersion=99999999"),
    get(f"{MAPS}/a?pretty=true"), get(f"{MAPS}/a?watch=1"), get(f"{MAPS}/a?labelSelector=x%3Dz"),
    get(f"{MAPS}/a?resourceVersion=1"),
    *(get(path) for path in PATHS),
    *(
        get(
            path, differs=(DISCOVERY, {"status", "head", "body"})) for path in ("/", "/api",
            "/apis", "/livez/ping"
        )
    ),
    get("/livez?verbose", differs=(CHECKS, {"body"})),
    *(
        get(path, differs=(PARTS, {"status", "reason", "message", "body"}))
        for path in (f"{CORE}/finalize", f"{PODS}/lines/attach")
    ),
    Ask(
        "POST", f"{PODS}/two/eviction", {"metadata": {"name": "two"}},
        differs=(PARTS, {"status", "reason", "message", "body"})
    ),
    get(f"{APPS}/deployments/none/scale", differs=(PARTS, {"message", "body"})),
    *METHODS,
    *(get(f"{MAPS}/a", accept=one) for one in ACCEPTS),
    get("/version", accept="text/html"), get("/livez", accept="text/html"),
    get(f"{MAPS}/none", accept="text/html"), get(f"{PODS}/lines/log", accept="text/html"),
    get(f"{PODS}/none/log", accept="text/plain"),
    *(Ask("POST", REVIEWS, one, who=who) for one in SPECS for who in ("admin", "agent")),
    Ask("POST", REVIEWS, SPECS[0], who="nobody"), Ask("POST", REVIEWS, SPECS[0], who="stranger"),
    get(REVIEWS), get(f"{REVIEWS}/x"), Ask("POST", REVIEWS, "{"),
    get(ALL_RULES, differs=(RULES, {"status", "reason", "message", "body"})),
    Ask(
        "POST", ALL_RULES, {"spec": {"namespace": "<ns>"}}, who="agent",
        differs=(RULES, {"status", "head", "reason", "message", "body"})
    ),
)  # fmt: skip
