"""The `Status` objects with which the Kubernetes API answers anything but success.

Owns codes, reasons, message texts and details, word for word as kube-apiserver 1.34 writes them.
"""

from __future__ import annotations

from typing import Any

import attrs

Json = dict[str, Any]


@attrs.frozen
class Kind:
    """One resource of the API; the two switches are its strategy's answers about PUT."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    create_on_update: bool = False
    unconditional_update: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As in `leases.coordination.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """As in `Lease.coordination.k8s.io`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


class ApiError(Exception):
    """A refusal with its `Status` body; what was odd as well is in `warnings`.

    One that `is_late` came when the request's body had been looked at already.
    """

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.warnings: list[str] = []
        self.is_late = False
        self.body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.body["reason"] = reason
        if details is not None:
            self.body["details"] = details
        self.body["code"] = code


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(
    user: str, verb: str, kind: Kind, *, name: str, subresource: str, namespace: str
) -> ApiError:
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    named = f'{kind.resource} "{name}"' if name else kind.resource
    return ApiError(
        403,
        "Forbidden",
        f'{named} is forbidden: User "{user}" cannot {verb} resource "{resource}" '
        f'in API group "{kind.group}" {scope}',
        _details(kind, name),
    )


def forbidden_path(user: str, verb: str, path: str) -> ApiError:
    message = f'forbidden: User "{user}" cannot {verb} path "{path}"'
    return ApiError(403, "Forbidden", message, {})


def not_found(kind: Kind, name: str) -> ApiError:
    shown = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in name)
    return ApiError(404, "NotFound", f'{kind.resource} "{shown}" not found', _details(kind, name))


def no_resource() -> ApiError:
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, {})


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def already_exists(kind: Kind, name: str) -> ApiError:
    message = f'{kind.resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(kind, name))


def name_taken(kind: Kind, name: str) -> ApiError:
    """Refuse a name that is taken, of an object that could have had one made for it."""
    error = already_exists(kind, name)
    error.body["message"] += ", the server was not able to generate a unique name for the object"
    error.body["details"]["retryAfterSeconds"] = 1
    return error


def conflict(kind: Kind, name: str, cause: str = "") -> ApiError:
    cause = cause or (
        "the object has been modified; "
        "please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {cause}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def precondition_failed(kind: Kind, name: str, key: str, wanted: object, found: object) -> ApiError:
    """Refuse to delete an object of another uid or resourceVersion than was wanted."""
    what = {"uid": "UID"}.get(key, "ResourceVersion")
    is_other = "deleted and then recreated" if key == "uid" else "modified"
    message = (
        f'Operation cannot be fulfilled on {kind.qualified_kind} "{name}": the {what} in the '
        f"precondition ({wanted}) does not match the {what} in record ({found}). "
        f"The object might have been {is_other}"
    )
    details = {"name": name, "group": kind.group, "kind": kind.kind}
    return ApiError(409, "Conflict", message, {key: one for key, one in details.items() if one})


def expired_version(asked: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def expired_continue(token: str) -> ApiError:
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can "
        "start a new list without the continue parameter, or use the continue token in this "
        "response to retrieve the remainder of the results. Continuing with the provided token "
        "results in an inconsistent list - objects that were created, modified, or deleted between "
        "the time the first chunk was returned and now may show up in the list."
    )
    error = ApiError(410, "Expired", message)
    error.body["metadata"] = {"continue": token}
    return error


def invalid(kind: str, name: str, *causes: Json, group: str = "") -> ApiError:
    """Refuse the content of a request; each cause has `reason`, `message` and `field`."""
    texts = [f"{cause['field'] or '<nil>'}: {cause['message']}" for cause in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind}.{group}" if group else kind
    named = {"name": name, "group": group, "kind": kind}
    details: Json = {key: one for key, one in named.items() if one} | {"causes": list(causes)}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details)


def cause(reason: str, message: str, field: str) -> Json:
    return {"reason": f"FieldValue{reason}", "message": message, "field": field}


def too_large(most: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {most}")


def too_many_requests(retry_after: int) -> ApiError:
    message = "too many requests, please try again later"
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after})


def internal(message: str) -> ApiError:
    """Answer an error that carries no status of its own: code 500 and no reason."""
    return ApiError(500, "", message)


def version_too_large(asked: int, current: int) -> ApiError:
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return ApiError(504, "Timeout", message, details)


def of_code(code: int, retry_after: int | None) -> ApiError:
    """Build the usual body of a code, for faults that only name the code."""
    if code == 429:
        return too_many_requests(retry_after or 1)
    reasons = {
        401: ("Unauthorized", "Unauthorized"),
        410: ("Expired", "The resourceVersion for the provided watch is too old."),
        500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: ("Timeout", "Timeout: request did not complete within requested timeout"),
    }
    reason, message = reasons.get(code, ("", "the server has asked for something else"))
    return ApiError(code, reason, message)


def _details(kind: Kind, name: str) -> Json:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in details.items() if value}
