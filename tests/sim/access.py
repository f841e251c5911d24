"""Who may do what: bearer tokens and rules in the manner of RBAC.

Owns the order of answers: an unknown token is 401, no token is `system:anonymous`, who may see
little more than `/version`, and a right that is missing is 403 with the API's own words. Everybody
who is known may ask for their own rights, unless that is denied.
"""

from __future__ import annotations

import json
import re

import attrs

from tests.sim import status
from tests.sim.faults import Call
from tests.sim.status import Json, Kind
from tests.sim.store import KINDS, REVIEWS

ADMIN = "system:admin"
ANONYMOUS = "system:anonymous"
PUBLIC_PATHS = frozenset({"/version", "/version/", "/healthz", "/livez", "/readyz"})
DISCOVERY = re.compile("/(api|apis|openapi)(/.*)?")


@attrs.frozen
class Rule:
    """A set of requests; an empty part matches all. Subresources are written `pods/log`."""

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    def covers(self, call: Call) -> bool:
        resource = f"{call.resource}/{call.subresource}" if call.subresource else call.resource
        parts = (
            (self.verb, call.verb),
            (self.resource, resource),
            (self.namespace, call.namespace),
            (self.name, call.name),
        )
        return all(wanted in {"", given} for wanted, given in parts)


@attrs.define(eq=False)
class Access:
    """Tokens and rules; without tokens every caller is the administrator.

    `granted` None grants everything; `denied` is looked at last and takes single rights away.
    """

    tokens: dict[str, str] = attrs.field(factory=dict)
    granted: list[Rule] | None = None
    denied: list[Rule] = attrs.field(factory=list)

    def deny(self, verb: str = "", resource: str = "", namespace: str = "", name: str = "") -> Rule:
        """Take a right away; remove the returned rule from `denied` to give it back."""
        rule = Rule(verb, resource, namespace, name)
        self.denied.append(rule)
        return rule

    def user(self, authorization: str) -> str:
        """Name the caller, or raise 401."""
        if not self.tokens:
            return ADMIN
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token not in self.tokens:
            raise status.unauthorized()
        return self.tokens[token]

    def check(self, user: str, call: Call, kind: Kind | None) -> None:
        """Raise 403 unless the caller may do this."""
        if kind is None:
            if not self._may_path(user, {"verb": call.verb, "path": call.path}):
                raise status.forbidden_path(user, call.verb, call.path)
            return
        if not self._may(user, call, kind):
            raise status.forbidden(
                user,
                call.verb,
                kind,
                name=call.name,
                subresource=call.subresource,
                namespace=call.namespace,
            )

    def review(self, user: str, asked: Json) -> Json:
        """Answer a SelfSubjectAccessReview, or raise 422."""
        spec = {key: _filled(one) for key, one in (asked.get("spec") or {}).items()}
        if asked.get("metadata"):
            raise _invalid("metadata", "Invalid value: must be empty")
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None and path is not None:
            shown = json.dumps(path, separators=(",", ":"))
            what = "cannot be specified in combination with resourceAttributes"
            message = f"Invalid value: {shown}: {what}"
            raise _invalid("spec.nonResourceAttributes", message)
        if resource is None and path is None:
            message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise _invalid("spec.resourceAttributes", f"Invalid value: null: {message}")
        is_allowed = (
            self._may_path(user, path or {}) if resource is None else self._named(user, resource)
        )
        found: Json = {"allowed": is_allowed}
        if is_allowed and user != ADMIN:
            found |= {"reason": f'RBAC: allowed by RoleBinding "simulated" to User "{user}"'}
        return {
            "kind": REVIEWS.kind,
            "apiVersion": REVIEWS.api_version,
            "metadata": {},
            "spec": spec,
            "status": found,
        }

    def _named(self, user: str, asked: Json) -> bool:
        """Whether the caller may do what a review's `resourceAttributes` say."""
        group, named = asked.get("group", ""), asked.get("resource", "")
        # A subresource may be written behind its resource too.
        resource, _, subresource = named.partition("/")
        kinds = (one for one in KINDS if (one.group, one.plural) == (group, resource))
        if (kind := next(kinds, None)) is None:
            # A group that does not hold the resource: rules of all resources alone cover it.
            return self.granted is None and user != ANONYMOUS
        call = Call(
            "",
            "",
            asked.get("verb", ""),
            resource=resource,
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
            subresource=subresource or asked.get("subresource", ""),
        )
        return self._may(user, call, kind)

    def _may_path(self, user: str, asked: Json) -> bool:
        path = str(asked.get("path", ""))
        is_discovery = user != ANONYMOUS and DISCOVERY.fullmatch(path) is not None
        is_read = asked.get("verb") in {"get", "head"}
        return user == ADMIN or (is_read and (path in PUBLIC_PATHS or is_discovery))

    def _may(self, user: str, call: Call, kind: Kind) -> bool:
        is_everybodys = kind is REVIEWS and call.verb == "create"
        granted = self.granted is None or any(rule.covers(call) for rule in self.granted)
        denied = any(rule.covers(call) for rule in self.denied)
        return user != ANONYMOUS and not denied and (granted or is_everybodys)


def _filled(part: Json) -> Json:
    return {key: one for key, one in part.items() if one}


def _invalid(field: str, message: str) -> status.ApiError:
    # The real server names no kind here.
    return status.invalid("", "", status.cause("Invalid", message, field), group=REVIEWS.group)
