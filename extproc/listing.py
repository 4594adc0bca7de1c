"""The list of models, in the form that each dialect's clients read."""

from collections.abc import Sequence
from typing import Any

from extproc.dialects import lister


def models_document(dialect: str, names: Sequence[str], one: str = "", *, path: str = "", sdk: str = "") -> dict[str, Any]:
    """All models, or one of them, as `dialect` lists them at `path`. `sdk`: see `Endpoint.sdk`."""
    spoken = lister(dialect, path, sdk)
    return spoken.describe_model(one) if one else spoken.list_models(names)
