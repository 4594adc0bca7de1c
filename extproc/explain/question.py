"""A request that is to be explained, and one that stands for those of its kind where somebody gives no body."""

from typing import Any

import msgspec
from msgspec import Struct

from extproc.endpoints import endpoint, named_provider
from extproc.envoy import names

_HELLO = "Hello"
_MESSAGES = {"messages": [{"role": "user", "content": _HELLO}]}
_TEXT = {"parts": [{"text": _HELLO}]}
_PARTS = {"contents": [{"role": "user", **_TEXT}]}
_BLOCKS = {"messages": [{"role": "user", "content": [{"text": _HELLO}]}]}
_CHATS: dict[str, dict[str, Any]] = {
    "anthropic": {"max_tokens": 256, **_MESSAGES},
    "gemini": _PARTS,
    "bedrock": _BLOCKS,
    "responses": {"input": _HELLO},
}
"""Conversations, by the dialect; the others have messages."""
_OTHERS: dict[str, dict[str, Any]] = {
    "gemini embeddings": {"requests": [{"model": "models/any", "content": _TEXT}]},
    "embed_content": {"content": _TEXT},
    "bedrock count": {"input": {"converse": _BLOCKS}},
    "embeddings": {"input": _HELLO},
    "rerank": {"query": _HELLO, "documents": [_HELLO]},
    "completions": {"prompt": _HELLO},
    "generate": {"prompt": _HELLO},
}
"""Whatever else is asked for, by the dialect and the kind of request, or by the kind alone."""
_CONVERSES = ("chat", "count")


class Question(Struct, frozen=True, kw_only=True):
    """What is asked."""

    method: str = "POST"
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    """Names in lower case."""
    body: bytes = b""

    def head(self, host: str) -> dict[str, str]:
        """All headers, as Envoy gives them to the gate."""
        usual = {
            ":method": self.method, ":path": self.path, ":authority": host, ":scheme": "http", "x-forwarded-proto": "http",
            "x-forwarded-for": "127.0.0.1", "x-request-id": "explained",
        }  # fmt: skip
        if self.body:
            usual |= {"content-type": "application/json", "content-length": str(len(self.body))}
        given = {":authority" if name == "host" else name: value for name, value in self.headers.items()}
        # Callers' own are taken off before the gate sees them (`envoy.listener`).
        return usual | {name: value for name, value in given.items() if name != names.CLUSTER_HEADER and not name.startswith("x-envoy-")}


def usual_body(method: str, path: str, headers: dict[str, str], model: str) -> bytes:
    """A small body that asks `model` for what the path is for; none where nothing of that is asked."""
    asked = endpoint(method, named_provider(path)[1], {"content-type": "application/json", **headers})
    if not asked.json:
        return b""
    said = _OTHERS.get(f"{asked.dialect} {asked.kind}") or _OTHERS.get(asked.kind)
    if said is None:
        said = _CHATS.get(asked.dialect, _MESSAGES) if asked.operation in _CONVERSES else {}
    named = {} if asked.model or not model else {"model": model}
    return msgspec.json.encode({**named, **said})
