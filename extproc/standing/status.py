"""How all providers, targets and keys stand, as `GET /v1/providers/status` tells it. No addresses, no credentials, and no names of models
that other callers have made up: those are told of together.
"""

import re
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from extproc.config.model import Config, aim, split_target
from extproc.globs import regex
from extproc.pool import key_names
from extproc.standing.told import Stand

_NONE: dict[str, Any] = {"state": "closed"}
_TRIAL = "a request: the next one for it tries whether it answers again"
_OTHERS = "*"
"""Stands for all models that the configuration does not name: some model takes a pattern of names, and callers ask for what they like."""


def providers_status(config: Config, stands: Iterable[Stand], sick: Mapping[str, str], *, now: float | None = None) -> dict[str, Any]:
    """The document, of JSON. `now`: seconds since the epoch. States: `closed` (asked as usual), `open` (left alone), `half_open` (tried by
    single requests), `cooling` (it has asked to be left alone), `limited` (it has answered 429, and is asked last for a moment).

    What is half open is `degraded` for as long as it was open: whoever has requests for it knows by then. Later on nobody asks for it, so
    nobody is refused for its sake, and an alarm that waited for somebody would never end.
    """
    now = time.time() if now is None else now
    ill: dict[str, list[Stand]] = {}
    for stand in stands:
        ill.setdefault(stand.provider, []).append(stand)
    copied = _mirrors(config)
    providers = [
        _provider(name, _models(config, name), _copies(copied, name), key_names(provider), ill.get(name, []), sick, now)
        for name, provider in config.providers.items()
    ]
    hurt = any(
        _hurts(stand)
        for name in config.providers
        for stand in ill.get(name, ())
        if not stand.key and not _is_copy(stand.model, _models(config, name), _copies(copied, name))
    )
    whole = all(one["healthy"] for one in providers) and not hurt
    return {"object": "providers.status", "status": "ok" if whole else "degraded", "providers": providers}


def _hurts(stand: Stand) -> bool:
    """Whether requests are refused, or go elsewhere, for it."""
    return stand.state != "half_open" or stand.ago < stand.open


def _mirrors(config: Config) -> dict[tuple[str, str], list[str]]:
    """The models whose mirrors are there, by provider and model, where these answer no clients."""
    found: dict[tuple[str, str], list[str]] = {}
    for model in config.models:
        if model.mirror is not None:
            provider, known = split_target(model.mirror.to)
            for name in (known,) if known else (model.name, *model.aliases):
                found.setdefault((provider, name), []).append(model.name)
    asked = {(name, known) for name in {provider for provider, _ in found} for known in _models(config, name)}
    return {target: models for target, models in found.items() if target not in asked}


def _is_copy(model: str, asked: Collection[str], copies: Collection[str]) -> bool:
    """Whether a provider is asked for that model by mirrors alone. A mirror that keeps the name may be asked for all of a pattern."""
    return _meant(model, asked) is None and _meant(model, copies) is not None


def _meant(model: str, names: Collection[str]) -> str | None:
    """Which of these names, or patterns of names, takes it."""
    if model in names:
        return model
    return next((name for name in names if "*" in name and re.fullmatch(regex(name), model, re.DOTALL)), None)


def _copies(mirrors: Mapping[tuple[str, str], list[str]], provider: str) -> dict[str, list[str]]:
    return {model: models for (name, model), models in mirrors.items() if name == provider}


def _models(config: Config, provider: str) -> dict[str, list[str]]:
    """What the provider is asked for, by the name that it knows, and under which names callers ask for that."""
    found: dict[str, list[str]] = {}
    for model in config.models:
        for one in map(aim, (*model.targets, *model.on_context_length, *model.on_content_policy)):
            if one.provider == provider:
                # One that has no name of its own keeps the one that was asked for.
                told = {one.model: model.name} if one.model else {name: name for name in (model.name, *model.aliases)}
                for known, name in told.items():
                    if name not in found.setdefault(known, []):
                        found[known].append(name)
    return found


def _provider(
    name: str, models: dict[str, list[str]], copies: dict[str, list[str]], keys: tuple[str, ...], stands: list[Stand],
    sick: Mapping[str, str], now: float,
) -> dict[str, Any]:  # fmt: skip
    by_model: dict[str, list[Stand]] = {model: [] for model in (*models, *copies)}
    by_key: dict[str, list[Stand]] = {key: [] for key in keys}
    for stand in stands:
        if stand.key:
            by_key.setdefault(stand.key, []).append(stand)
        else:
            row = _meant(stand.model, copies) if _is_copy(stand.model, models, copies) else stand.model
            by_model.setdefault(row if row in by_model else _OTHERS, []).append(stand)
    targets = [
        {"model": model, **({"mirror_of": copies[model]} if model in copies else {"asked_as": models.get(model, [])}), **_worst(found, now)}
        for model, found in by_model.items()
    ]
    out = ("open", "cooling")
    # A caller's name that nobody knows says nothing of the others.
    known = [target["state"] in out for target in targets if target["model"] != _OTHERS and target["model"] not in copies]
    healthy = name not in sick and not (known and all(known))
    why = {"reason": sick[name]} if name in sick else {}
    told = [{"key": key, **_of_key(found, by_model, now)} for key, found in by_key.items()]
    return {"provider": name, "healthy": healthy, **why, "targets": targets, **({"keys": told} if told else {})}


def _of_key(stands: list[Stand], models: Collection[str], now: float) -> dict[str, Any]:
    """Of a key itself, and of each model that it is not to be used for now."""
    found: dict[str, list[Stand]] = {}
    for stand in stands:
        found.setdefault(stand.model if not stand.model or stand.model in models else _OTHERS, []).append(stand)
    told = [{"model": model, **_worst(some, now)} for model, some in found.items() if model]
    return {**_worst(found.get("", []), now), **({"models": told} if told else {})}


def _worst(stands: list[Stand], now: float) -> dict[str, Any]:
    """Of what is told of one target, what keeps it from being asked for longest."""
    return _told(max(stands, key=lambda one: (one.state != "limited", one.left)), now) if stands else _NONE


def _told(stand: Stand, now: float) -> dict[str, Any]:
    found: dict[str, Any] = {"state": stand.state, "since": _moment(now - stand.ago), "reason": stand.reason}
    if stand.state == "half_open":
        return found | {"waits_for": _TRIAL}
    return found | {"until": _moment(now + stand.left)} if stand.left > 0 else found


def _moment(seconds: float) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
