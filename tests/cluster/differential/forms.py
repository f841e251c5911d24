"""In which form an answer is wanted: every option of Accept, for all that can be read."""

from __future__ import annotations

from itertools import product

from tests.cluster.differential.ask import CORE, Ask, Aspect, Script, config_map, get

MAPS, META = f"{CORE}/configmaps", ";v=v1;g=meta.k8s.io"
PATHS = (
    f"{MAPS}/formed", f"{MAPS}?labelSelector=f", f"{MAPS}/none",
    f"{MAPS}?watch=1&timeoutSeconds=1&labelSelector=f",
    f"{MAPS}?watch=1&timeoutSeconds=1&labelSelector=f&resourceVersion=<rv:formed>",
    f"{CORE}/pods/lines/log?tailLines=1", "/version",
)  # fmt: skip
JSON = "application/json"
ACCEPTS = (
    *(f"{JSON};{one}" for one in (
        "q=0.5", "q=0", "q=x", "", ";", "charset=utf-8", "foo=bar", "pretty=1", "profile=nopeer",
        "as=", f"as=Foo{META}", "as=PartialObjectMetadata", "v=v1", "g=meta.k8s.io", "stream=watch",
        "stream=x", "as=PartialObjectMetadata;v=v9;g=meta.k8s.io",
        f"as=PartialObjectMetadata{META}", f"as=PartialObjectMetadataList{META}",
        "as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io",
        f"as=PartialObjectMetadata{META},{JSON}", f"as=Foo{META},{JSON}",
    )),
    f" {JSON}", f"{JSON} ;q=1", "application/JSON", f"{JSON}, text/html", f"text/html, {JSON}",
    f"text/html;q=1,{JSON};q=0.1", f"{JSON};q=0.1,*/*;q=1", "*/*;q=0.8", "application/*", "/",
    ",", "a", "text/plain;q=1", "text/plain;q=1, */*", "application/cbor",
)  # fmt: skip
YAML, PROTOBUF = "application/yaml", "application/vnd.kubernetes.protobuf"
OTHERS = (
    YAML, PROTOBUF, f"{YAML};q=1,{JSON};q=0.5", f"{JSON};q=0.5,{YAML}", f"{PROTOBUF}, {JSON}",
)  # fmt: skip
FORMS = "only JSON is written: the agent takes nothing else"
TABLES = "objects are no tables: the agent takes none"


def _differs(path: str, accept: str) -> tuple[str, set[Aspect]] | None:
    """Say in what an answer is another because it is JSON; a log has one form."""
    if path.endswith("tailLines=1") or (path == "/version" and JSON in accept):
        return None
    is_refused = path in {"/version", f"{MAPS}/none"} or ("watch" in path and YAML in accept)
    found: set[Aspect] = {"head", "body"}
    if path == f"{MAPS}/none":
        found |= {"message"}
    return FORMS, found | {"reason"} if is_refused else found


SCRIPT: Script = (
    Ask("POST", MAPS, config_map("formed", data={"a": "1"}, meta_labels={"f": "1"}), keep="formed"),
    *(tuple(get(path, accept=accept) for path in PATHS) for accept in ACCEPTS),
    *(
        get(path, accept=accept, differs=_differs(path, accept))
        for path, accept in product(PATHS, OTHERS)
    ),
    *(
        get(path, accept=f"{JSON};as=Table{META}", differs=(TABLES, {"body"}))
        for path in (*PATHS[:2], PATHS[3])
    ),
    get(PATHS[5], accept=f"{JSON};as=Table{META}"),
)  # fmt: skip
