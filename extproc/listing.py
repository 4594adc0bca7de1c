"""The list of models, in the form that each dialect's clients read."""

from collections.abc import Sequence
from typing import Any

# Providers tell when a model was made. We do not know, and clients insist on a value: the same for every model, and plainly no real one.
_CREATED = 0
_CREATED_AT = "1970-01-01T00:00:00Z"


def models_document(dialect: str, names: Sequence[str], one: str = "") -> dict[str, Any]:
    """All models, or one of them, as `dialect` lists them (OpenAI's `GET /v1/models`, Anthropic's `GET /v1/models`)."""
    entry = _anthropic if dialect == "anthropic" else _openai
    if one:
        return entry(one)
    data = [entry(name) for name in names]
    if dialect == "anthropic":
        ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
        return {"data": data, "has_more": False, **ends}
    return {"object": "list", "data": data}


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "headgate"}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}
