"""Follows one container instance from where its Cursor stands to its end.

`instance` is what is known of it, `stream` reads while it lives, `audit` asks whether a silent
stream is whole, `last_read` reads what an ended one has left. Must not know windows or
destinations: what a reader releases goes to `fold` at once, in the same step. No queue stands
between: reading waits while folding works, and TCP holds the rest back.
"""

from agent.follow.audit import audit, wants_audit
from agent.follow.instance import Follow, Pace
from agent.follow.stream import read_instance

__all__ = ["Follow", "Pace", "audit", "read_instance", "wants_audit"]
