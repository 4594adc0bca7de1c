"""The demo provider's OpenAI dialect: chat completions. Source: platform.openai.com/docs/api-reference/chat, and our recordings."""

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from extproc.demo import tokens
from extproc.demo.fields import objects, optional, required
from extproc.demo.prompt import DemoError, Prompt
from extproc.demo.reply import Call, Reply

NAME = "openai"
MALFORMED = b'data: {"id":"chatcmpl-demo","object":"chat.completion.chunk","choices":[{"ind\n\n'

_STOPS = {"end": "stop", "sequence": "stop", "length": "length", "filter": "content_filter", "tools": "tool_calls"}
_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def read(body: dict[str, Any], headers: Mapping[str, str]) -> Prompt:
    """A `POST /v1/chat/completions`."""
    if optional(body, "n", int) not in (None, 1):
        raise DemoError(400, "The demo provider gives one choice: 'n' must be 1.", param="n")
    stop = body.get("stop")
    limit = optional(body, "max_completion_tokens", int)
    prompt = Prompt(
        model=required(body, "model", str),
        stream=bool(optional(body, "stream", bool)),
        include_usage=bool((optional(body, "stream_options", dict) or {}).get("include_usage")),
        limit=limit if limit is not None else optional(body, "max_tokens", int),
        stops=[stop] if isinstance(stop, str) else list(stop or []),
    )
    _read_tools(prompt, body)
    _read_format(prompt, body)
    messages = objects(required(body, "messages", list), "messages")
    if not messages:
        raise DemoError(400, "Invalid 'messages': empty array. Expected an array with minimum length 1.", param="messages")
    pending: set[str] = set()
    for number, message in enumerate(messages):
        pending = _read_message(prompt, message, f"messages.{number}.", pending)
    _all_answered(pending, f"messages.{len(messages)}")
    return prompt


def _read_message(prompt: Prompt, message: dict[str, Any], where: str, pending: set[str]) -> set[str]:
    """Reads one message; `pending` are the calls that no message has answered yet, and so is what comes back."""
    role = required(message, "role", str, where)
    if role not in _ROLES:
        raise DemoError(400, f"Invalid value: '{role}'. Supported values are: {', '.join(map(repr, _ROLES))}.", param=f"{where}role")
    text = _read_content(prompt, message.get("content"), where)
    if role == "tool":
        answered = required(message, "tool_call_id", str, where)
        if answered not in pending:
            raise DemoError(400, "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'.", param=where)
        prompt.results.append(text)
        return pending - {answered}
    _all_answered(pending, where)
    prompt.results = []
    if role in ("system", "developer"):
        prompt.system = f"{prompt.system}\n\n{text}" if prompt.system else text
    elif role == "user" and text.strip():
        prompt.last = text
    called = set()
    for call in objects(optional(message, "tool_calls", list, where) or [], f"{where}tool_calls"):
        function = required(call, "function", dict, where)
        prompt.count(required(function, "name", str, where), _arguments(required(function, "arguments", str, where), where))
        called.add(required(call, "id", str, where))
    return called


def _all_answered(pending: set[str], where: str) -> None:
    if pending:
        message = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        raise DemoError(400, f"{message} Missing: {', '.join(sorted(pending))}.", param=where)


def _arguments(text: str, where: str) -> str:
    """A call's arguments as they are counted."""
    try:
        return tokens.canonical(msgspec.json.decode(text or "{}"))
    except msgspec.DecodeError:
        raise DemoError(400, f"{where}tool_calls: arguments are not valid JSON", param=where) from None


def _read_content(prompt: Prompt, content: Any, where: str) -> str:
    """Counts a message's content, and gives its text."""
    if content is None or isinstance(content, str):
        prompt.count(content or "")
        return content or ""
    if not isinstance(content, list):
        raise DemoError(400, f"Invalid type for '{where}content': expected a string or an array.", param=f"{where}content")
    texts = []
    for part in objects(content, f"{where}content"):
        match part.get("type"):
            case "text" | "refusal" as kind:
                texts.append(required(part, kind, str, where))
            case "image_url" | "input_audio" | "file":
                prompt.count_image()
            case other:
                raise DemoError(400, f"Invalid value: '{other}' for a content part's type.", param=f"{where}content")
    prompt.count(*texts)
    return "\n".join(texts)


def _read_tools(prompt: Prompt, body: dict[str, Any]) -> None:
    for tool in objects(optional(body, "tools", list) or [], "tools"):
        function = required(tool, "function", dict, "tools.")
        schema = optional(function, "parameters", dict, "tools.") or {}
        prompt.add_tool(required(function, "name", str, "tools."), optional(function, "description", str, "tools.") or "", schema)
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        prompt.choice, prompt.forced = None, str((optional(choice, "function", dict) or {}).get("name", ""))
    elif choice in ("auto", "none", "required"):
        prompt.choice = choice
    elif choice is not None:
        raise DemoError(400, f"Invalid value: '{choice}' for 'tool_choice'.", param="tool_choice")


def _read_format(prompt: Prompt, body: dict[str, Any]) -> None:
    wanted = optional(body, "response_format", dict) or {}
    if wanted.get("type") == "json_schema":
        prompt.schema = (optional(wanted, "json_schema", dict) or {}).get("schema") or {}
    elif wanted.get("type") == "json_object":
        prompt.schema = {}


def whole(reply: Reply) -> dict[str, Any]:
    """The answer to a request that is not streamed."""
    calls = [{"id": _call_id(), **_call(call)} for call in reply.calls]
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
    choice = {
        "index": 0,
        "message": message | ({"tool_calls": calls} if calls else {}),
        "logprobs": None,
        "finish_reason": _STOPS[reply.stop],
    }
    body = {**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)}
    if not reply.usage:
        del body["usage"]
    return body


def events(prompt: Prompt, reply: Reply) -> Iterator[bytes]:
    """The answer as a stream: role, text, calls, the finish reason, the usage if it was asked for, `[DONE]`."""
    head = _head(reply, "chat.completion.chunk")
    tail = {"usage": None} if prompt.include_usage and reply.usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _event({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **tail})

    yield chunk({"role": "assistant", "content": "" if reply.pieces or not reply.calls else None, "refusal": None})
    for piece in reply.pieces:
        yield chunk({"content": piece})
    for number, call in enumerate(reply.calls):
        function = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": number, "id": _call_id(), "type": "function", "function": function}]})
        for piece in tokens.pieces(tokens.canonical(call.arguments)):
            yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    yield chunk({}, _STOPS[reply.stop])
    if tail:
        yield _event({**head, "choices": [], "usage": _usage(reply)})
    yield b"data: [DONE]\n\n"


def error(fault: DemoError, request_id: str) -> dict[str, Any]:
    """An error's body."""
    kind, code = _ERRORS.get(fault.status, ("invalid_request_error" if fault.status < 500 else "server_error", None))
    return {"error": {"message": fault.message, "type": kind, "param": fault.param, "code": fault.code or code}}


def error_event(request_id: str) -> bytes:
    """An error in mid-stream."""
    return _event(error(DemoError(500, "The demo provider was asked to fail in mid-stream."), request_id))


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-demo{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def _usage(reply: Reply) -> dict[str, Any]:
    spent = {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return {
        "prompt_tokens": reply.input,
        "completion_tokens": reply.output,
        "total_tokens": reply.input + reply.output,
        "prompt_tokens_details": {"cached_tokens": reply.cached, "audio_tokens": 0},
        "completion_tokens_details": spent,
    }


def _call(call: Call) -> dict[str, Any]:
    return {"type": "function", "function": {"name": call.name, "arguments": tokens.canonical(call.arguments)}}


def _call_id() -> str:
    return f"call_{secrets.token_urlsafe(18).replace('-', 'a').replace('_', 'b')}"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
