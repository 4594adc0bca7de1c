"""The demo provider's Anthropic dialect: messages. Source: docs.claude.com/en/api/messages and /messages-streaming, and our recordings."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from extproc.demo import tokens
from extproc.demo.fields import objects, optional, required
from extproc.demo.prompt import DemoError, Prompt
from extproc.demo.reply import Reply

NAME = "anthropic"
MALFORMED = b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n'

_STOPS = {"end": "end_turn", "sequence": "stop_sequence", "length": "max_tokens", "filter": "refusal", "tools": "tool_use"}
_ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_UNCOUNTED = ("thinking", "redacted_thinking")


def read(body: dict[str, Any], headers: Mapping[str, str]) -> Prompt:
    """A `POST /v1/messages`."""
    prompt = read_countable(body, headers)
    prompt.limit = required(body, "max_tokens", int)
    if prompt.limit < 1:
        raise DemoError(400, "max_tokens: Input should be greater than or equal to 1", param="max_tokens")
    return prompt


def read_countable(body: dict[str, Any], headers: Mapping[str, str]) -> Prompt:
    """What `POST /v1/messages/count_tokens` needs of it."""
    if "anthropic-version" not in headers:
        raise DemoError(400, "anthropic-version: header is required")
    prompt = Prompt(
        model=required(body, "model", str),
        stream=bool(optional(body, "stream", bool)),
        stops=list(optional(body, "stop_sequences", list) or []),
    )
    system = body.get("system")
    prompt.system = _read_blocks(prompt, system, "system")[0] if system else ""
    _read_tools(prompt, body)
    form = (optional(body, "output_config", dict) or {}).get("format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        prompt.schema = form.get("schema") or {}
    turns = _turns(objects(required(body, "messages", list), "messages"))
    if not turns:
        raise DemoError(400, "messages: at least one message is required", param="messages")
    pending: set[str] = set()
    for number, (role, contents) in enumerate(turns):
        pending = _read_turn(prompt, role, contents, f"messages.{number}", pending)
    _all_answered(pending, f"messages.{len(turns)}")
    return prompt


def _turns(messages: list[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Role and contents; neighbours of one role are one turn, as the real API has it."""
    turns: list[tuple[str, list[Any]]] = []
    for number, message in enumerate(messages):
        role = required(message, "role", str, f"messages.{number}.")
        if role not in ("user", "assistant"):
            raise DemoError(400, f"messages.{number}.role: Input should be 'user' or 'assistant'", param="messages")
        if turns and turns[-1][0] == role:
            turns[-1][1].append(message.get("content"))
        else:
            turns.append((role, [message.get("content")]))
    return turns


def _read_turn(prompt: Prompt, role: str, contents: list[Any], where: str, pending: set[str]) -> set[str]:
    """Reads one turn; `pending` are the calls that it must answer, and what comes back are those that it makes."""
    results: list[str] = []
    called: set[str] = set()
    text = ""
    for content in contents:
        said, calls, answers = _read_blocks(prompt, content, where)
        text = said if said.strip() else text
        called |= calls
        for answered, result in answers:
            if answered not in pending:
                raise DemoError(400, f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {answered}", param=where)
            pending = pending - {answered}
            results.append(result)
    _all_answered(pending, where)
    prompt.results = results if role == "user" and not text else []
    if role == "user" and text:
        prompt.last = text
    return called


def _all_answered(pending: set[str], where: str) -> None:
    if pending:
        message = "`tool_use` ids were found without `tool_result` blocks immediately after"
        raise DemoError(400, f"{where}: {message}: {', '.join(sorted(pending))}", param=where)


def _read_blocks(prompt: Prompt, content: Any, where: str) -> tuple[str, set[str], list[tuple[str, str]]]:
    """Counts a content. Its text, the ids of the calls in it, and the results in it: id and text."""
    if isinstance(content, str):
        prompt.count(content)
        return content, set(), []
    if not isinstance(content, list):
        raise DemoError(400, f"{where}.content: Input should be a string or an array", param=where)
    texts: list[str] = []
    calls: set[str] = set()
    results: list[tuple[str, str]] = []
    for block in objects(content, f"{where}.content"):
        match block.get("type"):
            case "text":
                texts.append(required(block, "text", str, f"{where}."))
            case "image" | "document":
                prompt.count_image()
            case "tool_use":
                called = tokens.canonical(required(block, "input", dict, f"{where}."))
                prompt.count(required(block, "name", str, f"{where}."), called)
                calls.add(required(block, "id", str, f"{where}."))
            case "tool_result":
                inner = block.get("content")
                result = _read_blocks(prompt, inner, where)[0] if inner else ""
                results.append((required(block, "tool_use_id", str, f"{where}."), result))
            case kind if kind not in _UNCOUNTED:
                raise DemoError(400, f"{where}.content: Input tag '{kind}' does not match any of the expected tags", param=where)
    prompt.count(*texts)
    return "\n".join(texts), calls, results


def _read_tools(prompt: Prompt, body: dict[str, Any]) -> None:
    for tool in objects(optional(body, "tools", list) or [], "tools"):
        schema = optional(tool, "input_schema", dict, "tools.") or {}
        prompt.add_tool(required(tool, "name", str, "tools."), optional(tool, "description", str, "tools.") or "", schema)
    choice = optional(body, "tool_choice", dict) or {"type": "auto"}
    kinds = {"auto": "auto", "none": "none", "any": "required", "tool": None}
    if choice.get("type") not in kinds:
        raise DemoError(400, "tool_choice: Input should be 'auto', 'any', 'tool' or 'none'", param="tool_choice")
    prompt.choice = kinds[choice["type"]]
    if prompt.choice is None:
        prompt.forced = required(choice, "name", str, "tool_choice.")


def whole(reply: Reply) -> dict[str, Any]:
    """The answer to a request that is not streamed."""
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.pieces else []
    content += [{"type": "tool_use", "id": _tool_id(), "name": call.name, "input": call.arguments} for call in reply.calls]
    body = _message(reply)
    body |= {"content": content, "stop_reason": _STOPS[reply.stop], "stop_sequence": reply.sequence}
    if reply.usage:
        body["usage"]["output_tokens"] = reply.output
    return body


def events(prompt: Prompt, reply: Reply) -> Iterator[bytes]:
    """The answer as a stream: `message_start`, a block for the text and one for each call, `message_delta`, `message_stop`."""
    yield _event({"type": "message_start", "message": _message(reply)})
    index = 0
    if reply.pieces:
        yield _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        yield _event({"type": "ping"})
        for piece in reply.pieces:
            yield _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
        yield _event({"type": "content_block_stop", "index": 0})
        index = 1
    for number, call in enumerate(reply.calls, index):
        block = {"type": "tool_use", "id": _tool_id(), "name": call.name, "input": {}}
        yield _event({"type": "content_block_start", "index": number, "content_block": block})
        for piece in ["", *tokens.pieces(tokens.canonical(call.arguments))]:
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield _event({"type": "content_block_delta", "index": number, "delta": delta})
        yield _event({"type": "content_block_stop", "index": number})
    last: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": _STOPS[reply.stop], "stop_sequence": reply.sequence}}
    if reply.usage:
        last["usage"] = _usage(reply, reply.output)
    yield _event(last)
    yield _event({"type": "message_stop"})


def error(fault: DemoError, request_id: str) -> dict[str, Any]:
    """An error's body."""
    kind = _ERRORS.get(fault.status, "invalid_request_error" if fault.status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": fault.message}, "request_id": request_id}


def error_event(request_id: str) -> bytes:
    """An error in mid-stream."""
    return _event(error(DemoError(529, "The demo provider was asked to fail in mid-stream."), request_id), "error")


def _message(reply: Reply) -> dict[str, Any]:
    """The answer before anything was said."""
    head: dict[str, Any] = {"model": reply.model, "id": f"msg_demo{secrets.token_hex(12)}", "type": "message", "role": "assistant"}
    head |= {"content": [], "stop_reason": None, "stop_sequence": None}
    if reply.usage:
        written = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
        head["usage"] = {**_usage(reply, 1), "cache_creation": written, "service_tier": "standard"}
    return head


def _usage(reply: Reply, output: int) -> dict[str, Any]:
    return {
        "input_tokens": reply.input - reply.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reply.cached,
        "output_tokens": output,
    }


def _tool_id() -> str:
    return f"toolu_demo{secrets.token_hex(10)}"


def _event(value: dict[str, Any], name: str | None = None) -> bytes:
    kind: str = name or value["type"]
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"
