"""The list of models, in the form that each dialect's clients read."""

from collections.abc import Sequence
from typing import Any

from extproc.dialects import DIALECTS


def models_document(dialect: str, names: Sequence[str], one: str = "") -> dict[str, Any]:
    """All models, or one of them, as `dialect` lists them."""
    spoken = DIALECTS[dialect]
    return spoken.describe_model(one) if one else spoken.list_models(names)
