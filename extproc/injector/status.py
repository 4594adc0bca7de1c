"""What the injector writes down at a pod of what it did, for the next time that it sees it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from extproc.injector.names import STATUS


class Status(Struct, frozen=True):
    """The annotation, as JSON."""

    digest: str = ""
    """Of the container and the volumes as they were made: what they look like by now is the server's defaults and others' doing, too."""
    mode: str = ""
    """`native` or `classic`."""
    env: dict[str, tuple[str, ...]] = {}
    """The variables that are ours, by container. All others are their authors'."""


def digest(container: Mapping[str, Any], volumes: list[dict[str, Any]]) -> str:
    """What tells one sidecar from another."""
    return hashlib.sha256(msgspec.json.encode([container, volumes], order="deterministic")).hexdigest()[:16]


def status_text(status: Status) -> str:
    """As it is written."""
    return msgspec.json.encode(status).decode()


def read_status(annotations: Mapping[str, Any]) -> Status | None:
    """As it was written; None where there is none, or somebody else's."""
    try:
        found = msgspec.json.decode(annotations.get(STATUS) or "", type=Status)
    except (msgspec.MsgspecError, TypeError):
        return None
    return found if found.digest else None
