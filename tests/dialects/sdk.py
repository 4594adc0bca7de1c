"""The official SDKs, served by a function instead of a network."""

import json
import ssl
from typing import Any

import anthropic
import cohere
import httpx
import httpx2
import msgspec
import ollama
import openai
from anthropic.types import Message, RawMessageStreamEvent
from google import genai
from google.genai import types
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Google's client would read all certificates of the machine three times otherwise, which takes longer than all else."""

QUESTION: Any = [{"role": "user", "content": "Hi"}]


def _serve(body: bytes, kind: str) -> httpx2.Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def openai_answer(body: Any) -> ChatCompletion:
    """Validated, where the SDK itself would let anything pass."""
    return ChatCompletion.model_validate(body)


def anthropic_answer(body: Any) -> Message:
    return Message.model_validate(body)


def completion_stream(body: bytes) -> list[Completion]:
    """Legacy chunks, of text alone. `finish_reason` of all but the last is null, as OpenAI's own are, though not in the SDK's types."""
    client = openai.OpenAI(api_key="none", http_client=_serve(body, "text/event-stream"), max_retries=0)
    chunks = [chunk for chunk in client.completions.create(model="m", prompt="Hi", stream=True) if chunk.choices]
    Completion.model_validate(chunks[-1].model_dump(exclude_unset=True))
    return chunks


def openai_stream(body: bytes) -> list[ChatCompletionChunk]:
    client = openai.OpenAI(api_key="none", http_client=_serve(body, "text/event-stream"), max_retries=0)
    chunks = list(client.chat.completions.create(model="m", messages=QUESTION, stream=True))
    return [ChatCompletionChunk.model_validate(chunk.model_dump(exclude_unset=True)) for chunk in chunks]


def anthropic_stream(body: bytes) -> tuple[Message, list[RawMessageStreamEvent]]:
    """The message as the SDK puts it together, and the raw events."""
    client = anthropic.Anthropic(api_key="none", http_client=_serve(body, "text/event-stream"), max_retries=0)
    events = list(client.messages.create(model="m", messages=QUESTION, max_tokens=9, stream=True))
    with client.messages.stream(model="m", messages=QUESTION, max_tokens=9) as stream:
        final = stream.get_final_message()
    return Message.model_validate(final.model_dump(exclude_unset=True, by_alias=True)), events


def responses_answer(body: Any) -> Response:
    return Response.model_validate(body)


def responses_stream(body: bytes) -> tuple[Response, list[ResponseStreamEvent]]:
    """The response at the end, and all events; the SDK's own helper, which insists on their order, has put together the same."""
    client = openai.OpenAI(api_key="none", http_client=_serve(body, "text/event-stream"), max_retries=0)
    events = [_EVENT.validate_python(event.to_dict()) for event in client.responses.create(model="m", input="Hi", stream=True)]
    with client.responses.stream(model="m", input="Hi") as stream:
        seen = list(stream)
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    final = responses_answer(last.response.to_dict())
    assert len(seen) == len(events)
    if last.type == "response.completed":
        assert stream.get_final_response().output_text == final.output_text
    return final, events


def google_answer(body: Any) -> types.GenerateContentResponse:
    """As the client gives it, which renames and decodes fields on its way to the type."""
    return _google(json.dumps(body).encode(), "application/json").models.generate_content(model="m", contents="Hi")


def google_stream(body: bytes) -> list[types.GenerateContentResponse]:
    return list(_google(body, "text/event-stream").models.generate_content_stream(model="m", contents="Hi"))


def google_models(listed: Any, one: Any) -> tuple[list[types.Model], types.Model]:
    """The list of models, and one of them."""
    listing, describing = (_google(json.dumps(body).encode(), "application/json") for body in (listed, one))
    return list(listing.models.list()), describing.models.get(model="m")


def _google(body: bytes, kind: str) -> genai.Client:
    client, tls = _serve(body, kind), {"verify": _NO_TLS, "ssl": _NO_TLS}
    options = types.HttpOptions(httpx_client=client, client_args=tls, async_client_args=tls)
    return genai.Client(api_key="none", http_options=options)


def ollama_client(body: bytes, kind: str = "application/json", status: int = 200) -> ollama.Client:
    """Whatever it asks, it is answered with `body`."""
    serve = httpx.MockTransport(lambda request: httpx.Response(status, headers={"content-type": kind}, content=body))
    return ollama.Client("http://ollama.test", transport=serve)


def ollama_answer(body: Any) -> ollama.ChatResponse:
    return ollama_client(msgspec.json.encode(body)).chat("m", QUESTION)


def ollama_stream(body: bytes) -> list[ollama.ChatResponse]:
    return list(ollama_client(body, "application/x-ndjson").chat("m", QUESTION, stream=True))


def cohere_client(body: bytes, kind: str = "application/json", status: int = 200) -> cohere.ClientV2:
    """Whatever it asks, it is answered with `body`."""
    serve = httpx.MockTransport(lambda request: httpx.Response(status, headers={"content-type": kind}, content=body))
    return cohere.ClientV2("none", base_url="http://cohere.test", httpx_client=httpx.Client(transport=serve), max_retries=0)


def cohere_answer(body: Any) -> cohere.V2ChatResponse:
    """Validated, where the SDK itself would let anything pass."""
    cohere.V2ChatResponse.model_validate(body)
    return cohere_client(msgspec.json.encode(body)).chat(model="m", messages=QUESTION)


def cohere_stream(body: bytes) -> list[Any]:
    events = list(cohere_client(body, "text/event-stream").chat_stream(model="m", messages=QUESTION))
    for event in events:
        type(event).model_validate(event.model_dump(exclude_unset=True))
    return events
