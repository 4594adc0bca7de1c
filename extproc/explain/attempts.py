"""The attempts that a request would have: what each provider would be sent, and how patiently it would be waited for."""

from msgspec.structs import replace

from extproc.attempt import Attempt, Outgoing
from extproc.call import Call
from extproc.config.model import Config
from extproc.config.urls import provider_url
from extproc.crossing import without_credential
from extproc.envoy import names
from extproc.errors import Reject
from extproc.explain.explanation import Asked
from extproc.explain.models import named
from extproc.explain.passage import Passage
from extproc.intake import Forward
from extproc.retrying import Retrying
from extproc.values import Target
from extproc.ways import way_of

_INTERNAL = {"x-forwarded-for", "x-forwarded-proto", "x-request-id"}
"""Headers that no client has sent."""


def attempts(passage: Passage, forward: Forward, config: Config) -> list[Asked]:
    """Each of them, as the gate or the adapter would make it."""
    call = forward.call
    return [_attempt(passage, forward, config, target, number) for number, target in enumerate(call.targets, 1)]


def _attempt(passage: Passage, forward: Forward, config: Config, target: Target, number: int) -> Asked:
    request, call, snapshot = passage.request, forward.call, passage.exchange.snapshot
    attempt = Attempt(call, target, snapshot.upstreams[target.provider], config.limits.response_body, number)
    patient = forward.timeouts[min(number, len(forward.timeouts)) - 1]
    asked = Asked(
        named(target), attempt.upstream.dialect.name, cluster=attempt.upstream.cluster, first_byte=patient.first_byte, idle=patient.idle
    )
    try:
        if forward.more is None:
            # The gate has made this attempt, and is asked once more for what it said of it.
            attempt.outgoing(request.headers, request.body, ruled=tuple(request.set_headers))
            before, outgoing = request.headers, forward.outgoing
        else:
            before = _held(request.headers, forward.outgoing)
            outgoing = attempt.outgoing(before, request.body)
    except Reject as reject:
        return replace(asked, refused=reject.fault.message)
    finally:
        attempt.end()
    url = provider_url(config.providers[target.provider])
    sent = _held(before, outgoing)
    path = without_credential(sent[":path"])
    return replace(
        asked,
        url=f"{url.scheme}://{sent[':authority']}{path}" if url.scheme != "demo" else f"demo:{path}",
        body=_body(call, attempt, outgoing),
        sets=tuple(sorted(name for name, value in sent.items() if name[0] != ":" and request.headers.get(name) != value)),
        removes=tuple(sorted(request.headers.keys() - sent.keys() - _INTERNAL)),
        key=attempt.key,
        drops=tuple(dict.fromkeys(attempt.dropped)),
    )


def _held(given: dict[str, str], outgoing: Outgoing) -> dict[str, str]:
    """What Envoy holds of the headers when the gate has said what it changes."""
    return {name: value for name, value in given.items() if name not in outgoing.remove} | outgoing.headers


def _body(call: Call, attempt: Attempt, outgoing: Outgoing) -> str:
    if not attempt.same and call.dialect == attempt.upstream.dialect.name:
        return "written anew, in the form of its dialect that the provider takes"
    if not attempt.same:
        return f"translated from {call.dialect} to {attempt.upstream.dialect.name}"
    if outgoing.body is None:
        return "untouched"
    renamed = attempt.target.model not in ("", call.model)
    return f"the same, with the model {attempt.target.model}" if renamed else "the same, but for what this provider has otherwise"


def told_to_envoy(forward: Forward, upgrade: bool) -> dict[str, str]:
    """What the gate says of the request for Envoy's choice of a route."""
    own = {names.IDLE: names.UPGRADED if upgrade else names.idle_key(forward.timeouts)}
    return own | ({names.ADAPTER: names.ADAPTER_ON} if forward.more is not None else {})


def told_of_retries(forward: Forward, retrying: Retrying | None) -> str:
    """What follows an attempt that fails."""
    many = len(forward.call.targets)
    if forward.more is None:
        return "one target: it is asked once more where it cannot have seen the request"
    says = []
    if many > 1:
        says.append(f"{many} attempts at most, each after a failure of the one before")
    if retrying is not None:
        retries = retrying.retries
        if retries.again:
            often = "once" if retries.again == 1 else f"{retries.again} times"
            says.append(f"each target is asked again, {often}, after {retries.pause:g} s, at most {retries.longest:g} s")
        for what, named_for in (("too long", retrying.refusals.length), ("against a provider's policy", retrying.refusals.policy)):
            if named_for:
                says.append(f"what is {what} goes on to {', '.join(map(named, named_for))}")
        if retries.within is not None:
            says.append(f"no attempt begins later than {retries.within:g} s")
    return "; ".join(says)


def told_of_time(passage: Passage, forward: Forward) -> str:
    """How long the whole may take, and may be silent."""
    call = forward.call
    if "upgrade" in passage.request.headers:
        return "a WebSocket is as silent as it likes, for as long as its route of Envoy's says"
    waits = passage.exchange.intake.patience(call)
    headers = way_of(forward.clusters, forward.timeouts, call.dialect, forward.more, forward.chain, False, call.stream).headers
    first = headers.get("x-envoy-upstream-rq-per-try-timeout-ms")
    says = [f"{waits.opening:g} s of silence before the answer, {waits.idle:g} s in the middle of it"]
    if first is not None:
        says.append(f"{int(first) / 1000:g} s for the first byte of an attempt")
    says.append("no bound for the whole" if waits.total == float("inf") else f"{waits.total:g} s for the whole")
    return "; ".join(says)
