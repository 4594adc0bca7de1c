"""The demo provider speaks as the real ones do: the keys of our recordings, and their own SDKs."""

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.demo.ask import DIALECTS, HEADERS, PATHS, Demo, body, split, text_of, usage_of

pytestmark = pytest.mark.asyncio

RECORDINGS = Path(__file__).parents[1] / "recordings"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "openai": [
        {"type": "function", "function": {"name": name, "description": "About it", "parameters": WEATHER}} for name in ("weather", "news")
    ],
    "anthropic": [{"name": name, "description": "About it", "input_schema": WEATHER} for name in ("weather", "news")],
}


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / name).read_text())[0]["response"]


async def ask(demo: Demo, dialect: str, text: str, **more: Any) -> Any:
    async with demo.post(PATHS[dialect], json=body(dialect, text, **more), headers=HEADERS[dialect]) as response:
        assert response.status == 200, await response.text()
        return split(await response.read()) if more.get("stream") else await response.json()


async def test_whole_answers_have_the_keys_of_recorded_ones(demo: Demo) -> None:
    real = recorded("openai/test_max_completion_tokens[gpt-4o-mini].json")["json"]
    ours = await ask(demo, "openai", "hello")
    assert ours.keys() == real.keys()
    assert ours["choices"][0].keys() == real["choices"][0].keys()
    assert ours["choices"][0]["message"].keys() == real["choices"][0]["message"].keys()
    assert ours["usage"].keys() == real["usage"].keys()
    real = recorded("anthropic/test_extra_headers.json")["json"]
    ours = await ask(demo, "anthropic", "hello")
    assert ours.keys() == real.keys()
    assert ours["usage"].keys() == real["usage"].keys()


async def test_streams_have_the_events_of_recorded_ones(demo: Demo) -> None:
    real = split(recorded("openai/test_openai_moderation_stream.json")["text"].encode())
    ours = await ask(demo, "openai", "hello", stream=True, stream_options={"include_usage": True})
    assert ours[0].keys() - real[0].keys() == set()
    assert ours[0]["choices"][0]["delta"].keys() == real[0]["choices"][0]["delta"].keys()
    assert ours[0]["usage"] is None
    assert ours[-3]["choices"][0]["finish_reason"] == "stop"
    assert ours[-2]["choices"] == []
    assert ours[-2]["usage"].keys() == real[4]["usage"].keys()
    assert ours[-1] == "[DONE]"
    ours = await ask(demo, "anthropic", "hello", stream=True)
    kinds = [event["type"] for event in ours]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[3:-3]) == {"content_block_delta"}


async def test_usage_comes_only_to_those_who_ask(demo: Demo) -> None:
    events = await ask(demo, "openai", "hello", stream=True)
    assert all("usage" not in event for event in events[:-1])


@pytest.mark.parametrize("text", ["hello", "Ünïcode, 日本語 and   spaces\n\n", "x" * 100, ""])
async def test_the_dialects_and_both_forms_agree(demo: Demo, text: str) -> None:
    seen = set()
    for dialect in DIALECTS:
        whole = await ask(demo, dialect, text)
        said = whole["choices"][0]["message"]["content"] if dialect == "openai" else whole["content"][0]["text"]
        seen.add((said, *usage_of(dialect, whole)))
        more = {"stream_options": {"include_usage": True}} if dialect == "openai" else {}
        events = await ask(demo, dialect, text, stream=True, **more)
        last = events[-2]
        if dialect == "anthropic":
            assert events[0]["message"]["usage"]["input_tokens"] == last["usage"]["input_tokens"]
        seen.add((text_of(dialect, events), *usage_of(dialect, last)))
    assert len(seen) == 1
    said = seen.pop()[0]
    assert "demo provider" in said
    assert "OPENAI_API_KEY" in said
    assert text.strip() in said


async def test_a_translated_conversation_costs_the_same(demo: Demo) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"days": 1, "city": "Oslo"}'}}
    openai = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]
    image = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    anthropic = [
        {"role": "user", "content": [{"type": "text", "text": "And?"}, image]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo", "days": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Rain."}]}]},
    ]
    one = await ask(demo, "openai", "", messages=openai, tools=TOOLS["openai"])
    two = await ask(demo, "anthropic", "", system="Be brief.", messages=anthropic, tools=TOOLS["anthropic"])
    assert usage_of("openai", one) == usage_of("anthropic", two)
    text = two["content"][0]["text"]
    assert one["choices"][0]["message"]["content"] == text
    assert "Rain." in text
    assert "1 image" in text
    assert "3 tokens" in text
    path = "/v1/messages/count_tokens"
    counted = {"model": "demo", "system": "Be brief.", "messages": anthropic, "tools": TOOLS["anthropic"]}
    async with demo.post(path, json=counted, headers=HEADERS["anthropic"]) as response:
        assert await response.json() == {"input_tokens": two["usage"]["input_tokens"]}


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called_by_the_user_and_by_force(demo: Demo, stream: bool) -> None:
    words = 'Please call weather {"city": "Oslo"} and call news.'
    forced = {"openai": {"type": "function", "function": {"name": "news"}}, "anthropic": {"type": "tool", "name": "news"}}
    for dialect in DIALECTS:
        first = _calls(dialect, await ask(demo, dialect, words, tools=TOOLS[dialect], stream=stream))
        assert first == [("weather", {"city": "Oslo"}), ("news", {"city": "demo city", "days": 1})]
        one = await ask(demo, dialect, "hello", tools=TOOLS[dialect], tool_choice=forced[dialect], stream=stream)
        assert _calls(dialect, one) == [("news", {"city": "demo city", "days": 1})]


def _calls(dialect: str, answer: Any) -> list[tuple[str, Any]]:
    """Names and arguments of the calls in an answer of either form."""
    if isinstance(answer, dict) and dialect == "openai":
        assert answer["choices"][0]["finish_reason"] == "tool_calls"
        calls = [call["function"] for call in answer["choices"][0]["message"]["tool_calls"]]
        return [(call["name"], json.loads(call["arguments"])) for call in calls]
    if isinstance(answer, dict):
        assert answer["stop_reason"] == "tool_use"
        return [(block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"]
    found: dict[int, list[str]] = {}
    for event in answer:
        if dialect == "openai" and event != "[DONE]":
            for call in event["choices"][0]["delta"].get("tool_calls", ()):
                found.setdefault(call["index"], [call["function"].get("name"), ""])[1] += call["function"]["arguments"]
        elif dialect == "anthropic" and event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            found[event["index"]] = [event["content_block"]["name"], ""]
        elif dialect == "anthropic" and event["type"] == "content_block_delta":
            found.get(event["index"], ["", ""])[1] += event["delta"].get("partial_json", "")
    return [(name, json.loads(arguments)) for name, arguments in found.values()]


async def test_limits_and_stop_sequences(demo: Demo) -> None:
    whole = await ask(demo, "openai", "hello", max_completion_tokens=5)
    assert (whole["choices"][0]["finish_reason"], whole["usage"]["completion_tokens"]) == ("length", 5)
    whole = await ask(demo, "anthropic", "hello", max_tokens=5)
    assert (whole["stop_reason"], whole["usage"]["output_tokens"]) == ("max_tokens", 5)
    whole = await ask(demo, "anthropic", "hello", stop_sequences=["nothing", "not a"])
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", "not a")
    assert whole["content"][0]["text"].endswith("provider, ")
    whole = await ask(demo, "openai", "hello", stop="not a")
    assert whole["choices"][0]["finish_reason"] == "stop"
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    whole = await ask(demo, "openai", "hello", response_format=form)
    assert json.loads(whole["choices"][0]["message"]["content"]) == {"n": 1.5, "ok": True}


async def test_what_the_real_ones_refuse_is_refused(demo: Demo) -> None:
    unanswered = [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "x", "content": "b"}]
    stray = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "b"}]}]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("openai", {"model": "demo"}),
        ("openai", {"model": "demo", "messages": "hello"}),
        ("openai", {"model": "demo", "messages": unanswered}),
        ("openai", {"model": "demo", "messages": [{"role": "king", "content": "a"}]}),
        ("anthropic", {"model": "demo", "messages": [{"role": "user", "content": "a"}]}),
        ("anthropic", {"model": "demo", "max_tokens": 9, "messages": stray}),
        ("anthropic", {"model": "demo", "max_tokens": 9, "messages": [{"role": "system", "content": "a"}]}),
    ]
    for dialect, request in wrong:
        async with demo.post(PATHS[dialect], json=request, headers=HEADERS[dialect]) as response:
            assert response.status == 400
            assert (await response.json())["error"]["type"] == "invalid_request_error"
    async with demo.post(PATHS["anthropic"], json=body("anthropic", "hello")) as response:
        assert "anthropic-version" in await response.text()
    async with demo.post(PATHS["openai"], data=b"{") as response:
        assert response.status == 400


async def test_unknown_paths_and_models(demo: Demo) -> None:
    async with demo.get("/v1/nothing") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "unknown_url")
    async with demo.get("/v1/nothing", headers=HEADERS["anthropic"]) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (404, "not_found_error")
    async with demo.get("/v1/models") as response:
        assert (await response.json())["data"][0]["id"] == "demo"
    async with demo.get("/v1/models/nothing") as response:
        assert response.status == 404


async def test_the_official_clients_understand_it(demo: Demo) -> None:
    url = str(demo.make_url("/"))
    async with AsyncOpenAI(api_key="none", base_url=f"{url}v1", max_retries=0) as openai:
        made = await openai.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hello"}])
        chunks = [
            chunk
            async for chunk in await openai.chat.completions.create(
                model="demo", messages=[{"role": "user", "content": "hello"}], stream=True
            )
        ]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == made.choices[0].message.content
        vectors = await openai.embeddings.create(model="demo-embedding", input=["a", "b", "a"], dimensions=8)
        assert vectors.data[0].embedding == vectors.data[2].embedding != vectors.data[1].embedding
        assert abs(sum(number**2 for number in vectors.data[0].embedding) - 1) < 1e-5
        assert (await openai.files.create(file=("a.txt", b"hello"), purpose="user_data")).bytes > 5
    async with AsyncAnthropic(api_key="none", base_url=url, max_retries=0) as anthropic:
        async with anthropic.messages.stream(model="demo", max_tokens=999, messages=[{"role": "user", "content": "hello"}]) as stream:
            final = await stream.get_final_message()
        assert final.content[0].type == "text"
        assert final.content[0].text == made.choices[0].message.content
        assert made.usage is not None
        assert final.usage.output_tokens == made.usage.completion_tokens
