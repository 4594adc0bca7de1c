"""The list of models, as each dialect's clients read it."""

import pytest
from anthropic.types import ModelInfo
from mistralai.client.models import BaseModelCard, ModelList
from openai.types import Model as OpenAIModel

from extproc.listing import models_document


def test_openai() -> None:
    document = models_document("openai", ["gpt", "claude"])
    assert document["object"] == "list"
    assert [OpenAIModel.model_validate(entry).id for entry in document["data"]] == ["gpt", "claude"]
    assert OpenAIModel.model_validate(models_document("openai", ["gpt"], "gpt")).object == "model"


def test_anthropic() -> None:
    document = models_document("anthropic", ["gpt", "claude"])
    # The SDK does not insist on all that it knows.
    assert all(entry.keys() <= ModelInfo.model_fields.keys() for entry in document["data"])
    assert [ModelInfo.construct(**entry).display_name for entry in document["data"]] == ["gpt", "claude"]
    assert (document["first_id"], document["last_id"], document["has_more"]) == ("gpt", "claude", False)
    assert models_document("anthropic", ["gpt"], "gpt") == document["data"][0]


def test_mistral() -> None:
    """The SDK passes over what has no `type`, and gives none of its fields."""
    document = models_document("openai", ["gpt", "claude"], sdk="mistral")
    cards = ModelList.model_validate(document).data or []
    assert [(type(card).__name__, card.id) for card in cards if isinstance(card, BaseModelCard)] == [
        ("BaseModelCard", "gpt"),
        ("BaseModelCard", "claude"),
    ]
    assert models_document("openai", ["gpt"], "gpt", sdk="mistral") == document["data"][0]
    assert [OpenAIModel.model_validate(entry).id for entry in document["data"]] == ["gpt", "claude"]


@pytest.mark.parametrize("path", ["/v1beta1/publishers/google/models", "/v1/publishers/google/models/x"])
def test_vertex(path: str) -> None:
    document = models_document("gemini", ["gpt", "claude"], path=path)
    assert [entry["name"] for entry in document["publisherModels"]] == ["publishers/google/models/gpt", "publishers/google/models/claude"]
    assert models_document("gemini", ["gpt"], "gpt", path=path) == document["publisherModels"][0]


def test_none() -> None:
    assert models_document("openai", []) == {"object": "list", "data": []}
    assert models_document("anthropic", []) == {"data": [], "has_more": False, "first_id": None, "last_id": None}
