"""What a pod says of its own sidecar: a label whether it gets one, and annotations that stand for settings."""

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from msgspec.structs import replace

from extproc.config.nearest import hint, quoted
from extproc.injector.names import INJECT, PREFIX
from extproc.injector.settings import KEY, OBJECT_NAME, QUANTITY, ClientKey, Mode, Settings

CONTAINERS = "containers"
"""Annotation: which containers get the environment."""

_OTHERS = (CONTAINERS, "status", "inject")
_VEILED = ("client-key", "secret")
"""Annotations that name Secrets."""


class Wrong(ValueError):
    """A label or an annotation that means nothing, in words for whoever deploys the pod."""


def wanted(labels: Mapping[str, Any]) -> bool | None:
    """Whether the pod itself asks for a sidecar; None where it says nothing. Raises `Wrong`."""
    said = labels.get(INJECT)
    if said not in ("true", "false", None):
        raise Wrong(f'the label {INJECT} is {_shown(said)}; it has to be "true" or "false"')
    return None if said is None else said == "true"


def misplaced(labels: Mapping[str, Any], annotations: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether an annotation keeps the pod from a sidecar, where the label says nothing; and what to tell of it, since it has to be a label.
    Raises `Wrong`.
    """
    said = annotations.get(INJECT)
    if said is None:
        return False, None
    if said not in ("true", "false"):
        raise Wrong(f'the annotation {INJECT} is {_shown(said)}; it has to be a label, and "true" or "false"')
    if INJECT in labels:
        return False, f"the annotation {INJECT} is not heard, since there is a label of that name"
    if said == "true":
        return False, f"{INJECT} is an annotation here; to ask for a sidecar it has to be a label"
    return True, f'{INJECT}: "false" is an annotation here and has been heard; make it a label, which keeps the webhook from being asked'


def overridden(settings: Settings, annotations: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """The settings for one pod, and what of its annotations is not known. Raises `Wrong`."""
    unknown = []
    for name, value in annotations.items():
        if not name.startswith(PREFIX):
            continue
        what = name.removeprefix(PREFIX)
        if what in _OTHERS:
            continue
        if (read := _READERS.get(what)) is None:
            unknown.append(f"the annotation {quoted(name)} is not known here" + hint(what, [*_READERS, CONTAINERS], "there are"))
        elif not isinstance(value, str):
            raise Wrong(f"the annotation {name} has to be text")
        else:
            settings = _read(name, value.strip(), read, settings)
    if settings.port == settings.admin_port:
        raise Wrong(f"{PREFIX}port and {PREFIX}admin-port are both {settings.port}; each needs a port of its own")
    for name, request, limit in settings.resources.excesses():
        raise Wrong(f"the sidecar would ask for more {name}, {request}, than it may use, {limit}: see {PREFIX}{name}-request and -limit")
    return settings, unknown


def named(annotations: Mapping[str, Any], there: list[str]) -> list[str]:
    """The containers that are told where the sidecar is, of those that are `there`. Raises `Wrong`."""
    said = annotations.get(PREFIX + CONTAINERS)
    if said is None:
        return there
    names = [name.strip() for name in str(said).split(",") if name.strip()]
    for name in names:
        if name not in there:
            raise Wrong(f"the annotation {PREFIX}{CONTAINERS} names {quoted(name)}" + hint(name, there, "the pod has"))
    return names


_Reader = Callable[[str, Settings], Settings]


def _read(name: str, value: str, read: _Reader, settings: Settings) -> Settings:
    try:
        return read(value, settings)
    except ValueError as error:
        # Somebody may have taken what names a Secret for what is in one; and this is logged.
        shown = "no such name" if name.removeprefix(PREFIX) in _VEILED else _shown(value)
        raise Wrong(f"the annotation {name} is {shown}; {error}") from None


def _matching(value: str, pattern: str, what: str) -> str:
    if re.fullmatch(pattern, value) is None:
        raise ValueError(f"it has to be {what}")
    return value


def _mode(value: str, settings: Settings) -> Settings:
    if value not in get_args(Mode):
        raise ValueError(f"it has to be one of {', '.join(get_args(Mode))}")
    # `auto` is what the injector goes by, who may not have asked the server.
    return settings if value == "auto" else replace(settings, mode=value)


def _environment(value: str, settings: Settings) -> Settings:
    if value not in ("true", "false"):
        raise ValueError('it has to be "true" or "false"')
    return replace(settings, environment=value == "true")


def _image(value: str, settings: Settings) -> Settings:
    return replace(settings, image=_matching(value, r"\S{1,512}", "the name of an image"))


def _secret(value: str, settings: Settings) -> Settings:
    return replace(settings, secret=_matching(value, OBJECT_NAME, "the name of a Secret") if value else None)


def _client_key(value: str, settings: Settings) -> Settings:
    secret, slash, key = value.partition("/")
    _matching(secret, OBJECT_NAME, "the name of a Secret, or that and one of its keys: NAME/KEY")
    return replace(
        settings, client_key=ClientKey(secret=secret, key=_matching(key, KEY, "NAME/KEY")) if slash else ClientKey(secret=secret)
    )


def _config(value: str, settings: Settings) -> Settings:
    return replace(settings, config=_matching(value, OBJECT_NAME, "the name of a ConfigMap"))


def _drain_delay(value: str, settings: Settings) -> Settings:
    return replace(settings, drain_delay=_whole(value, 0, 3600))


def _port(value: str, settings: Settings) -> Settings:
    return replace(settings, port=_whole(value, 1, 65_535))


def _admin_port(value: str, settings: Settings) -> Settings:
    return replace(settings, admin_port=_whole(value, 1, 65_535))


def _whole(value: str, least: int, most: int) -> int:
    if re.fullmatch(r"[0-9]{1,5}", value) is None or not least <= int(value) <= most:
        raise ValueError(f"it has to be a whole number from {least} to {most}")
    return int(value)


def _amount(kind: str, resource: str) -> _Reader:
    def read(value: str, settings: Settings) -> Settings:
        amounts = {**getattr(settings.resources, kind), resource: _matching(value, QUANTITY, "an amount, such as 250m or 512Mi")}
        return replace(settings, resources=replace(settings.resources, **{kind: amounts}))

    return read


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else "no text"


_READERS: Mapping[str, _Reader] = {
    "admin-port": _admin_port,
    "client-key": _client_key,
    "config": _config,
    "cpu-limit": _amount("limits", "cpu"),
    "cpu-request": _amount("requests", "cpu"),
    "drain-delay": _drain_delay,
    "env": _environment,
    "image": _image,
    "memory-limit": _amount("limits", "memory"),
    "memory-request": _amount("requests", "memory"),
    "mode": _mode,
    "port": _port,
    "secret": _secret,
}
