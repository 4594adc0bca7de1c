"""Lists of models as OpenAI gives them, for clients of all its APIs: https://platform.openai.com/docs/api-reference/models"""

from collections.abc import Sequence

from extproc.dialects.hub import Extra

# Providers tell when a model was made. We do not know, and clients insist on a value: the same for every model, and plainly no real one.
_CREATED = 0


def list_models(names: Sequence[str]) -> Extra:
    """All of them."""
    return {"object": "list", "data": [describe_model(name) for name in names]}


def describe_model(name: str) -> Extra:
    """One of them."""
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "headgate"}
