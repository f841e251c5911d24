"""What was found -> ok, warn or fail, in our own words, with the fix. Pure.

Nothing here repeats a text that came from outside, but names and numbers of objects.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

from agent.doctor.rights import Lack, Right, Where
from agent.modes import Decision, Mode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from agent.doctor.levels import Level
    from agent.doctor.rights import Action, Scope
    from agent.modes import Switch

SKEW_WARN_SECONDS = 5
SKEW_FAIL_SECONDS = 60
MAX_NAMES = 4

NOT_READABLE = "not readable"


class Verdict(StrEnum):
    """The worst one last."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@frozen
class Line:
    """One check: what it says, and what to do about it."""

    check: str
    verdict: Verdict
    says: str
    fix: str = ""


@frozen
class Refusal:
    """Why something could not be asked: a status of HTTP, or 0, and a word of ours."""

    status: int
    word: str

    def __str__(self) -> str:
        return f"status {self.status} {self.word}".strip() if self.status else self.word


def worst(lines: Iterable[Line]) -> Verdict:
    """Return the worst verdict of all."""
    order = list(Verdict)
    return max((one.verdict for one in lines), key=order.index, default=Verdict.OK)


def of_mode(decision: Decision) -> Line:
    """Judge the mode: off is somebody's wish, and still no report comes."""
    says = f"{decision.mode}, because {decision.why}"
    if decision.mode is Mode.OFF:
        return Line("mode", Verdict.WARN, says, "take the switch back to count and send again")
    if decision.mode is Mode.LOCAL:
        return Line("mode", Verdict.OK, f"{says}: it counts, and sends nothing")
    return Line("mode", Verdict.OK, says)


def of_rules(rules: int, digest: str) -> Line:
    """Judge a rule set that compiles."""
    return Line("rules", Verdict.OK, f"{rules} rules, digest {digest}")


def of_rule_faults(count: int, code: str, place: str) -> Line:
    """Judge a rule set that does not."""
    says = f"{count} faults, the first at {place}: {code}"
    return Line("rules", Verdict.FAIL, says, "`rules check` with the same paths shows all")


def of_api(refusal: Refusal | None, no_cluster: str = "") -> Line:
    """Judge whether the API server answers this account."""
    if no_cluster:
        says, fix = f"{no_cluster}", "run it in a pod with a service account, or name a kubeconfig"
        return Line("API server", Verdict.FAIL, says, fix)
    if refusal is None:
        return Line("API server", Verdict.OK, "reached, and it answers")
    if refusal.status == 401:  # noqa: PLR2004 the statuses of HTTP
        fix = "renew the token or log in again; in a pod: is the service account still there?"
        return Line("API server", Verdict.FAIL, "reached, but it refuses the credentials", fix)
    if refusal.status:
        fix = "look at the API server's own health"
        return Line("API server", Verdict.FAIL, f"reached, but it answers {refusal}", fix)
    fix = "check address, certificate authority, proxy and NetworkPolicy on the way to it"
    return Line("API server", Verdict.FAIL, f"not reached: {refusal}", fix)


def skew_seconds(date: float | None, *, before: float, after: float) -> float | None:
    """Return by how much our clock is ahead of a Date header, at least; None if there is none.

    The header is cut to a whole second and was written between `before` and `after`: what that can
    explain is no skew.
    """
    if date is None:
        return None
    least, most = before - (date + 1), after - date
    return 0.0 if least <= 0 <= most else (least if least > 0 else most)


def of_clock(skew: float | None) -> Line:
    """Judge our clock by the API server's."""
    if skew is None:
        says = "the API server said no time that can be read"
        return Line("clock", Verdict.WARN, says, "check that no proxy takes the Date header away")
    if abs(skew) <= SKEW_WARN_SECONDS:
        return Line("clock", Verdict.OK, f"within {SKEW_WARN_SECONDS} s of the API server's")
    verdict = Verdict.FAIL if abs(skew) > SKEW_FAIL_SECONDS else Verdict.WARN
    says = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API server's"
    fix = "set this machine's clock, or the control plane's, by NTP; windows close by it"
    return Line("clock", verdict, says, fix)


def of_switches(found: Sequence[Switch] | Refusal, unnamed: Sequence[str] = ()) -> Line:
    """Judge the switches in the cluster; of `unnamed` Deployments none was looked for."""
    check = "switches"
    if isinstance(found, Refusal):
        says = f"those in the cluster have no answer ({found}): while that is so nothing is sent"
        return Line(check, Verdict.FAIL, says, "see the API server's line")
    off = [one.name for one in found if one.is_off]
    hidden = [one.name for one in found if one.value == NOT_READABLE]
    if off:
        fix = "remove it, if counting is wanted; no log is read meanwhile"
        return Line(check, Verdict.WARN, f"off: {_names(off)}", fix)
    if hidden:
        fix = "allow `get` on it (`list` on pods), so that a wish to switch off is seen"
        # Who may not read the annotation would not see one that is set for this.
        if not any(one.startswith("annotation ") for one in hidden):
            fix += (
                "; one that stands in another object, is longer than 128 KiB or cannot be "
                "understood is not: set the annotation of the namespace"
            )
        return Line(check, Verdict.WARN, f"none says off; not readable: {_names(hidden)}", fix)
    says = f"none of the {len(found)} in the cluster says off"
    if unnamed:
        says += f"; BotKube's own opt-out is not looked for of Deployment {_names(unnamed)}"
        fix = "name it in kubernetes.deployments (in the chart rights.botkubeDeployments)"
        return Line(check, Verdict.WARN, says, fix)
    return Line(check, Verdict.OK, says)


@frozen
class Held:
    """What is known about one right: what it has to allow, and what of it is missing.

    `refusal` is why that could not be asked.
    """

    right: Right
    wanted: tuple[Action, ...]
    missing: tuple[Action, ...] = ()
    refusal: Refusal | None = None


@frozen
class Around:
    """What the lack of a right is judged by, None where it is not known.

    `pods_in` are the namespaces in which BotKube was found; `has_versions` says that the tag of
    each image is a release; the others say what is there already.
    """

    pods_in: frozenset[str]
    has_state: bool | None
    has_lease: bool | None
    has_installation: bool | None
    has_versions: bool


def of_right(held: Held, scope: Scope, around: Around) -> Line:
    """Judge one right."""
    right = held.right
    check, plain = f"right: {right.text.replace('`', '')}", right.without.replace("`", "")
    if held.refusal is not None:
        fix = "allow `create` on selfsubjectaccessreviews, as the role system:basic-user does"
        return Line(check, Verdict.WARN, f"cannot be asked for ({held.refusal})", fix)
    if not held.missing:
        return Line(check, Verdict.OK, "held")
    says = f"missing: {_names(map(str, held.missing))}"
    # All of them: who allows what stands here shall not have to look again.
    fix = f"allow {', '.join(map(str, held.missing))}"
    if _is_moot(right, around):
        return Line(check, Verdict.OK, f"missing, and not needed: {_MOOT[right.where]}")
    elsewhere = {one.namespace for one in held.missing}
    if right.where is Where.PODS and elsewhere <= scope.guessed - around.pods_in:
        if around.pods_in:
            fix = f"name BotKube's own in kubernetes.namespaces: {_names(sorted(around.pods_in))}"
            return Line(check, Verdict.WARN, f"{says}, where no BotKube was found", fix)
        fix = f"name BotKube's own in kubernetes.namespaces, or {fix}"
    if right.where is Where.KUBE_SYSTEM:
        fix += ", or set identity.cluster_id to none, as the chart does"
    if right.where in _AT_HOME and not scope.has_home:
        fix = f"{HOME}, or {fix}"
    is_begun = right.lack is Lack.BEGINS_NOT and bool(around.has_installation)
    verdict = Verdict.WARN if is_begun or right.lack is Lack.HIDES else Verdict.FAIL
    if right.lack is Lack.CREATES:
        is_lease = right.where is Where.NEW_LEASE
        if (around.has_lease if is_lease else around.has_state) is None:
            fix = f"see the line of the {'lease' if is_lease else 'state and of the installation'}"
            says += "; whether it is needed is not known"
            return Line(check, Verdict.WARN, says, fix)
        fix = f"{fix}, or apply the manifest that has the object"
    return Line(check, verdict, f"{says}; without it: {plain}", fix)


HOME = "name the namespace in which the agent runs with --state-namespace"
_AT_HOME = {
    Where.KEPT,
    Where.STATE,
    Where.INSTALLATION,
    Where.NEW_STATE,
    Where.LEASE,
    Where.NEW_LEASE,
}

_MOOT = {
    Where.NEW_STATE: "both are there",
    Where.NEW_LEASE: "it is there",
    Where.OLD_ID: "the installation has its id",
    Where.DEPLOYMENTS: "the image tags say the version",
}


def _is_moot(right: Right, around: Around) -> bool:
    there = {
        Where.NEW_STATE: around.has_state,
        Where.NEW_LEASE: around.has_lease,
        Where.OLD_ID: around.has_installation,
        Where.DEPLOYMENTS: around.has_versions,
    }
    return there.get(right.where) is True


def of_pods(found: tuple[int, int] | Refusal, *, namespaces: Collection[str], node: str) -> Line:
    """Judge how many pods match, and how many of their containers are to be followed."""
    check, where = "BotKube", f"in {_names(namespaces)}" + (f" on node {node}" if node else "")
    if isinstance(found, Refusal):
        fix = "see the rights on pods, and kubernetes.namespaces"
        return Line(check, Verdict.FAIL, f"pods cannot be listed {where}: {found}", fix)
    pods, containers = found
    if not pods and node:
        return Line(check, Verdict.OK, f"no pod {where}: this replica stands by")
    if not pods:
        fix = "check kubernetes.namespaces and kubernetes.selectors against BotKube's pods"
        return Line(check, Verdict.WARN, f"no pod {where} matches", fix)
    says = f"{pods} pods {where}, {containers} containers that run are to be followed"
    if not containers:
        fix = "check kubernetes.containers, and whether the pods start"
        return Line(check, Verdict.WARN, says, fix)
    return Line(check, Verdict.OK, says)


def of_levels(levels: Sequence[tuple[str, Level | Refusal]], unread: int) -> Line:
    """Judge the level of each container: at info neither commands nor handled events are seen."""
    check = "log level"
    refused = [name for name, one in levels if isinstance(one, Refusal)]
    by_level = {
        level: [name for name, one in levels if one == level] for level in ("debug", "info")
    }
    silent = [name for name, one in levels if one == "unknown"]
    counts = f"{len(by_level['debug'])} of {len(levels)} containers log at debug"
    counts += f" ({unread} more were not looked at)" if unread else ""
    if refused:
        first = next(one for _, one in levels if isinstance(one, Refusal))
        says = f"{counts}; the log cannot be read ({first}): {_names(refused)}"
        return Line(check, Verdict.FAIL, says, "see the right on pods/log")
    if by_level["info"]:
        says = f"{counts}; no debug entry at the end of the log of {_names(by_level['info'])}"
        fix = "set BotKube's settings.log.level (up to v0.12 logLevel) to debug, else commands and "
        return Line(check, Verdict.WARN, says, fix + "handled events are not observable")
    if silent:
        says = f"{counts}; no entry yet in the log of {_names(silent)}"
        return Line(check, Verdict.WARN, says, "look again when BotKube has written something")
    return Line(check, Verdict.OK, counts)


REACHES = {
    "name": ("its name cannot be looked up", "check DNS, and the NetworkPolicy on port 53"),
    "tls": (
        "there is no TLS that can be trusted",
        "check the CA list (SSL_CERT_FILE) and what stands in the way",
    ),
    "proxy": ("the proxy does not let it through", "check HTTPS_PROXY and what it asks for"),
    "gateway": ("a gateway on the way answers in its place", "look at the gateway or the endpoint"),
    "timeout": ("there was no answer in time", "allow HTTPS to it (NetworkPolicy, firewall)"),
    "connection": ("there is no connection", "allow HTTPS to it (NetworkPolicy, firewall)"),
}


def of_destination(origin: str, found: str) -> Line:
    """Judge what a request that says nothing came to."""
    if found == "reached":
        return Line("destination", Verdict.OK, f"{origin} is reached; no event was sent")
    says, fix = REACHES[found]
    return Line("destination", Verdict.FAIL, f"{origin}: {says}", fix)


def not_contacted(why: str) -> Line:
    """Say why the destination was left alone."""
    return Line("destination", Verdict.OK, f"not contacted: {why}")


def _names(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
    return ", ".join(found[:MAX_NAMES]) + more
