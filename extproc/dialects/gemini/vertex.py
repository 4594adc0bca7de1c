"""Gemini for clients of Vertex AI, who have another list of models.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list
"""

from collections.abc import Sequence

from extproc.dialects.gemini import Gemini
from extproc.dialects.hub import Extra

_PUBLISHERS = ("/v1beta1/publishers/", "/v1/publishers/")


class GeminiAtVertex(Gemini):
    """See `dialect.Dialect`. Only lists are asked for so."""

    def list_models(self, names: Sequence[str]) -> Extra:
        return {"publisherModels": [self.describe_model(name) for name in names]}

    def describe_model(self, name: str) -> Extra:
        return {"name": f"publishers/google/models/{name}", "displayName": name, "launchStage": "GA"}


def lists_publishers(path: str) -> bool:
    """Whether a list that is asked for at `path` is Vertex AI's."""
    return path.startswith(_PUBLISHERS)
