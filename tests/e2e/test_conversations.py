"""Conversations that the gateway remembers for providers that do not: OpenAI's SDK names the response before, and the provider is asked as
if the client had sent all of it. Over several workers, a reload, a restart, and a fallback; for nobody else's key.
"""

import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from aiohttp import web
from openai.types.responses import Response

from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted
from tests.servers import redis_url

__all__ = ["redis_url"]

TOOLS: Any = [
    {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}, "strict": False}
]
MODELS = ["claude", "gpt", "gpt-then-claude"]
SOON = 15.0


class Provider:
    """Asks for a tool when it is asked something, and says how much it was told when it gets the tool's result. In both dialects."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(body)
        if body["model"] == "fails":
            return web.json_response({"error": {"message": "overloaded"}}, status=503)
        claude = request.path.endswith("/messages")
        last = body["messages"][-1]
        result = last["role"] == "tool" or (claude and any(part["type"] == "tool_result" for part in last["content"]))
        number = len(self.seen)
        if body.get("stream"):
            events = self._events_claude(result, number) if claude else self._chunks(result, number)
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for event in events:
                name = f"event: {event['type']}\n" if claude else ""
                await response.write(f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
            if not claude:
                await response.write(b"data: [DONE]\n\n")
            return response
        return web.json_response(self._message(result, number) if claude else self._completion(result, number))

    def _message(self, result: bool, number: int) -> Any:
        thinking = {"type": "thinking", "thinking": "Let me think.", "signature": f"c2ln{number:04}"}
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "add", "input": {"a": number}}
        said = {"type": "text", "text": f"Grüße {number}"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_sequence": None, "usage": usage}
        return {**head, "content": [thinking, said if result else call], "stop_reason": "end_turn" if result else "tool_use"}

    def _events_claude(self, result: bool, number: int) -> list[Any]:
        whole = self._message(result, number)
        events: list[Any] = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
        empty: Any
        deltas: list[Any]
        for index, block in enumerate(whole["content"]):
            match block["type"]:
                case "thinking":
                    empty, deltas = {"type": "thinking", "thinking": "", "signature": ""}, [
                        {"type": "thinking_delta", "thinking": block["thinking"]},
                        {"type": "signature_delta", "signature": block["signature"]},
                    ]  # fmt: skip
                case "text":
                    empty, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
                case _:
                    empty = {**block, "input": {}}
                    deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
            events.append({"type": "content_block_start", "index": index, "content_block": empty})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        return [*events, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1}}, {"type": "message_stop"}]

    def _completion(self, result: bool, number: int) -> Any:
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "add", "arguments": json.dumps({"a": number})}}
        said: dict[str, Any] = {"content": f"Grüße {number}"} if result else {"content": None, "tool_calls": [call]}
        message = {"role": "assistant", "reasoning_content": "Let me think.", **said}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if result else "tool_calls"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        # The same id each time, as some servers do.
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}

    def _chunks(self, result: bool, number: int) -> list[Any]:
        whole = self._completion(result, number)
        (choice,) = whole.pop("choices")
        message = choice["message"]
        for index, call in enumerate(message.get("tool_calls") or ()):
            call["index"] = index
        head = {**whole, "object": "chat.completion.chunk"}
        usage = head.pop("usage")
        deltas = [{"role": "assistant"}, *({name: value} for name, value in message.items() if name != "role" and value)]
        chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        last = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
        return [*chunks, last, {**head, "choices": [], "usage": usage}]


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[Provider, str]]:
    said = Provider()
    with Scripted(said) as running:
        yield said, running.url


def configuration(url: str, **conversations: Any) -> dict[str, Any]:
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{url}/v1", "key": "sk-o", "quirks": {"reasoning_back": "reasoning_content"}},
            "a": {"dialect": "anthropic", "base_url": f"{url}/v1", "key": "sk-a"},
        },
        "models": [
            {"name": "claude", "targets": ["a/claude-sonnet-4-5"]},
            {"name": "gpt", "targets": ["o/gpt"]},
            {"name": "gpt-then-claude", "targets": ["o/fails", "a/claude-sonnet-4-5"]},
        ],
        "workers": 2,
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}, {"conversations": conversations}, {"headers": {}}, {"cache": {}}],
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: tuple[Provider, str]) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), configuration(provider[1])) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, provider: tuple[Provider, str]) -> Iterator[Gateway]:
    """One that a test may do with as it likes."""
    with Gateway(tmp_path, configuration(provider[1])) as running:
        yield running


def client(gateway: Gateway, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


def ask(sdk: openai.OpenAI, stream: bool, **asked: Any) -> Response:
    asked = {"tools": TOOLS, **asked}
    if not stream:
        answer: Response = sdk.responses.create(**asked)
        return answer
    with sdk.responses.stream(**asked) as events:
        return events.get_final_response()


def result(answer: Response) -> list[Any]:
    (call,) = [item for item in answer.output if item.type == "function_call"]
    return [{"type": "function_call_output", "call_id": call.call_id, "output": "42"}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_with_tools_and_reasoning(gateway: Gateway, provider: tuple[Provider, str], model: str, stream: bool) -> None:
    said, _ = provider
    with client(gateway) as sdk:
        whole: list[Any] = []
        previous, answer = None, None
        for turn in range(4):
            given: Any = [{"role": "user", "content": f"Frage {turn}"}] if answer is None or turn % 2 == 0 else result(answer)
            whole += given
            more: dict[str, Any] = {"previous_response_id": previous} if previous else {}
            answer = ask(sdk, stream, model=model, input=given, instructions=f"Turn {turn}.", **more)
            got = said.seen[-1]
            assert (answer.status, answer.previous_response_id, answer.to_dict()["store"]) == ("completed", previous, True)
            # What a client is given that keeps everything itself.
            ask(sdk, stream, model=model, input=whole, instructions=f"Turn {turn}.", store=False)
            assert got == said.seen[-1]
            whole += [item.to_dict() for item in answer.output]
            previous = answer.id
        assert answer is not None
        assert "Grüße" in answer.output_text
        assert any(item.type == "reasoning" for item in answer.output)
        shown = sdk.responses.retrieve(answer.id)
        assert [item.id for item in shown.output] == [item.id for item in answer.output]
        # The SDK adds what it has parsed to what was streamed.
        assert {**shown.to_dict(), "output": []} == {**answer.to_dict(), "output": []}
        assert shown.output_text == answer.output_text
        items = list(sdk.responses.input_items.list(answer.id, order="asc", limit=2))
        assert [item.type for item in items] == [item.get("type", "message") for item in whole[: -len(answer.output)]]


def test_what_was_deleted(gateway: Gateway) -> None:
    with client(gateway) as sdk:
        first = ask(sdk, False, model="claude", input="one")
        second = ask(sdk, False, model="claude", input=result(first), previous_response_id=first.id)
        sdk.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            sdk.responses.retrieve(first.id)
        unknown(sdk, first.id)
        # What was built on it stands.
        assert ask(sdk, True, model="claude", input="three", previous_response_id=second.id).status == "completed"
        with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
            sdk.responses.cancel(second.id)
        with pytest.raises(openai.BadRequestError, match="background") as told:
            ask(sdk, False, model="claude", input="one", background=True)
        assert told.value.param == "background"


def unknown(sdk: openai.OpenAI, id: str, *, model: str = "claude") -> None:
    with pytest.raises(openai.BadRequestError) as told:
        ask(sdk, False, model=model, input="and?", previous_response_id=id)
    assert (told.value.code, told.value.param) == ("previous_response_not_found", "previous_response_id")
    assert f"'{id}' not found" in told.value.message


def test_a_stream_that_the_client_gave_up_is_not_kept(gateway: Gateway) -> None:
    with client(gateway) as sdk:
        with sdk.responses.create(model="claude", input="one", tools=TOOLS, stream=True) as events:
            first = next(iter(events))
        assert first.type == "response.created"
        with suppress(openai.BadRequestError):  # it may have ended before the client was gone
            ask(sdk, False, model="claude", input="two", previous_response_id=first.response.id)


def test_nobody_elses_key(own: Gateway) -> None:
    keys = {}
    for name, tenant in (("anna", "one"), ("also-anna", "one"), ("eve", "two")):
        made = own.run("keys", "create", name, "--tenant", tenant, str(own.path))
        assert made.returncode == 0, made.stderr
        keys[name] = made.stdout.split()[-1]
    own.until(
        lambda: httpx.get(f"{own.url}/v1/models", headers={"authorization": f"Bearer {keys['eve']}"}, verify=False).status_code == 200,
        "keys",
        SOON,
    )
    with client(own, keys["anna"]) as anna, client(own, keys["also-anna"]) as also, client(own, keys["eve"]) as eve:
        first = ask(anna, False, model="claude", input="one")
        unknown(eve, first.id)
        for call in (eve.responses.retrieve, eve.responses.delete, eve.responses.input_items.list):
            with pytest.raises(openai.NotFoundError):
                call(first.id)
        assert own.run("keys", "revoke", "anna", str(own.path)).returncode == 0

        def revoked() -> bool:
            try:
                anna.responses.retrieve(first.id)
            except openai.AuthenticationError:
                return True
            return False

        own.until(revoked, "the key is revoked", SOON)
        # Those of one tenant share what they keep, as they share the cache.
        assert also.responses.retrieve(first.id).id == first.id


def test_a_reload_a_killed_worker_and_a_restart(own: Gateway, provider: tuple[Provider, str]) -> None:
    said, url = provider
    with client(own) as sdk:
        first = ask(sdk, True, model="claude", input="one")
        config = configuration(url)
        config["models"].append({"name": "another", "targets": ["o/gpt"]})
        own.write(config)
        own.until(lambda: "another" in httpx.get(f"{own.url}/v1/models", verify=False).text, "the new configuration", SOON)
        second = ask(sdk, True, model="another", input=result(first), previous_response_id=first.id)
        before = set(own.workers())
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        own.until(
            lambda: len(set(own.workers()) - before) == 2 and httpx.get(f"{own.operator}/readyz", verify=False).status_code == 200,
            "workers",
            SOON,
        )
        own.until(lambda: httpx.get(f"{own.url}/v1/models", verify=False).status_code == 200, "answers", SOON)
        third = ask(sdk, False, model="claude", input="three", previous_response_id=second.id)
    assert own.stop() == 0
    mode = stat.S_IMODE((own.state / "conversations.sqlite").stat().st_mode)
    assert mode == 0o600
    with own, client(own) as sdk:
        ask(sdk, False, model="claude", input=result(third), previous_response_id=third.id)
        roles = [one["role"] for one in said.seen[-1]["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "user", "assistant", "user"]
        metrics = own.metrics()
        assert metrics['ai_proxy_conversation_turns_total{result="kept"}'] == 1
        assert metrics["ai_proxy_conversation_turns_kept"] == 4
    checked = own.run("check", str(own.path), "--no-envoy")
    assert "kept for 30 days" in checked.stdout and "in clear" in checked.stdout


def test_what_has_expired(own: Gateway, provider: tuple[Provider, str]) -> None:
    own.write(configuration(provider[1], ttl=0.5))
    own.until(lambda: "new configuration in force in 2" in own.log.read_text(), "the new configuration", SOON)
    with client(own) as sdk:
        first = ask(sdk, False, model="gpt", input="one")

        def gone() -> bool:
            try:
                sdk.responses.retrieve(first.id)
            except openai.NotFoundError:
                return True
            return False

        own.until(gone, "it has expired", SOON)
        unknown(sdk, first.id, model="gpt")


def test_left_out_nothing_is_kept(tmp_path: Path, provider: tuple[Provider, str]) -> None:
    config = configuration(provider[1])
    config["filters"] = [entry for entry in config["filters"] if "conversations" not in entry]
    with Gateway(tmp_path, config) as running, client(running) as sdk:
        answer = ask(sdk, False, model="claude", input="one")
        assert answer.to_dict()["store"] is False
        with pytest.raises(openai.NotFoundError):
            sdk.responses.retrieve(answer.id)
        assert not (running.state / "conversations.sqlite").exists()


def test_machines_share_what_is_in_redis(tmp_path: Path, provider: tuple[Provider, str], redis_url: str) -> None:
    config = {**configuration(provider[1]), "redis": {"url": redis_url}}
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with Gateway(folders[0], config) as one, Gateway(folders[1], config) as two:
        with client(one) as here, client(two) as there:
            first = ask(here, True, model="claude", input="one")
            second = ask(there, False, model="gpt", input=result(first), previous_response_id=first.id)
            assert here.responses.retrieve(second.id).id == second.id
            there.responses.delete(first.id)
            unknown(here, first.id)
        assert not list(tmp_path.glob("*/state/conversations.sqlite"))


class Stateless:
    """A provider that speaks the Responses API itself and keeps nothing, as vLLM does. Its streams are long, and come in small pieces."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(body)
        number = len(self.seen)
        words = [f"{number} " for _ in range(200)]
        part = {"type": "output_text", "text": "".join(words), "annotations": []}
        item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        usage = {"input_tokens": 1, "output_tokens": 200, "total_tokens": 201}
        whole = {"id": f"resp_theirs{number}", "object": "response", "created_at": 1, "model": "m", "status": "completed", "store": False}
        whole |= {"output": [item], "usage": usage, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
        if not body.get("stream"):
            return web.json_response(whole)
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        events: list[Any] = [
            {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}},
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
            {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
            *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words),
            {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
            {"type": "response.content_part.done", **place, "part": part},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": whole},
        ]
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for at, event in enumerate(events):
            await response.write(f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': at})}\n\n".encode())
        return response


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_provider_of_the_api_without_a_memory(tmp_path: Path, stream: bool) -> None:
    said = Stateless()
    with Scripted(said) as running:
        provider = {"dialect": "responses", "base_url": f"{running.url}/v1", "quirks": {"memory": False}}
        models = [{"name": "m", "targets": ["native"]}, {"name": "two", "targets": ["native/m", "native/n"]}]
        with Gateway(tmp_path, {"providers": {"native": provider}, "models": models}) as gateway, client(gateway) as sdk:
            first = ask(sdk, stream, model="m", input="one", store=True)
            assert (first.id, "store" in said.seen[0]) == ("resp_theirs1", False)
            second = ask(sdk, stream, model="m", input="two", previous_response_id=first.id)
            assert [item["role"] for item in said.seen[1]["input"]] == ["user", "assistant", "user"]
            third = ask(sdk, stream, model="two", input="three", previous_response_id=second.id)
            assert [item["role"] for item in said.seen[2]["input"]] == ["user", "assistant"] * 2 + ["user"]
            assert said.seen[2]["input"][1]["content"][0]["text"] == "1 " * 200
            assert sdk.responses.retrieve(third.id).previous_response_id == second.id
            unknown(sdk, "resp_nobodys", model="m")
            # Nobody remembers anything here, so there is nobody to ask for it.
            with pytest.raises(openai.NotFoundError):
                sdk.responses.retrieve("resp_hg0")


class Remembering:
    """A provider that has made one response."""

    def __init__(self, name: str) -> None:
        self.id = f"resp_{name}"
        self.asked: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.rel_url}")
        if request.path.split("/")[3] != self.id:
            error = {"message": f"Response with id '{request.path.split('/')[3]}' not found.", "type": "invalid_request_error"}
            return web.json_response({"error": {**error, "param": "id", "code": None}}, status=404)
        if request.method == "DELETE":
            return web.json_response({"id": self.id, "object": "response", "deleted": True})
        if request.path.endswith("/input_items"):
            return web.json_response({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
        status = "cancelled" if request.method == "POST" else "completed"
        body = {"id": self.id, "object": "response", "created_at": 1, "model": "m", "status": status, "output": [], "tools": []}
        return web.json_response({**body, "tool_choice": "auto", "parallel_tool_calls": True})


def test_a_response_is_found_at_whichever_provider_made_it(tmp_path: Path) -> None:
    one, two = Remembering("one"), Remembering("two")
    with Scripted(one) as first, Scripted(two) as second:
        providers = {
            "forgetful": {"dialect": "responses", "base_url": "http://127.0.0.1:9/v1", "quirks": {"memory": False}},
            "one": {"dialect": "responses", "base_url": f"{first.url}/v1", "key": "k-1"},
            "two": {"dialect": "openai", "also": ["responses"], "base_url": f"{second.url}/v1", "key": "k-2"},
        }
        models = [{"name": name, "targets": [f"{name}/m"]} for name in providers]
        with Gateway(tmp_path, {"providers": providers, "models": models}) as gateway, client(gateway) as sdk:
            for known in (one, two):
                assert sdk.responses.retrieve(known.id, include=["reasoning.encrypted_content"]).id == known.id
                assert sdk.responses.input_items.list(known.id).data == []
                assert sdk.responses.cancel(known.id).status == "cancelled"
                sdk.responses.delete(known.id)
            # One after the other, each with its own key and no other's.
            assert len(one.asked) == 8 and len(two.asked) == 4
            assert all("include" in path for path in (one.asked[0], two.asked[0]))
            assert {headers["authorization"] for headers in first.headers} == {"Bearer k-1"}
            assert {headers["authorization"] for headers in second.headers} == {"Bearer k-2"}
            with pytest.raises(openai.NotFoundError, match="resp_three"):
                sdk.responses.retrieve("resp_three")
            with pytest.raises(openai.NotFoundError):
                sdk.responses.retrieve("resp_two", extra_headers={"x-headgate-provider": "one"})
            assert len(two.asked) == 5
