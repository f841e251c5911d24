"""Which rights this account has, asked of the API server itself.

Owns the review's shape. Every account may ask for its own rights, and nothing is kept of it. What
the answer gives for a reason is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.source.api import ApiError, part

if TYPE_CHECKING:
    from agent.source.api import Client

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def may(
    client: Client, verb: str, resource: str, *, group: str, namespace: str, name: str
) -> bool:
    """Whether this account may do something; `resource` as in a Role. Raises `ApiError`."""
    plural, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: one for key, one in attributes.items() if one}},
    }
    answer = await client.request("POST", PATH, body=review)
    is_allowed = part(answer, "status").get("allowed")
    if not isinstance(is_allowed, bool):
        raise ApiError(0, "the answer has another shape")
    return is_allowed
