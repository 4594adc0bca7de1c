"""docs/vectors.md: what of a request for vectors, or for an order, reaches a provider, worked out by the code itself."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from extproc.config.catalogue import catalogue
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Operation
from extproc.dialects.hub import Question
from extproc.dialects.quirks import NONE, Quirks
from extproc.errors import Reject
from tests.cases import cases
from tests.dialects.vector_features import ORDERS, VECTORS, Feature

PAGE = Path(__file__).parents[2] / "docs" / "vectors.md"

CARRIED, EMULATED, NAMED, REFUSED, UNSAID = "yes", "else", "named", "no", "-"
"""Marks of a cell."""


class Side(NamedTuple):
    """Somebody who asks, or is asked."""

    dialect: str
    kind: str
    model: str = "m"
    quirks: Quirks = NONE

    @property
    def operation(self) -> Operation[Any, Any]:
        return DIALECTS[self.dialect].operations[self.kind]

    def read(self, body: dict[str, Any]) -> Question:
        """A request of theirs."""
        question: Question = self.operation.read_request({"model": "m", **json.loads(json.dumps(body))})
        return question

    def write(self, question: Question) -> dict[str, Any]:
        """The request for them."""
        return self.operation.write_request(question, self.model, self.quirks)


def _known(name: str, kind: str) -> Side:
    known = catalogue()[name]
    return Side(known.dialect, kind, quirks=known.quirks)


JINA, VOYAGE = catalogue()["jina"].quirks, catalogue()["voyage"].quirks

VECTOR_CLIENTS = {
    "OpenAI's dialect, with the words of Voyage and Mistral": Side("openai", "embeddings", quirks=VOYAGE),
    "OpenAI's dialect, with the words of Jina": Side("openai", "embeddings", quirks=JINA),
    "Cohere": Side("cohere", "embeddings"),
    "Gemini": Side("gemini", "embeddings"),
    "Ollama": Side("ollama", "embeddings"),
    "Bedrock (InvokeModel with Titan's words)": Side("bedrock", "invoke", "amazon.titan-embed-image-v1"),
}
VECTOR_PROVIDERS = {
    "OpenAI": Side("openai", "embeddings"),
    "Voyage": _known("voyage", "embeddings"),
    "Mistral": _known("mistral", "embeddings"),
    "Jina": _known("jina", "embeddings"),
    "NVIDIA": _known("nvidia", "embeddings"),
    "Cohere": Side("cohere", "embeddings", "embed-v4.0"),
    "Gemini 001": Side("gemini", "embeddings", "gemini-embedding-001"),
    "Gemini 2": Side("gemini", "embeddings", "gemini-embedding-2"),
    "Vertex": Side("gemini", "predict", "text-embedding-005"),
    "Ollama": Side("ollama", "embeddings"),
    "Titan 2": Side("bedrock", "embeddings", "amazon.titan-embed-text-v2:0"),
    "Titan image": Side("bedrock", "embeddings", "amazon.titan-embed-image-v1"),
    "Nova": Side("bedrock", "embeddings", "amazon.nova-2-multimodal-embeddings-v1:0"),
    "Bedrock's Cohere 4": Side("bedrock", "embeddings", "cohere.embed-v4:0"),
}
ORDER_CLIENTS = {
    "Jina's form (vLLM, LiteLLM, Cohere's first version)": Side("openai", "rerank"),
    "Voyage's": Side("openai", "rerank_voyage"),
    "Cohere": Side("cohere", "rerank"),
    "Scores (vLLM)": Side("openai", "score"),
}
ORDER_PROVIDERS = {
    "Jina, vLLM": Side("openai", "rerank"),
    "Voyage": Side("openai", "rerank_voyage"),
    "TEI": Side("openai", "rerank_texts"),
    "Cohere": Side("cohere", "rerank"),
    "Bedrock's Cohere": Side("bedrock", "rerank", "cohere.rerank-v3-5:0"),
    "Amazon": Side("bedrock", "rerank", "amazon.rerank-v1:0"),
}

FORMED = [forms.values() for known in catalogue().values() for forms in known.quirks.forms.values()]
"""Forms of their own that providers are asked in."""

_HEAD = """# Vectors and orders of documents

What of a client's request for vectors (embeddings), or for documents in the order of how well they answer (reranking), reaches a provider
of another form. This page is written by the tests from the code (`tests/dialects/test_vector_matrix.py --update`).

| mark | what becomes of it |
|---|---|
| yes | the provider is asked for the same in its own words |
| else | it is said in another way: in front of the text, in the document's text, or done by the gateway with the answer |
| named | it cannot be said. `x-headgate-dropped` in the answer names it; with `x-headgate-strict: true` the request is refused instead |
| no | nothing would be left to ask for: the request is refused with status 400 |
| - | the client's own form has no word for it |

Providers of the client's own form get every byte as it was, but for the number of dimensions, which is called by the provider's own name.

Vectors come as the client asked, in numbers or in base64 (32-bit floats, little-endian), whatever the provider sends. Models that take one
input a request (Titan, Nova, one form of Gemini's) are asked for one: several inputs are refused, and nobody pays for half of them.
Tokens are counted as the provider tells them, with Bedrock in its answers' headers. Search units, which Cohere bills in their stead, stand
in the ledger as an amount (`unit` is `searches`).
"""


def _said(feature: Feature, client: Side) -> dict[str, Any] | None:
    """The request as such a client would write it; None if it cannot."""
    try:
        body = client.write(feature.make())
    except Reject:
        return None
    return body if feature.found(client.read(body)) else None


def cell(feature: Feature, client: Side, provider: Side) -> str:
    """What becomes of a feature on its way."""
    body = _said(feature, client)
    if body is None:
        return UNSAID
    question = client.read(body)
    try:
        there = provider.write(question)
    except Reject:
        return REFUSED
    if feature.found(provider.read(there)):
        return CARRIED
    return NAMED if question.dropped else EMULATED


def _differ(client: Side, provider: Side) -> bool:
    """Whether anything is translated between them."""
    return client.dialect != provider.dialect or provider.kind in {kind for forms in FORMED for kind in forms} - {client.kind}


def table(features: list[Feature], client: Side, providers: dict[str, Side]) -> str:
    """All features that such clients can ask for."""
    providers = {name: one for name, one in providers.items() if _differ(client, one)}
    lines = [f"| | {' | '.join(providers)} |", "|---" * (len(providers) + 1) + "|"]
    for feature in features:
        cells = [cell(feature, client, provider) for provider in providers.values()]
        if cells and UNSAID not in cells:
            lines.append(f"| {feature.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _part(title: str, features: list[Feature], clients: dict[str, Side], providers: dict[str, Side]) -> str:
    tables = (f"\n### {name}\n\n{table(features, client, providers)}\n" for name, client in clients.items())
    return f"\n## {title}\n" + "".join(tables)


def test_the_page(request: pytest.FixtureRequest) -> None:
    page = _HEAD + _part("Vectors, by who asks", VECTORS, VECTOR_CLIENTS, VECTOR_PROVIDERS)
    page += _part("Orders, by who asks", ORDERS, ORDER_CLIENTS, ORDER_PROVIDERS)
    if request.config.getoption("--update"):
        PAGE.write_text(page)
    assert page == PAGE.read_text(), "docs/vectors.md differs: look at it, then run pytest with --update"


EMULATIONS = {
    ("documents with fields", ""): "they are the document's text, as JSON",
    ("documents in the answer", ""): "the gateway has them",
    ("how many", "TEI"): "the gateway takes the best of all",
    **{(f"for: {task}", "Gemini 2"): "it stands in front of the text" for task in ("query", "document", "similarity", "classification")},
    **{(f"for: {task}", "Gemini 2"): "likewise" for task in ("clustering", "question_answering", "fact_verification", "code_query")},
    ("title", "Gemini 2"): "likewise",
    **{(text, "Gemini 2"): "Cohere's clients have to say what a vector is for" for text in ("a text", "several texts")},
}
"""Features that may be said in another way, with which provider (empty: any), and how."""

_PAIRS = [
    *((feature, client, provider) for feature in VECTORS for client in VECTOR_CLIENTS.values() for provider in VECTOR_PROVIDERS.items()),
    *((feature, client, provider) for feature in ORDERS for client in ORDER_CLIENTS.values() for provider in ORDER_PROVIDERS.items()),
]


def test_nothing_is_lost_in_silence() -> None:
    """What is neither carried, named nor refused is said in another way, and only a few features have one."""
    pairs = [(feature, client, name, provider) for feature, client, (name, provider) in _PAIRS if _differ(client, provider)]
    lost = {(feature.name, name) for feature, client, name, provider in pairs if cell(feature, client, provider) == EMULATED}
    assert {one for one in lost if one not in EMULATIONS and (one[0], "") not in EMULATIONS} == set()


@cases("feature", [*VECTORS, *ORDERS], ids=lambda feature: feature.name)
def test_somebody_can_say_it(feature: Feature) -> None:
    """A feature that no client can say proves nothing."""
    clients = VECTOR_CLIENTS if feature in VECTORS else ORDER_CLIENTS
    assert any(_said(feature, client) is not None for client in clients.values())
