"""The official SDKs work unchanged, whichever dialect the provider speaks: answers, streams, tools, images, counts, lists and errors."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from anthropic.types import Message
from mistralai.client import Mistral
from mistralai.client.models import BaseModelCard
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo

# One of each dialect: what the client speaks is the same as the provider, or translated.
MODELS = ["gpt-demo", "claude-demo"]

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI_TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": f"Tells the {name}.", "parameters": CITY}}
    for name in ("weather", "time")
]
ANTHROPIC_TOOLS: Any = [{"name": name, "description": f"Tells the {name}.", "input_schema": CITY} for name in ("weather", "time")]
BOTH = 'call weather {"city": "Zürich"} and call time {"city": "東京"}'
CALLS = [("weather", {"city": "Zürich"}), ("time", {"city": "東京"})]


@pytest.fixture(scope="module")
def o(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK."""
    with openai_sdk(gateway.url) as client:
        yield client


@pytest.fixture(scope="module")
def a(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """Anthropic's SDK."""
    with anthropic_sdk(gateway.url) as client:
        yield client


# OpenAI's.


def check_completion(answer: ChatCompletion, model: str) -> None:
    ChatCompletion.model_validate(answer.model_dump(exclude_unset=True))
    (choice,) = answer.choices
    assert '"Hello, wörld"' in (choice.message.content or "")
    assert choice.finish_reason == "stop"
    assert answer.model == model
    assert answer.usage
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer._request_id


@pytest.mark.parametrize("model", MODELS)
def test_openai_chat(o: openai.OpenAI, model: str) -> None:
    check_completion(o.chat.completions.create(**chat("Hello, wörld", model)), model)


@pytest.mark.parametrize("model", MODELS)
def test_openai_responses(o: openai.OpenAI, model: str) -> None:
    tools: Any = [{"type": "function", "name": name, "parameters": CITY, "strict": False} for name in ("weather", "time")]
    answer = o.responses.create(model=model, input="Hello, wörld", instructions="Be kind.", tools=tools)
    Response.model_validate(answer.to_dict())
    assert '"Hello, wörld"' in answer.output_text
    assert (answer.status, answer.model, answer.instructions, len(answer.tools)) == ("completed", model, "Be kind.", 2)
    assert answer.usage and answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    # A turn with calls, streamed, and the client's next one: the items go back as they came.
    with o.responses.stream(model=model, input=BOTH, tools=tools) as stream:
        turn = stream.get_final_response()
    calls = [item for item in turn.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == CALLS
    said: Any = [{"role": "user", "content": BOTH}, *[item.to_dict() for item in turn.output]]
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} done"} for call in calls]
    with o.responses.stream(model=model, input=[*said, *results], tools=tools) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert final.output_text == "".join(deltas) != ""
    assert "done" in final.output_text


def test_openai_chat_side_by_side(gateway: Gateway) -> None:
    async def ask() -> list[ChatCompletion]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
            return list(await asyncio.gather(*(client.chat.completions.create(**chat("Hello, wörld", model)) for model in MODELS * 8)))

    for answer, model in zip(asyncio.run(ask()), MODELS * 8, strict=True):
        check_completion(answer, model)


def test_openai_streams_side_by_side(gateway: Gateway) -> None:
    async def one(client: openai.AsyncOpenAI, model: str, number: int) -> str:
        stream = await client.chat.completions.create(**chat(f"I am {number} [demo: gap=0.002]", model), stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
            return list(await asyncio.gather(*(one(client, MODELS[number % 2], number) for number in range(16))))

    for number, text in enumerate(asyncio.run(ask())):
        assert f'"I am {number}"' in text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_usage": True}], ids=["unsaid", "off", "on"])
def test_openai_stream(o: openai.OpenAI, model: str, options: Any) -> None:
    extra = {} if options is None else {"stream_options": options}
    chunks: list[ChatCompletionChunk] = list(o.chat.completions.create(**chat("Hello, wörld", model), stream=True, **extra))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump(exclude_unset=True))
    whole = o.chat.completions.create(**chat("Hello, wörld", model))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    if options == {"include_usage": True}:
        assert chunks[-1].choices == []
        assert chunks[-1].usage == whole.usage
        assert not any(chunk.usage for chunk in chunks[:-1])
    else:
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("model", MODELS)
def test_openai_stream_helper(o: openai.OpenAI, model: str) -> None:
    with o.chat.completions.stream(model=model, messages=[{"role": "user", "content": BOTH}], tools=OPENAI_TOOLS) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "tool_calls.function.arguments.done"} <= kinds
    calls = final.choices[0].message.tool_calls or []
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openai_parallel_tools_there_and_back(o: openai.OpenAI, model: str, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": BOTH}]
    if stream:
        with o.chat.completions.stream(model=model, messages=messages, tools=OPENAI_TOOLS) as events:
            called: Any = events.get_final_completion().choices[0]
    else:
        called = o.chat.completions.create(model=model, messages=messages, tools=OPENAI_TOOLS).choices[0]
    assert called.finish_reason == "tool_calls"
    calls = called.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS
    assert len({call.id for call in calls}) == 2
    # The SDK's helper adds a field of its own, which is not sent.
    made = [call.model_dump(exclude={"function": {"parsed_arguments"}}) for call in calls]
    messages.append({"role": "assistant", "content": called.message.content, "tool_calls": made})
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: föhn"} for call in calls]
    answer = o.chat.completions.create(model=model, messages=messages, tools=OPENAI_TOOLS).choices[0]
    assert answer.finish_reason == "stop"
    assert "The tools returned: weather: föhn; time: föhn." in (answer.message.content or "")


def test_openai_custom_tools(o: openai.OpenAI) -> None:
    """A provider without them has functions: what comes back is the tool's all the same."""
    asked = 'call calculate {"input": "1 + \\"1\\" é\\n"}'
    said = '1 + "1" é\n'
    tools: Any = [{"type": "custom", "custom": {"name": "calculate"}}]
    messages: list[Any] = [{"role": "user", "content": asked}]
    message: Any = o.chat.completions.create(model="claude-demo", messages=messages, tools=tools).choices[0].message
    (call,) = message.tool_calls
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("calculate", said)
    messages += [message.model_dump(exclude_unset=True), {"role": "tool", "tool_call_id": call.id, "content": "föhn"}]
    answer = o.chat.completions.create(model="claude-demo", messages=messages, tools=tools).choices[0]
    assert "The tools returned: föhn." in (answer.message.content or "")
    flat: Any = [{"type": "custom", "name": "calculate"}]
    with o.responses.stream(model="claude-demo", input=asked, tools=flat) as stream:
        deltas = [event.delta for event in stream if event.type == "response.custom_tool_call_input.delta"]
        (item,) = [item for item in stream.get_final_response().output if item.type == "custom_tool_call"]
    assert (item.name, item.input, "".join(deltas)) == ("calculate", said, said)
    result = {"type": "custom_tool_call_output", "call_id": item.call_id, "output": "föhn"}
    items: Any = [{"role": "user", "content": asked}, item.to_dict(), result]
    assert "The tools returned: föhn." in o.responses.create(model="claude-demo", input=items, tools=flat).output_text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openai_functions(o: openai.OpenAI, stream: bool) -> None:
    """The form before tools."""
    functions: Any = [{"name": "weather", "parameters": CITY}]
    messages: list[Any] = [{"role": "user", "content": 'call weather {"city": "Zürich"}'}]
    if stream:
        chunks = list(o.chat.completions.create(model="claude-demo", messages=messages, functions=functions, stream=True))
        pieces = [piece for chunk in chunks for choice in chunk.choices if (piece := choice.delta.function_call)]
        name, arguments = pieces[0].name, "".join(piece.arguments or "" for piece in pieces)
        reason = chunks[-1].choices[0].finish_reason
    else:
        called = o.chat.completions.create(model="claude-demo", messages=messages, functions=functions).choices[0]
        assert called.message.function_call and not called.message.tool_calls
        name, arguments = called.message.function_call.name, called.message.function_call.arguments
        reason = called.finish_reason
    assert (name, json.loads(arguments), reason) == ("weather", {"city": "Zürich"}, "function_call")
    messages.append({"role": "assistant", "content": None, "function_call": {"name": name, "arguments": arguments}})
    messages.append({"role": "function", "name": "weather", "content": "föhn"})
    answer = o.chat.completions.create(model="claude-demo", messages=messages, functions=functions).choices[0]
    assert "The tools returned: föhn." in (answer.message.content or "")


@pytest.mark.parametrize("model", MODELS)
def test_openai_forced_tool(o: openai.OpenAI, model: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "time"}}
    (answer,) = o.chat.completions.create(**chat("Now!", model), tools=OPENAI_TOOLS, tool_choice=choice).choices
    assert [call.function.name for call in answer.message.tool_calls or () if call.type == "function"] == ["time"]


@pytest.mark.parametrize("model", MODELS)
def test_openai_image(o: openai.OpenAI, model: str) -> None:
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    ]
    answer = o.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert "You sent 2 images." in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("model", MODELS)
def test_openai_system_limit_and_stop(o: openai.OpenAI, model: str) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    answer = o.chat.completions.create(model=model, messages=messages)
    assert "Your system prompt has 3 tokens." in (answer.choices[0].message.content or "")
    short = o.chat.completions.create(model=model, messages=messages, max_completion_tokens=5)
    assert short.choices[0].finish_reason == "length"
    assert short.usage
    assert short.usage.completion_tokens == 5
    stopped = o.chat.completions.create(model=model, messages=messages, stop=["demo"])
    assert (stopped.choices[0].message.content or "").endswith("built-in ")
    assert stopped.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", MODELS)
def test_openai_structured_output(o: openai.OpenAI, model: str) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    answer = o.chat.completions.create(**chat("Zürich", model), response_format=schema)
    assert json.loads(answer.choices[0].message.content or "").keys() == {"city"}


def test_openai_embeddings(o: openai.OpenAI) -> None:
    # The SDK asks for base64 by itself, and decodes it.
    answer = o.embeddings.create(model="gpt-demo", input=["one", "two", "one"])
    first, second, third = (one.embedding for one in answer.data)
    assert len(first) == 256
    assert first == third != second
    assert answer.usage.prompt_tokens == 3


def test_openai_embeddings_need_a_provider_that_has_them(o: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="not every dialect has") as caught:
        o.embeddings.create(model="claude-demo", input="one")
    assert caught.value.code == "unsupported_endpoint"


def test_openai_models(o: openai.OpenAI) -> None:
    assert [model.id for model in o.models.list()] == ["demo", "o-then-a", "a-then-o"]
    assert o.models.retrieve("o-then-a").id == "o-then-a"
    with pytest.raises(openai.NotFoundError, match="o-then-a"):
        o.models.retrieve("o-then")


def test_mistrals_models(gateway: Gateway) -> None:
    http = httpx2.Client(verify=False)
    with http, Mistral(api_key="none", server_url=gateway.url, client=http) as client:
        cards = [card for card in client.models.list().data or [] if isinstance(card, BaseModelCard)]
        assert [(card.id, card.capabilities.completion_chat) for card in cards] == [("demo", True), ("o-then-a", True), ("a-then-o", True)]
        assert client.models.retrieve(model_id="demo").id == "demo"


# Anthropic's.


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_messages(a: anthropic.Anthropic, model: str) -> None:
    answer = a.messages.create(**message("Hello, wörld", model))
    Message.model_validate(answer.model_dump(exclude_unset=True))
    (block,) = answer.content
    assert block.type == "text"
    assert '"Hello, wörld"' in block.text
    assert (answer.stop_reason, answer.model, answer.role) == ("end_turn", model, "assistant")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    # A provider of the same dialect has told its own; else it is the gateway's.
    assert (answer._request_id or "").startswith("req_demo") == (model == "claude-demo")
    assert answer._request_id


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_stream(a: anthropic.Anthropic, model: str) -> None:
    whole = a.messages.create(**message("Hello, wörld", model))
    with a.messages.stream(**message("Hello, wörld", model)) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert [block.model_dump(exclude={"parsed_output"}) for block in final.content] == [block.model_dump() for block in whole.content]
    assert text == final.content[0].text  # type: ignore[union-attr]
    assert (final.stop_reason, final.model) == ("end_turn", model)
    assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens)


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_events_in_order(a: anthropic.Anthropic, model: str) -> None:
    events = list(a.messages.create(**message(BOTH, model), tools=ANTHROPIC_TOOLS, stream=True))
    kinds = [event.type for event in events if event.type != "content_block_delta"]
    blocks = ["content_block_start", "content_block_stop"] * 3
    assert kinds == ["message_start", *blocks, "message_delta", "message_stop"]
    assert [event.index for event in events if event.type == "content_block_start"] == [0, 1, 2]


def test_anthropic_side_by_side(gateway: Gateway) -> None:
    async def one(client: anthropic.AsyncAnthropic, model: str, number: int) -> str:
        async with client.messages.stream(**message(f"I am {number} [demo: gap=0.002]", model)) as stream:
            return "".join([text async for text in stream.text_stream])

    async def ask() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
            return list(await asyncio.gather(*(one(client, MODELS[number % 2], number) for number in range(16))))

    for number, text in enumerate(asyncio.run(ask())):
        assert f'"I am {number}"' in text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_anthropic_parallel_tools_there_and_back(a: anthropic.Anthropic, model: str, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": BOTH}]
    if stream:
        with a.messages.stream(model=model, max_tokens=256, messages=messages, tools=ANTHROPIC_TOOLS) as events:
            called: Any = events.get_final_message()
    else:
        called = a.messages.create(model=model, max_tokens=256, messages=messages, tools=ANTHROPIC_TOOLS)
    assert called.stop_reason == "tool_use"
    calls = [block for block in called.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == CALLS
    assert len({call.id for call in calls}) == 2
    messages.append({"role": "assistant", "content": called.content})
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name}: föhn"} for call in calls]
    messages.append({"role": "user", "content": results})
    answer: Any = a.messages.create(model=model, max_tokens=256, messages=messages, tools=ANTHROPIC_TOOLS)
    assert answer.stop_reason == "end_turn"
    assert "The tools returned: weather: föhn; time: föhn." in answer.content[0].text


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_forced_tool(a: anthropic.Anthropic, model: str) -> None:
    answer = a.messages.create(**message("Now!", model), tools=ANTHROPIC_TOOLS, tool_choice={"type": "tool", "name": "time"})
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["time"]


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_images(a: anthropic.Anthropic, model: str) -> None:
    content: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
        {"type": "text", "text": "What is this?"},
    ]
    answer: Any = a.messages.create(model=model, max_tokens=256, messages=[{"role": "user", "content": content}])
    assert "You sent 2 images." in answer.content[0].text


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_system_limit_and_stop(a: anthropic.Anthropic, model: str) -> None:
    answer: Any = a.messages.create(**message("Hello", model), system="Be brief.")
    assert "Your system prompt has 3 tokens." in answer.content[0].text
    short = a.messages.create(**{**message("Hello", model), "max_tokens": 5})
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 5)
    stopped: Any = a.messages.create(**message("Hello", model), stop_sequences=["demo"])
    assert stopped.content[0].text.endswith("built-in ")


def test_anthropic_count_tokens(a: anthropic.Anthropic) -> None:
    asked: Any = [{"role": "user", "content": "Hello, wörld"}]
    counted = a.messages.count_tokens(model="claude-demo", messages=asked).input_tokens
    assert counted == a.messages.create(model="claude-demo", max_tokens=9, messages=asked).usage.input_tokens
    told = a.messages.with_raw_response.count_tokens(model="claude-demo", messages=asked)
    assert "x-headgate-estimated" not in told.headers
    # OpenAI has no such endpoint.
    estimated = a.messages.with_raw_response.count_tokens(model="gpt-demo", messages=asked)
    assert estimated.headers["x-headgate-estimated"] == "tokens"
    assert 0 < estimated.parse().input_tokens < 20


def test_anthropic_models(a: anthropic.Anthropic) -> None:
    assert [model.id for model in a.models.list()] == ["demo", "o-then-a", "a-then-o"]
    assert a.models.retrieve("o-then-a").id == "o-then-a"
    with pytest.raises(anthropic.NotFoundError, match="o-then-a"):
        a.models.retrieve("o-then")


# What went wrong is told as each SDK expects it.


def ask(client: openai.OpenAI | anthropic.Anthropic, text: str, model: str, **more: Any) -> Any:
    if isinstance(client, openai.OpenAI):
        return client.chat.completions.create(**chat(text, model, **more))
    return client.messages.create(**message(text, model, **more))


SDKS = ["o", "a"]


@pytest.mark.parametrize("sdk", SDKS)
def test_unknown_model(request: pytest.FixtureRequest, sdk: str) -> None:
    with pytest.raises((openai.NotFoundError, anthropic.NotFoundError), match="Did you mean 'o-then-a'") as caught:
        ask(request.getfixturevalue(sdk), "Hello", "o-then-b")
    check_id(caught.value)


def check_id(error: Any) -> None:
    """The SDK has the request's id, and it is the one that is in the body."""
    body = error.body
    assert error.request_id
    assert error.request_id == body["request_id"]
    assert error.request_id == error.response.headers["x-request-id"]


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_errors_of_the_provider(request: pytest.FixtureRequest, sdk: str, model: str, status: int, name: str, stream: bool) -> None:
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError), match=f"asked to fail with status {status}") as caught:
        ask(request.getfixturevalue(sdk), f"Hello [demo: status={status}]", model, stream=stream)
    error: Any = caught.value
    assert (type(error).__name__, error.status_code) == (name, status)
    assert error.request_id


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_provider_that_refuses_our_key(request: pytest.FixtureRequest, sdk: str, model: str, status: int) -> None:
    """It must not look as if the caller's key were wrong."""
    with pytest.raises((openai.InternalServerError, anthropic.InternalServerError), match="refused the gateway's credential") as caught:
        ask(request.getfixturevalue(sdk), f"Hello [demo: status={status}]", model)
    error: Any = caught.value
    assert error.status_code == 502
    check_id(error)


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("model", MODELS)
def test_how_long_to_wait(request: pytest.FixtureRequest, sdk: str, model: str) -> None:
    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as caught:
        ask(request.getfixturevalue(sdk), "Hello [demo: status=429 retry-after=7]", model)
    error: Any = caught.value
    assert error.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("model", MODELS)
def test_a_stream_that_fails_on_its_way(request: pytest.FixtureRequest, sdk: str, model: str) -> None:
    with pytest.raises((openai.APIError, anthropic.APIError), match="fail in mid-stream"):
        list(ask(request.getfixturevalue(sdk), "Hello [demo: error=3]", model, stream=True))


@pytest.mark.parametrize("sdk", SDKS)
def test_a_wrong_type(request: pytest.FixtureRequest, sdk: str) -> None:
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError), match="temperature") as caught:
        ask(request.getfixturevalue(sdk), "Hello", "gpt-demo", extra_body={"temperature": "hot"})
    check_id(caught.value)


def test_no_key_and_a_wrong_key(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("closed")
    with Gateway(folder, config) as closed:
        made = closed.run("keys", "create", "somebody", str(closed.path))
        assert made.returncode == 0, made.stderr
        assert made.stdout
        closed.until(lambda: httpx.get(f"{closed.url}/v1/models", verify=False).status_code == 401, "keys are asked for")
        with openai_sdk(closed.url, "sk-wrong") as o, pytest.raises(openai.AuthenticationError) as of_openai:
            ask(o, "Hello", "demo")
        with anthropic_sdk(closed.url, "sk-wrong") as a, pytest.raises(anthropic.AuthenticationError) as of_anthropic:
            ask(a, "Hello", "demo")
        check_id(of_openai.value)
        check_id(of_anthropic.value)
        key = made.stdout.strip()
        with openai_sdk(closed.url, key) as o, anthropic_sdk(closed.url, key) as a:
            assert ask(o, "Hello", "demo").choices
            assert ask(a, "Hello", "demo").content


def test_nobody_sees_the_providers_ids(o: openai.OpenAI, openai_provider: Demo) -> None:
    """The gateway's own id is the one that its log, its ledger and the provider know."""
    answer = o.chat.completions.create(**chat("Hello", "gpt-demo"))
    (asked,) = openai_provider.requests()
    assert dict(asked["headers"])["x-request-id"] == answer._request_id
