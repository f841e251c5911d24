"""One plain sentence for every field that can leave: what it tells about you.

Owns these sentences; a test compares the table with every field that can occur. A name in angle
brackets stands for the names that are formed like it.
"""

from __future__ import annotations

EVERY_CALL = {
    "type": "That this is a count (track), or who reports (identify, group).",
    "event": "The name of what was counted, one of the events below.",
    "anonymousId": "A random number of this installation, so that its reports can be put together.",
    "messageId": "A number made from the report itself, so that a repeat is not counted twice.",
    "timestamp": "The end of the counted interval, or the day; never when something happened.",
    "groupId": "Your cluster's own id or a number derived from it, as you chose, or none.",
    "properties": "The values of a count, listed below.",
    "traits": "The values of identify and group: versions and the distribution.",
}
"""Fields of a call."""

AROUND = {
    "batch": "The calls of one request, exactly as this page and the ledger show them.",
    "sentAt": "When the request was made: that your agent was running at that second.",
    "context": "The three fields that follow.",
    "library": "The name and version of this agent.",
    "name": "Always botkube-analytics.",
    "version": "This agent's version.",
    "ip": "Always 0.0.0.0, in place of the address your request comes from.",
    "retried_late": "That this is a repeat after a long time without the destination.",
}
"""Fields of the request around the calls."""

PROPERTIES = {
    "platform": "Which chat or notification service it was about; not which channel or account.",
    "command": "Which command of a fixed list was run; its arguments are never read.",
    "result": "Whether it worked.",
    "reason": "Which of a fixed list of reasons there was; the error's text stays here.",
    "what": "Whether it was an event, a message or a reply that could not be delivered.",
    "type": "Whether the integration is a bot or a sink.",
    "field": "Which known key of BotKube's configuration is wrong; its value is never sent.",
    "kind": "Which of a fixed list of ways to crash it was; no stack and no message.",
    "count": "How often it happened in the interval.",
    "count_floor": "That the count is raised to a minimum, so the true one is smaller.",
    "botkube_version": "Which release of BotKube you run; a build of your own is other.",
    "stream": "A random number of this agent's memory; it changes when that is lost.",
    "seq": "Which interval of the stream it is, so that a missing one is noticed.",
    "window_start": "When the counted interval begins, on the clock's round hours.",
    "window_end": "When the counted interval ends.",
    "lines_read": "How many lines BotKube wrote: how busy it is.",
    "lines_matched": "How many of them meant something to a rule.",
    "late_lines": "How many facts were counted after their own interval was closed.",
    "rotations_crossed": "How often a log file was changed for a new one while it was read.",
    "commands_observable": "Whether BotKube logs at debug, without which commands are not seen.",
    "events_observable": "Whether BotKube logs at debug, without which events are not seen.",
    "<platform>_enabled": "Whether you have this integration switched on.",
    "gap_seconds_<reason>": "For how many minutes lines could not be had, why, and so about when.",
    "<event>_delta": "How often this event was counted in the interval, zeros included.",
    "<event>_total": "How often it was counted since the stream began.",
    "<event>_withheld": "That something of it is new and held back yet, or disabled by your rules.",
    "kubernetes_minor": "Your cluster's Kubernetes version, without the patch level.",
    "distribution": "Which of a fixed list of distributions your cluster is.",
    "agent_version": "This agent's version.",
    "rules_digest": "A number made from the rule files: whether you use rules of your own.",
    "rules_changed": "That the rules were changed since the report before.",
    "events_discarded": "How many counts were held back because they broke a limit.",
}
"""Properties and traits."""


def sentence(name: str) -> str:
    """Return what a property tells about you; of a name of your own rules, where it comes from."""
    if name in PROPERTIES:
        return PROPERTIES[name]
    for end in ("_enabled", "_delta", "_total", "_withheld"):
        if name.endswith(end):
            return PROPERTIES[f"<{'platform' if end == '_enabled' else 'event'}>{end}"]
    if name.startswith("gap_seconds_"):
        return PROPERTIES["gap_seconds_<reason>"]
    return "Declared by a rule file of your own, which lists every word that it can be."
