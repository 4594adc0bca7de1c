"""Recorded requests for vectors and their answers, by the dialect and the form that they are in."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from extproc.dialects import DIALECTS
from extproc.dialects.dialect import FORMS, Operation, common

RECORDINGS = Path(__file__).parents[1] / "recordings" / "embeddings"

_HOSTS = {
    "api.openai.com": "openai",
    "api.voyageai.com": "openai",
    "api.cohere.com": "cohere",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "gemini",
    "bedrock-runtime.us-east-1.amazonaws.com": "bedrock",
}
_KINDS = {":embedContent": "embed_content", ":predict": "predict", "/invoke": "invoke"}


class Recorded(NamedTuple):
    """A request and its answer."""

    id: str
    dialect: str
    kind: str
    model: str
    request: dict[str, Any]
    status: int
    answer: dict[str, Any]
    headers: dict[str, str]

    def __repr__(self) -> str:
        return self.id

    @property
    def operation(self) -> Operation[Any, Any]:
        """Which it is, in its dialect."""
        return DIALECTS[self.dialect].operations[self.kind]

    @property
    def body(self) -> dict[str, Any]:
        """The request as a reader gets it: with what its path says."""
        return {**self.request, "model": self.model}


def _read(name: str, number: int, pair: Any) -> Recorded | None:
    url, request = pair["request"]["url"], pair["request"]
    host, _, path = url.removeprefix("https://").partition("/")
    if "countTokens" in path or "tokenize" in path:
        return None
    body = request.get("json") or json.loads(request["text"])
    body = json.loads(body) if isinstance(body, str) else body
    kind = next((kind for end, kind in _KINDS.items() if path.endswith(end)), "embeddings")
    named = re.search(r"models?/([^/:]+)", path)
    model = body.get("model") or (unquote(named[1]) if named else "")
    response = pair["response"]
    return Recorded(f"{name}-{number}", _HOSTS[host], kind, model, body, response["status"], response["json"], response["headers"])


RECORDED = [
    one
    for file in sorted(RECORDINGS.glob("*.json"))
    for number, pair in enumerate(json.loads(file.read_text()))
    if (one := _read(file.stem, number, pair)) is not None
]
ANSWERED = [one for one in RECORDED if one.status == 200]

_FORMS = [(name, kind) for name, dialect in DIALECTS.items() for kind in dialect.operations]
CLIENTS = [one for one in _FORMS if common(one[1]) == "embeddings" and one[1] != "predict"]
"""All forms in which a client may ask for vectors."""

RANKERS = [one for one in _FORMS if common(one[1]) == "rerank"]
"""All forms of reranking."""

assert {kind for _, kind in (*CLIENTS, *RANKERS)} <= {*FORMS, "embeddings", "rerank"}
