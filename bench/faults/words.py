"""What hostile providers say when they are good, and when they refuse, in OpenAI's and Anthropic's dialect; `others` has the rest.

Every good answer repeats the request's marker, so that an answer which went to somebody else is found; and all of them tell the same
usage, so that the ledger can be held against it.
"""

import re
from typing import Any

import msgspec

from bench.faults import others

INPUT, OUTPUT = 11, 7
"""Tokens that each good answer tells."""
MARKER = re.compile(rb"marker-[0-9a-z]+-\d+")
EVENTS = 4
"""Pieces of text in a good stream, the marker's included."""

_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large"} | {
    429: "rate_limit_error",
    529: "overloaded_error",
}


def encoded(document: Any) -> bytes:
    """JSON."""
    return msgspec.json.encode(document)


def whole(dialect: str, marker: str) -> bytes:
    """A good answer that is no stream."""
    if dialect in OTHERS:
        return others.whole(dialect, marker)
    if dialect == "anthropic":
        return encoded(_message(marker, "end_turn", OUTPUT))
    choice = {"index": 0, "message": {"role": "assistant", "content": marker}, "finish_reason": "stop"}
    return encoded({"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": _USAGE})


def stream(dialect: str, marker: str) -> list[bytes]:
    """The events of a good stream: the first text is the marker."""
    texts = [marker, *[" word"] * (EVENTS - 1)]
    if dialect in OTHERS:
        return others.stream(dialect, texts)
    return _anthropic_events(texts) if dialect == "anthropic" else _openai_events(texts)


def endless(dialect: str) -> bytes:
    """An event that may come again and again."""
    return _delta(" word") if dialect == "anthropic" else _chunk({"content": " word"})


def error(dialect: str, status: int) -> bytes:
    """A refusal."""
    if dialect in OTHERS:
        return others.error(dialect, status)
    told = {"message": f"refused with {status}", "type": _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")}
    return encoded({"type": "error", "error": told} if dialect == "anthropic" else {"error": {**told, "param": None, "code": None}})


def error_event(dialect: str) -> bytes:
    """A refusal in a stream."""
    if dialect in OTHERS:
        return others.error_event(dialect)
    if dialect == "anthropic":
        return _event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})
    return b"data: %b\n\n" % encoded({"error": {"message": "Overloaded", "type": "server_error", "code": "overloaded"}})


def garbage(dialect: str) -> bytes:
    """What is no event, though it begins as one."""
    if dialect in OTHERS:
        return others.garbage(dialect)
    if dialect == "anthropic":
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\xff\n\n'
    return b'data: {"choices":[{"del\xff\n\n'


def dialect_of(path: str) -> str:
    """Who is asked there."""
    bare = path.partition("?")[0]
    return next((dialect for end, dialect in _PATHS.items() if bare.endswith(end)), "openai")


_PATHS = {
    "/messages": "anthropic", ":generateContent": "gemini", ":streamGenerateContent": "gemini", "/api/chat": "ollama",
    "/converse": "bedrock", "/converse-stream": "bedrock",
}  # fmt: skip
OTHERS = ("gemini", "ollama", "bedrock")
STREAMS = {"ollama": b"application/x-ndjson", "bedrock": b"application/vnd.amazon.eventstream"}
"""Content types of streams that are no server-sent events."""

_USAGE = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}


def _message(text: str, stop: str | None, output: int) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT, "output_tokens": output},
    }


def _event(name: str, document: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded({"type": name, **document}))


def _delta(text: str) -> bytes:
    return _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})


def _anthropic_events(texts: list[str]) -> list[bytes]:
    return [
        _event("message_start", {"message": _message("", None, 1)}),
        _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *map(_delta, texts),
        _event("content_block_stop", {"index": 0}),
        _event("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": OUTPUT}}),
        _event("message_stop", {}),
    ]


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    document = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % encoded(document)


def _openai_events(texts: list[str]) -> list[bytes]:
    usage = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": _USAGE}
    events = [_chunk({"role": "assistant", "content": texts[0]}), *[_chunk({"content": text}) for text in texts[1:]]]
    return [*events, _chunk({}, "stop"), b"data: %b\n\n" % encoded(usage), b"data: [DONE]\n\n"]
