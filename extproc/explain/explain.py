"""Puts together what there is to say of a request: what it would meet, in the order in which it would."""

from extproc.config.load import Loaded
from extproc.config.model import Config
from extproc.config.urls import bracketed
from extproc.crossing import without_credential
from extproc.delivery import Delivery
from extproc.envoy.routes import virtual_host
from extproc.explain.attempts import attempts, told_of_retries, told_of_time, told_to_envoy
from extproc.explain.caller import ASSUMED
from extproc.explain.explanation import Answer, Explanation
from extproc.explain.models import entry, passed_over
from extproc.explain.passage import Passage
from extproc.explain.question import Question
from extproc.explain.rules import rules
from extproc.explain.ways import way
from extproc.hosts import is_loopback_name
from extproc.values import Identity, Request, Response

_ASKS = {
    "models": "the list of models",
    "model": "one of the models",
    "fixed": "what the gateway answers itself",
    "status": "how providers stand",
    "teams": "the caller's teams",
    "raw": "something that no model is asked for: it passes to a provider unread",
    "misplaced": "inference, but not in the one way that is read",
    "other_method": "something that another method asks for",
    "form": "a form that names a model",
    "json": "JSON that names a model, for providers of the same dialect",
    "live": "a WebSocket",
}
_STRANGER = "nobody in particular: the gateway has no keys, and takes what comes from this machine"
_OPEN = "nobody in particular: `listener.open` lets everybody in who sends no key"

_UNCOUNTED = "limits are told as if nothing had been used so far: `headgate limits` says what is left"
_UNCHECKED = "tokens are not checked here, since a running gateway has the issuers' keys: `--as TENANT` stands for who has a good one"
_DOUBT = "before this one Envoy tries the route {}, of which it is not known here whether it fits: what it leads to is past the gate"
_LEFT = "ratelimit"
_DRAWN = "the strategy may give another order to the next request: this is one of them"


def explain(loaded: Loaded, data: bytes, question: Question) -> Explanation:
    """What becomes of it. `data`: the snapshot that the configuration makes, keys included."""
    config = loaded.config
    assert config is not None
    address = config.listener.address
    host = f"{address if is_loopback_name(address) else 'localhost'}:{config.listener.port}"
    routes = virtual_host(config)["routes"]
    before = way(routes, question.head(host), {})
    doubts = [_DOUBT.format(one) for one in before.doubts] if before is not None else []
    if before is not None and before.past:
        shown = f"{question.method} {without_credential(question.path)}"
        return Explanation(
            request=shown, listener=_listener(config), before=before, asks=before.past, outcome="past the gate", notes=doubts
        )
    passage = Passage(data, question, host)
    request = passage.request
    told = Explanation(
        request=f"{question.method} {without_credential(request.path)}",
        listener=_listener(config),
        before=before,
        dialect=request.endpoint.dialect,
        operation=request.endpoint.kind,
        asks=_ASKS.get(request.endpoint.kind, request.endpoint.operation),
        filters=passage.steps,
        model=request.record.model,
        notes=doubts,
    )
    _tell_caller(told, request, config)
    if request.record.route:
        told.entry = entry(config, request.record.model, request.record.route)
        told.passed_over = passed_over(passage, request.record.model)
        mirror = next((one.mirror for one in config.models if one.name == request.record.route), None)
        if mirror is not None and mirror.share and request.endpoint.converses and request.own is None:
            told.mirror = f"{mirror.share:.0%} of such requests are sent to {mirror.to} as well"
    _tell_filters(told, passage, loaded)
    _tell_outcome(told, passage, config)
    if passage.forward is not None:
        told.after = way(routes, request.headers, told_to_envoy(passage.forward, "upgrade" in request.headers))
    return told


def _listener(config: Config) -> str:
    one = config.listener
    says = [f"{bracketed(one.address)}:{one.port}"]
    if one.tls is not None:
        says.append("TLS, with clients' certificates" if one.tls.checks else "TLS")
    if one.http3:
        says.append("HTTP/3")
    if one.proxy_protocol:
        says.append(f"PROXY protocol from {', '.join(one.proxy_protocol)}")
    return ", ".join(says)


def _tell_caller(told: Explanation, request: Request, config: Config) -> None:
    identity: Identity = request.identity
    refused = any(step.did == "refused" and step.filter == "auth" for step in told.filters)
    told.key, told.tenant = identity.key, identity.tenant
    if request.own is not None:
        told.caller = f"{identity.tenant}, somebody with a key of his own for {', '.join(request.own.providers)}"
    elif identity.key == ASSUMED and not identity.id:
        told.caller = f"somebody of the tenant {identity.tenant}"
    elif identity.key:
        told.caller = f"the key {identity.key}{f' ({identity.id})' if identity.id else ''} of the tenant {identity.tenant}"
    elif refused:
        told.caller = "nobody who may call: see the answer"
        if config.callers.jwt:
            told.notes.append(_UNCHECKED)
    elif all(step.filter != "auth" for step in told.filters):
        told.caller = "nobody asks: there is no filter `auth`"
    else:
        told.caller = identity.tenant or (_OPEN if config.listener.open else _STRANGER)


def _tell_filters(told: Explanation, passage: Passage, loaded: Loaded) -> None:
    config, request = loaded.config, passage.request
    assert config is not None
    settings = {name: one for named, one in zip(config.filters, loaded.filters, strict=True) for name in named}
    seen = {step.filter for step in passage.steps}
    if "cache" in seen and request.endpoint.json:
        told.cache = _cache(passage)
    if "conversations" in seen and request.endpoint.dialect == "responses":
        told.conversations = _conversations(passage)
    if (limits := settings.get("limits")) is not None and "limits" in seen:
        told.limits = rules(passage, limits)
        if passage.notebook.wants:
            told.notes.append(_UNCOUNTED)
    told.headers = _answered_with(passage.exchange.delivery) if passage.response is None else {}


def _cache(passage: Passage) -> str:
    match passage.request.record.cache:
        case "bypass":
            return "not looked up: the request says no-store, or is too large"
        case "miss" if passage.notebook.looked_up:
            return "looked up; an answer of the first target is kept"
        case "miss":
            return "not looked up, since the request says no-cache; the answer is kept"
    return "not looked up: `deterministic_only`, and the request does not say `temperature: 0`"


def _conversations(passage: Passage) -> str:
    if passage.past.asked:
        return f"looked for {', '.join(passage.past.asked)}, of which nothing is known here"
    did = next(step.did for step in passage.steps if step.filter == "conversations")
    if did == "refused":
        return ""
    return (
        "the answer is kept, so that the client can go on from it"
        if did == "follows"
        else "nothing is kept: the provider does, or nobody is to"
    )


def _answered_with(delivery: Delivery) -> dict[str, str | None]:
    """What taps make of the head of an answer, last filter first."""
    given = {"content-type": "application/json"}
    response = Response(200, dict(given), origin="provider")
    response.target = delivery.call.targets[0] if delivery.call is not None and delivery.call.targets else None
    for tap in reversed(delivery.taps):
        tap.start(response)
    return {name: value for name, value in sorted(response.headers.items()) if given.get(name, ...) != value and _LEFT not in name}


def _tell_outcome(told: Explanation, passage: Passage, config: Config) -> None:
    request, response, forward = passage.request, passage.response, passage.forward
    if response is not None:
        told.outcome = "refused" if response.status >= 400 else "answered"
        body = response.body.decode("utf-8", "replace")
        told.answer = Answer(response.status, passage.by, body, request.record.error or "")
        return
    assert forward is not None
    told.outcome = "forwarded"
    told.targets = attempts(passage, forward, config)
    if told.entry is not None and told.entry.strategy != "ordered" and len({one.target for one in told.targets}) > 1:
        told.notes.append(_DRAWN)
    told.made_in = "gate" if forward.more is None else "adapter"
    told.retries, told.timeouts = told_of_retries(forward, request.retrying), told_of_time(passage, forward)
