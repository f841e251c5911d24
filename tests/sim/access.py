"""Who may do what: bearer tokens and rules in the manner of RBAC.

Owns the order of answers: an unknown token is 401, no token is `system:anonymous`, who may see
little more than `/version`, and a right that is missing is 403 with the API's own words.
"""

from __future__ import annotations

import attrs

from tests.sim import status
from tests.sim.faults import Call
from tests.sim.status import Kind

ADMIN = "system:admin"
ANONYMOUS = "system:anonymous"
PUBLIC_PATHS = frozenset({"/version", "/healthz", "/livez", "/readyz"})


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
            if user == ANONYMOUS and call.path.rstrip("/") not in PUBLIC_PATHS:
                raise status.forbidden_path(user, call.verb, call.path)
            return
        granted = self.granted is None or any(rule.covers(call) for rule in self.granted)
        denied = any(rule.covers(call) for rule in self.denied)
        if user == ANONYMOUS or denied or not granted:
            raise status.forbidden(
                user,
                call.verb,
                kind,
                name=call.name,
                subresource=call.subresource,
                namespace=call.namespace,
            )
