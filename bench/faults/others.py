"""What hostile providers say in the dialects that only they speak: Gemini, Ollama (lines of JSON) and Bedrock (binary messages)."""

import json
from typing import Any

from extproc.dialects.eventstream import event, exception

Events = list[bytes]
INPUT, OUTPUT = 11, 7
"""As in `words`."""


def _encoded(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


# https://ai.google.dev/api/generate-content#generatecontentresponse


def _candidate(text: str, *, end: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}] if text else []}, "index": 0}
    if not end:
        return {"candidates": [candidate], "modelVersion": "m"}
    usage = {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT, "totalTokenCount": INPUT + OUTPUT}
    return {"candidates": [{**candidate, "finishReason": "STOP"}], "usageMetadata": usage, "modelVersion": "m"}


def _sse(document: Any) -> bytes:
    return b"data: %b\r\n\r\n" % _encoded(document)


# https://docs.ollama.com/api/chat


def _line(text: str, *, end: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    line: dict[str, Any] = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": end}
    return {**line, "done_reason": "stop", "prompt_eval_count": INPUT, "eval_count": OUTPUT} if end else line


# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

_USAGE = {"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT}


def _delta(text: str) -> bytes:
    return event("contentBlockDelta", _encoded({"contentBlockIndex": 0, "delta": {"text": text}}))


def whole(dialect: str, marker: str) -> bytes:
    """A good answer that is no stream."""
    if dialect == "gemini":
        return _encoded(_candidate(marker, end=True))
    if dialect == "ollama":
        return _encoded(_line(marker, end=True))
    message = {"role": "assistant", "content": [{"text": marker}]}
    return _encoded({"output": {"message": message}, "stopReason": "end_turn", "usage": _USAGE, "metrics": {"latencyMs": 1}})


def stream(dialect: str, texts: list[str]) -> Events:
    """The events of a good stream."""
    if dialect == "gemini":
        return [*[_sse(_candidate(text, end=False)) for text in texts], _sse(_candidate("", end=True))]
    if dialect == "ollama":
        return [_encoded(_line(text, end=text == "")) + b"\n" for text in [*texts, ""]]
    return [
        event("messageStart", _encoded({"role": "assistant"})),
        *map(_delta, texts),
        event("contentBlockStop", _encoded({"contentBlockIndex": 0})),
        event("messageStop", _encoded({"stopReason": "end_turn"})),
        event("metadata", _encoded({"usage": _USAGE, "metrics": {"latencyMs": 1}})),
    ]


def error(dialect: str, status: int) -> bytes:
    """A refusal."""
    told = f"refused with {status}"
    if dialect == "gemini":
        return _encoded({"error": {"code": status, "message": told, "status": "UNAVAILABLE"}})
    return _encoded({"error": told} if dialect == "ollama" else {"message": told})


def error_event(dialect: str) -> bytes:
    """A refusal in a stream."""
    if dialect == "gemini":
        return _sse({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}})
    if dialect == "ollama":
        return _encoded({"error": "an error was encountered while running the model"}) + b"\n"
    return exception("modelStreamErrorException", _encoded({"message": "The model has failed."}))


def garbage(dialect: str) -> bytes:
    """What is no event, though it begins as one."""
    if dialect == "gemini":
        return b'data: {"candidates":[{"con\xff\r\n\r\n'
    if dialect == "ollama":
        return b'{"model":"m","mess\xff\n'
    good = _delta("a word that is changed on its way")
    return good.replace(b"changed", b"chanked")
