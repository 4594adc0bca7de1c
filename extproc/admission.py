"""What a caller's grant means for one request: pure, and asked only of those for whom anything is set (`grant is not EVERYTHING`).

A refusal says what is not allowed and who can change that, in the client's dialect as every `Reject` does.
"""

import re
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from extproc.errors import Reject
from extproc.identity.levels import Grant
from extproc.retrying import Refusals, Retrying
from extproc.values import Endpoint, Target

FORWARDED = "x-forwarded-for"
"""Envoy appends the address that a connection comes from, so the last one is true, whatever a client has sent. Of callers on the same
machine it tells the machine's own address."""

_ANSWERED_HERE = frozenset({"models", "model", "teams", "fixed", "status", "misplaced", "other_method"})
"""What concerns no provider: the lists show what the caller may use."""
_MEDIA = frozenset({"images", "audio", "moderations"})
_STORED = re.compile(r"/(?:[a-z]+/)?v[0-9][a-z0-9]*/(files|batches)(?:/|$)")
_CHANGED_BY = "Whoever administers its team or organization can change that."


def operation_of(endpoint: Endpoint, path: str) -> str:
    """What is asked for, in the words of `Settings.endpoints`: `chat` (and counting its tokens), `embeddings`, `rerank`, `images`, `audio`,
    `moderations`, `realtime`, `files`, `batches`; another operation's own name; `raw` for what passes through unread. Empty for what the
    gateway answers itself.
    """
    kind = endpoint.kind
    if kind in _ANSWERED_HERE:
        return ""
    if kind == "raw":
        found = _STORED.match(path)
        return found[1] if found is not None else "raw"
    if kind in ("json", "form"):
        # Where the path names the model, its segments are not ours to read.
        return next((name for name in path.split("/") if name in _MEDIA and not endpoint.model), "raw")
    if kind == "live":
        return "realtime"
    return "chat" if endpoint.operation == "count" else endpoint.operation


def client_address(headers: Mapping[str, str], proxies: int = 0) -> str:
    """Where a request comes from, as Envoy tells it; empty where nobody says so. `proxies`: so many in front of it are believed."""
    seen = headers.get(FORWARDED, "").rsplit(",", proxies + 1)
    return seen[-1 - proxies].strip() if len(seen) > proxies else ""


def check_address(grant: Grant, address: str) -> None:
    """Raises `Reject` 403 for a caller from somewhere else."""
    if not grant.allows_address(address):
        where = f"from {address}" if address else "from an address that is not known"
        message = f"This key is for callers from other networks, and the request comes {where}. {_CHANGED_BY}"
        raise Reject(403, "network_not_allowed", message)


def check_operation(grant: Grant, endpoint: Endpoint, path: str) -> None:
    """Raises `Reject` 403 for what the caller may not ask for."""
    operation = operation_of(endpoint, path)
    if not operation:
        return
    if grant.endpoints is not None and operation not in grant.endpoints:
        message = f"This key is not for {operation!r}: it may ask for {_listed(grant.endpoints)}. {_CHANGED_BY}"
    elif grant.endpoints is None and not grant.any_model and _may_hide_models(endpoint):
        message = (
            "This key is for some models alone, and this request does not name its model where that is read. A key that may ask "
            f"for this all the same has it among its `endpoints`, as `{operation}`. {_CHANGED_BY}"
        )
    else:
        return
    raise Reject(403, "endpoint_not_allowed", message)


def _may_hide_models(endpoint: Endpoint) -> bool:
    """What is not read may name any model: the file of a batch, the settings of an assistant."""
    return endpoint.kind == "raw" or (endpoint.kind == "live" and not endpoint.model)


def check_model(grant: Grant, name: str) -> None:
    """Raises `Reject` 403 for a model that the caller may not ask for."""
    if not grant.allows_model(name):
        message = f"This key may not ask for the model {name!r}; GET /v1/models lists those that it may. {_CHANGED_BY}"
        raise Reject(403, "model_not_allowed", message, param="model")


def allowed_targets(grant: Grant, name: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Those whose providers the caller may ask. Raises `Reject` 403 where there were some, and none is left."""
    if grant.providers is None:
        return targets
    left = tuple(target for target in targets if target.provider in grant.providers)
    if targets and not left:
        message = f"This key is for the providers {_listed(grant.providers)}, and the model {name!r} is asked of others. {_CHANGED_BY}"
        raise Reject(403, "provider_not_allowed", message, param="model")
    return left


def allowed_provider(grant: Grant, named: str, speaking: Iterable[str]) -> str | None:
    """Who is asked for what names no model: the one that is `named`, or the first of those `speaking` the client's dialect; None: nobody.

    Raises `Reject` 403 where the caller may not.
    """
    there = [named] if named else list(speaking)
    found = next(filter(grant.allows_provider, there), None)
    if there and found is None:
        who = f"not for the provider {named!r}" if named else "for no provider that speaks this dialect"
        raise Reject(403, "provider_not_allowed", f"This key is {who}. {_CHANGED_BY}")
    return found


def allowed_retrying(grant: Grant, retrying: Retrying | None) -> Retrying | None:
    """What follows failed attempts, without those that may not be asked."""
    if grant.providers is None or retrying is None or not retrying.refusals.most:
        return retrying
    length, policy = (
        tuple(one for one in targets if one.provider in grant.providers) for targets in (retrying.refusals.length, retrying.refusals.policy)
    )
    return replace(retrying, refusals=Refusals(length, policy))


def shows(grant: Grant, name: str, providers: Iterable[str]) -> bool:
    """Whether a model is in the caller's list. `providers`: of its targets."""
    return grant.allows_model(name) and any(map(grant.allows_provider, providers))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"
