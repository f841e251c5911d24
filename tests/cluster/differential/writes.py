"""Writes of ConfigMaps and Leases: good, stale, torn, too large, of the wrong shape."""

from __future__ import annotations

from typing import Any

from tests.cluster.differential.ask import CORE, LEASES, MERGE, Ask, Json, config_map, get, lease

MAPS = f"{CORE}/configmaps"
STRATEGIC = "application/strategic-merge-patch+json"
NOW = "2026-11-24T00:00:00.000000Z"
MIB = 1024 * 1024


def post(path: str, body: Json | str | None, **more: Any) -> Ask:  # noqa: ANN401 as Ask
    return Ask("POST", path, body, **more)


def put(path: str, body: Json | str | None, **more: Any) -> Ask:  # noqa: ANN401 as Ask
    return Ask("PUT", path, body, **more)


def patch(path: str, body: Json | str | None, kind: str = MERGE, **more: Any) -> Ask:  # noqa: ANN401 as Ask
    return Ask("PATCH", path, body, kind=kind, **more)


TWICE = "a field that is there twice is not warned of: the agent writes none"
PATCH = "the agent patches nothing; the tests' own hands use merge patches"
DELETING = "an object is deleted at once: what finalizers do is not modelled"
NULLS = (
    "that bytes which are not there are not equal to none is not modelled: the agent writes some"
)
CALENDAR = "Python's calendar begins with the year 1, and its zones end short of a day"
DRIVEN = "what may change in a pod is not modelled: only the driver of a test writes pods"

NAMES = ("", "UPPER", "a_b", "-a", "a" * 253, "a" * 254, "a.b", "a..b", "a/b", "ü", "%", ".", "..")
BODIES: tuple[Json | str | None, ...] = (
    None, "", "{", "[]", "null", "1", '"x"', "not json", "{}", '{"metadata":null}',
    '{"metadata":[]}',
    '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}', '{"kind":"ConfigMap"}',
    '{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"x"}}', '{"apiVersion":1}',
    '{"apiVersion":"a/b/c","kind":"ConfigMap","metadata":{"name":"x"}}', '{"kind":{}}',
    '{"metadata":{"name":1}}', '{"metadata":{"name":"x"},"data":[]}',
    '{"metadata":{"name":"x"},"data":{"a":1}}', '{"metadata":{"name":"x"},"data":"x"}',
    '{"metadata":{"name":"x"},"binaryData":{"a":"%%%"}}',
    '{"metadata":{"name":"x"},"binaryData":{"a":"AAE"}}',
    '{"metadata":{"name":"x"},"immutable":"yes"}', '{"metadata":{"name":"x","labels":{"a":1}}}',
    '{"metadata":{"name":"x","annotations":[]}}', '{"metadata":{"name":"x"}} trailing',
    '{"metadata":{"name":"y1"},}',
    '{"metadata":{"name":"x","uid":5}}', '{"metadata":{"name":"x","resourceVersion":5}}',
    "metadata: {name: yaml}",
)  # fmt: skip
OWNERS = [
    {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True}
    for name in ("x", "y")
]
CONTENTS: tuple[Json, ...] = (
    config_map("c1", data={"a": None}), config_map("c2", data=None), config_map("c3", data={}),
    config_map("c4", data={"bad key": "x"}), config_map("c5", data={"": "x"}),
    config_map("c6", data={"..": "x"}),
    config_map("c7", data={"k": "x"}, binaryData={"k": "AA=="}),
    config_map("c8", data={"k" * 254: "x"}),
    config_map("c9", unknown="x", data={"k": "v"}), config_map("c10", meta_unknown="x"),
    config_map("c11", immutable=True, data={"a": "b"}),
    config_map("c12", meta_labels={"bad key!": "x"}),
    config_map("c13", meta_labels={"a": "bad value!"}),
    config_map("c14", meta_annotations={"a": "x y z"}), config_map("c15", meta_namespace="other"),
    config_map("c16", meta_namespace="<ns>"),
    config_map("c17", meta_resourceVersion="1"), config_map("c18", meta_uid="x"),
    config_map("c19", meta_creationTimestamp=None),
    config_map("c20", meta_creationTimestamp="garbage"),
    config_map("c21", meta_generateName="gen-"), config_map("c22", meta_finalizers=["bad"]),
    config_map("c23", meta_ownerReferences=[{"name": "x"}]),
    config_map("c24", data={"k": "ü\x00\x01"}), config_map("c25", binaryData={"k": ""}),
    config_map("c26", meta_deletionTimestamp="2026-11-24T00:00:00Z"),
    config_map("c27", meta_selfLink="/x", meta_generation=7),
    config_map("c28", data={"k": "v"}, status={"x": 1}),
    config_map(
        "c29", meta_ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"}]
    ),
    config_map("c30", meta_labels={"a": None}), config_map("c31", meta_resourceVersion="0"),
    config_map("c32", binaryData={"k": None}),
    config_map("c33", data={"." : "x"}), config_map("c34", data={".k": "x"}),
    config_map("c35", data={"..k": "x"}), config_map("c36", meta_labels={}, meta_annotations={}),
    config_map("c37", binaryData={"k": "AA=\n="}), config_map("c38", binaryData={"k": "AB=="}),
    config_map("c39", binaryData={"k": [1, 2]}), config_map("c40", binaryData={"k": [1, 256]}),
    config_map("c41", binaryData={"k": [1, "2"]}), config_map("c42", data={"k": "\ud800x\udc00"}),
    config_map("c43", data={"\ud800": "x"}), config_map("c44", data={"k": "\U0001f600"}),
    config_map("c45", data={"k": "\\ud800"}), config_map("c46", meta_ownerReferences=OWNERS),
    config_map("c47", two=1, meta_unknown=2, fields=3), config_map("", meta_generateName="a" * 260),
)  # fmt: skip
KEYS = (
    "a b", "/a", "a/", "A/b", "a/b/c", "", "/", "x" * 64, "a_b/c", "ü", "-a", f"a.b/{'x' * 64}",
    f"{'x' * 254}/a", "Ä/b", "a b/c d",
)  # fmt: skip
FINALIZERS = (
    *([key] for key in KEYS), ["bad"], ["kubernetes"], ["orphan"], ["foregroundDeletion"],
    ["orphan", "foregroundDeletion"], ["bad", "worse"], ["bad", "a/b c"],
)  # fmt: skip
UNKNOWN = ({"unknown": 1}, {"metadata": {"unknown": 1}}, {"data": {"a": "1"}})
SPECS: tuple[Json, ...] = (
    {}, {"holderIdentity": ""}, {"holderIdentity": "x", "leaseDurationSeconds": 15},
    {"leaseDurationSeconds": 0}, {"leaseDurationSeconds": -1},
    {"leaseTransitions": -1}, {"leaseTransitions": 0}, {"renewTime": NOW},
    {"renewTime": "2026-11-24T00:00:00Z"}, {"renewTime": "garbage"},
    {"renewTime": "2026-11-24T00:00:00.123456789Z"},
    {"renewTime": "2026-11-24T00:00:00.000000+01:00"}, {"renewTime": None}, {"acquireTime": 5},
    {"renewTime": ""}, {"leaseDurationSeconds": "15"}, {"leaseDurationSeconds": 1.5},
    {"holderIdentity": 5}, {"unknown": 1}, {"strategy": "x"},
    {"preferredHolder": "x"}, {"leaseDurationSeconds": 99999999999}, {"holderIdentity": None},
    {"renewTime": "2026-11-24T00:00:00.5Z"}, {"renewTime": "2026-02-30T00:00:00.000000Z"},
    {"leaseDurationSeconds": 0, "leaseTransitions": -1},
    {"renewTime": "2026-11-24t00:00:00.000000z"}, {"renewTime": "2026-11-24T00:00:00.000000"},
    {"renewTime": "2026-11-24T00:00:00.12345Z"}, {"holderIdentity": "x" * 300},
)  # fmt: skip
PATCHES = (
    ('{"data":{"a":null,"b":"2"}}', MERGE), ('{"data":null}', MERGE),
    ('{"data":{"a":"1"}}', STRATEGIC), ("{}", MERGE), ("[]", MERGE), ("{", MERGE), ("null", MERGE),
    ('{"metadata":{"resourceVersion":"1"}}', MERGE), ('{"metadata":{"name":"other"}}', MERGE),
    ('{"metadata":{"uid":"x"}}', MERGE), ('{"data":{"a":1}}', MERGE),
    ('{"metadata":{"labels":{"l":"1"}}}', MERGE), ('{"data":{"bad key":"1"}}', MERGE),
    ('{"data":{}}', "application/json"), ('{"data":{}}', "text/plain"),
    ('{"metadata":{"namespace":"other"}}', MERGE), ('{"kind":"Secret"}', MERGE), ("x" * 10, MERGE),
    ("", MERGE),
)  # fmt: skip


def numbered(name: str, spec: Json) -> Json:
    return lease(name, spec=spec)


SCRIPT: tuple[Ask, ...] = (
    # Create.
    post(MAPS, config_map("state"), keep="first"),
    post(MAPS, config_map("state")), post(MAPS, config_map("state"), who="agent"),
    post(MAPS, config_map("new"), who="agent"),
    post("/api/v1/namespaces/none/configmaps", config_map("x")),
    post("/api/v1/namespaces/none/configmaps", config_map("x", meta_namespace="<ns>")),
    *(post(MAPS, config_map(name)) for name in NAMES), *(post(MAPS, body) for body in BODIES),
    *(post(MAPS, body) for body in CONTENTS),
    post(MAPS, {"metadata": {"generateName": "UPPER_"}}),
    post(MAPS, config_map("t1"), kind="text/plain"),
    post(MAPS, config_map("t2"), kind="application/json; charset=utf-8"),
    post(MAPS, config_map("t3"), kind="application/x-www-form-urlencoded"),
    post(MAPS, config_map("t4"), kind=""),
    post(MAPS, config_map("t5"), kind="application/merge-patch+json"),
    post(MAPS, config_map("t6"), kind="*/*"),
    post(MAPS, config_map("t8"), kind="APPLICATION/JSON"),
    post(MAPS, config_map("t9"), kind="application/vnd.kubernetes.protobuf"),
    post(MAPS, "metadata: {name: t7}", kind="application/yaml"),
    post(f"{MAPS}?dryRun=All", config_map("dry")), get(f"{MAPS}/dry"),
    post(f"{MAPS}?dryRun=x", config_map("dry")),
    post(f"{MAPS}?fieldManager=me", config_map("managed")),
    post(f"{MAPS}?fieldValidation=Strict", config_map("strict", unknown="x")),
    post(f"{MAPS}?fieldValidation=Ignore", config_map("ignore", unknown="x")),
    post(f"{MAPS}?fieldValidation=x", config_map("odd")),
    post(f"{MAPS}?unknown=x", config_map("query")),
    post(f"{MAPS}?fieldManager={'x' * 129}", config_map("long")),
    post(f"{MAPS}?pretty=true", config_map("pretty")),
    post(MAPS, '{"metadata":{"name":"x1","name":"x2"}}', differs=(TWICE, {"head"})),
    # Sizes.
    post(MAPS, config_map("full", data={"k": "x" * MIB}), keep="full"),
    post(MAPS, config_map("over", data={"k": "x" * (MIB + 1)})),
    post(MAPS, config_map("over", binaryData={"k": "AAAA" * (MIB // 3 + 1)})),
    post(MAPS, config_map("over", data={"k": "x" * (3 * MIB)})),
    post(MAPS, config_map("notes", meta_annotations={"k": "x" * (256 * 1024 + 1)})),
    get(f"{MAPS}/full"), put(f"{MAPS}/full", config_map("full", data={"k": "x" * (MIB + 1)})),
    patch(f"{MAPS}/full", '{"data":{"b":"x"}}'),
    # Replace.
    put(
        f"{MAPS}/state", config_map("state", data={"a": "1"}, meta_resourceVersion="<rv:first>"),
        keep="second"
    ),
    put(f"{MAPS}/state", config_map("state", data={"a": "2"}, meta_resourceVersion="<rv:first>")),
    put(
        f"{MAPS}/state", config_map("state", data={"a": "2"}, meta_resourceVersion="<rv:first>"),
        who="agent"
    ),
    put(
        f"{MAPS}/state", config_map("state", data={"a": "1"}, meta_resourceVersion="<rv:second>"),
        keep="third"
    ),
    put(
        f"{MAPS}/state", config_map("state", data={"a": "3"}, meta_resourceVersion="<rv:third>"),
        who="agent", keep="fourth"
    ),
    put(f"{MAPS}/state", config_map("state", data={"a": "4"})),
    put(f"{MAPS}/state", config_map("state", data={"a": "4"}, meta_resourceVersion="")),
    put(f"{MAPS}/state", config_map("state", data={"a": "5"}, meta_resourceVersion="x")),
    put(f"{MAPS}/state", config_map("state", data={"a": "5"}, meta_resourceVersion="0")),
    put(f"{MAPS}/state", config_map("state", data={"a": "5"}, meta_resourceVersion="-1")),
    put(f"{MAPS}/state", config_map("state", data={"a": "5"}, meta_resourceVersion="999999999")),
    put(f"{MAPS}/state", config_map("state", data={"a": "6"}, meta_uid="<uid:first>")),
    put(f"{MAPS}/state", config_map("state", data={"a": "6"}, meta_uid="other")),
    put(f"{MAPS}/state", config_map("state", meta_ownerReferences=OWNERS)),
    put(f"{MAPS}/state", config_map("state", meta_annotations={"a b": "x"})),
    put(f"{MAPS}/state", config_map("state", meta_labels={"a b": "x"})),
    put(f"{MAPS}/state", config_map("state", data={"a": "7"}), keep="fifth"),
    put(f"{MAPS}/state", config_map("state", meta_resourceVersion="0<rv:fifth>")),
    put(f"{MAPS}/state", config_map("state", meta_resourceVersion=str(2**64 - 1))),
    put(f"{MAPS}/state", config_map("state", meta_resourceVersion=str(2**64))),
    put(
        f"{MAPS}/state",
        config_map("state", data={"a": "6"}, meta_uid="other", meta_resourceVersion="<rv:first>")
    ),
    put(f"{MAPS}/state", config_map("other")), put(f"{MAPS}/state", config_map("")),
    put(f"{MAPS}/none", config_map("none")),
    put(f"{MAPS}/none", config_map("none", meta_resourceVersion="1")),
    put(f"{MAPS}/none", config_map("none", meta_uid="x")),
    put(f"{MAPS}/none", config_map("none"), who="agent"),
    put("/api/v1/namespaces/none/configmaps/x", config_map("x")),
    put(f"{MAPS}/state", config_map("state", meta_namespace="other")),
    put(
        f"{MAPS}/state",
        config_map(
            "state", binaryData={"state": "AAEC"}, meta_labels={"l": "1"},
            meta_annotations={"n": "1"}
        )
    ),
    put(f"{MAPS}/state", config_map("state", data={"bad key": "x"})),
    *(put(f"{MAPS}/state", body) for body in BODIES),
    put(f"{MAPS}/state", config_map("state"), kind="text/plain"),
    put(f"{MAPS}/UPPER", config_map("UPPER")),
    put(f"{MAPS}/c11", config_map("c11", data={"a": "c"}, immutable=True)),
    put(f"{MAPS}/c11", config_map("c11", data={"a": "b"})),
    patch(f"{MAPS}/c11", '{"binaryData":{"a":"AA=="}}'),
    put(f"{MAPS}/state?dryRun=All", config_map("state", data={"dry": "x"})),
    put(f"{MAPS}/state", config_map("state", meta_finalizers=["example.org/f"])),
    put(f"{MAPS}/state", config_map("state", data={"x": None})),
    put(f"{MAPS}/state", config_map("state", meta_creationTimestamp="2020-01-01T00:00:00Z")),
    get(f"{MAPS}/state"),
    # Patch.
    post(MAPS, config_map("patched", data={"a": "0"})),
    *(patch(f"{MAPS}/patched", body, kind) for body, kind in PATCHES), get(f"{MAPS}/patched"),
    patch(f"{MAPS}/none", "{}"), patch(f"{MAPS}/state", "{}", who="agent"),
    # Names in the metadata: of a new object, and of one that is there.
    post(MAPS, config_map("named", data={"a": "0"})), post(LEASES, lease("named"), keep="named"),
    *(
        ask
        for number, key in enumerate(KEYS)
        for field in ("annotations", "labels")
        for ask in (
            post(MAPS, config_map(f"{field}{number}", **{f"meta_{field}": {key: "x"}})),
            patch(f"{MAPS}/named", {"metadata": {field: {key: "x"}}}),
            patch(f"{LEASES}/named", {"metadata": {field: {key: "x"}}}),
        )
    ),
    *(
        ask
        for number, found in enumerate(FINALIZERS)
        for ask in (
            post(MAPS, config_map(f"finalizers{number}", meta_finalizers=found)),
            post(LEASES, lease(f"finalizers{number}", meta_finalizers=found)),
            patch(f"{MAPS}/named?dryRun=All", {"metadata": {"finalizers": found}}),
            patch(f"{LEASES}/named?dryRun=All", {"metadata": {"finalizers": found}}),
        )
    ),
    *(
        patch(f"{MAPS}/patched?fieldValidation={how}", body, kind)
        for how in ("Strict", "Warn", "Ignore", "", "x")
        for kind in (MERGE, STRATEGIC)
        for body in UNKNOWN
    ),
    put(f"{MAPS}/patched?fieldValidation=", config_map("patched", unknown=1)),
    post(MAPS, config_map("nulls", binaryData={"k": None})),
    put(
        f"{MAPS}/nulls", config_map("nulls", binaryData={"k": None}), differs=(NULLS, {"body"})
    ),
    # Leases.
    post(
        LEASES,
        lease(
            "lease",
            spec={
                "holderIdentity": "me", "renewTime": NOW, "acquireTime": NOW,
                "leaseDurationSeconds": 15, "leaseTransitions": 1
            }
        ),
        keep="lease"
    ),
    post(LEASES, lease("lease")), get(f"{LEASES}/lease"),
    put(
        f"{LEASES}/lease",
        lease("lease", spec={"holderIdentity": "you"}, meta_resourceVersion="<rv:lease>"),
        keep="renewed", who="agent"
    ),
    put(
        f"{LEASES}/lease",
        lease("lease", spec={"holderIdentity": "me"}, meta_resourceVersion="<rv:lease>")
    ),
    put(f"{LEASES}/lease", lease("lease", spec={"holderIdentity": "me"})),
    put(f"{LEASES}/lease", lease("lease", meta_resourceVersion="<rv:renewed>")),
    put(f"{LEASES}/lease", lease("other")),
    put(f"{LEASES}/made", lease("made", spec={"holderIdentity": "me"})),
    put(f"{LEASES}/made2", lease("made2", meta_resourceVersion="5")),
    put(f"{LEASES}/made3", lease("made3", meta_uid="x")),
    put(f"{LEASES}/made5", lease("made5", meta_resourceVersion="x")), get(f"{LEASES}/made5"),
    put(f"{LEASES}/made5", lease("made5", meta_resourceVersion="x", meta_uid="x")),
    put(f"{LEASES}/made6?dryRun=All", lease("made6")), get(f"{LEASES}/made6"),
    put(f"{LEASES}/made", lease("made", status={})), post(LEASES, lease("made", status={})),
    post(LEASES, lease("owned"), keep="owned"),
    put(
        f"{LEASES}/owned",
        lease("owned", meta_ownerReferences=OWNERS, meta_resourceVersion="<rv:owned>")
    ),
    *(
        post(
            LEASES, lease(name, spec={"renewTime": f"{at}:00"}),
            differs=(CALENDAR, {"status", "reason", "body"})
        ) for name, at in (
            ("made7", "0001-01-01T00:00:00.000000+01"), ("made8", "2026-11-24T00:00:00.000000+24")
        )
    ),
    put(f"{LEASES}/made4", lease("made4"), who="agent"),
    put(f"{LEASES}/lease", lease("lease", meta_uid="x", meta_resourceVersion="<rv:renewed>")),
    post(LEASES, lease("mine"), who="agent"),
    put("/apis/coordination.k8s.io/v1/namespaces/none/leases/x", lease("x")),
    put(f"{LEASES}/UPPER", lease("UPPER")),
    *(post(LEASES, numbered(f"l{number}", spec)) for number, spec in enumerate(SPECS)),
    *(
        post(
            LEASES, body) for body in ({}, "{", {"metadata": {"name": "x"}, "spec": []},
            {"metadata": {"name": "nospec"}}, {"metadata": {"name": "nullspec"}, "spec": None},
            {"metadata": {"name": "str"}, "spec": "x"}, config_map("wrong")
        )
    ),
    patch(f"{LEASES}/lease", '{"spec":{"holderIdentity":"patched"}}'),
    patch(f"{LEASES}/lease", '{"metadata":{"resourceVersion":"1"}}'),
    patch(f"{LEASES}/lease", '{"spec":{"leaseDurationSeconds":-1}}'), get(f"{LEASES}/l2"),
    # Not modelled.
    post(MAPS, config_map("last")),
    patch(
        f"{MAPS}/last", '[{"op":"add","path":"/data","value":{"j":"p"}}]',
        "application/json-patch+json", differs=(PATCH, {"status", "reason", "body"})
    ),
    put(
        f"{MAPS}/last", config_map("last", meta_deletionTimestamp="2020-01-01T00:00:00Z"),
        differs=(DELETING, {"status", "reason", "body"})
    ),
    patch(
        f"{CORE}/pods/odd", '{"spec":{"nodeName":"x"}}',
        differs=(DRIVEN, {"status", "reason", "message", "body"})
    ),
)  # fmt: skip
