"""Clients of clouds in front of the gateway, through a real Envoy: Anthropic's SDKs for Vertex AI and Bedrock, Google's for Vertex AI."""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from extproc.dialects.eventstream import EVENT_STREAM
from extproc.dialects.framing import split
from tests.e2e.books import entry
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Demo

MODELS = ["gpt-demo", "claude-demo", "o-then-a", "a-then-o"]
KEY = "hg-cloud-caller"
HELLO: Any = [{"role": "user", "content": "Hello, wörld"}]
TOOLS: Any = [
    {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
]
BETA = {"anthropic-beta": "some-beta-2025-01-01"}
CALL: Any = [{"role": "user", "content": 'call weather {"city": "Zürich"}'}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    keys = [{"name": "caller", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}]
    filters: Any = [{"meter": {}}, {"auth": {"keys": keys}}, {"route": {}}, {"cache": {}}]
    with Gateway(folder(tmp_path_factory), {**config, "filters": filters}) as running:
        yield running


def vertex(gateway: Gateway, root: str = "", key: str = KEY) -> anthropic.AnthropicVertex:
    client = anthropic.DefaultHttpxClient(verify=False)
    url = f"{gateway.url}{root}"
    return anthropic.AnthropicVertex(base_url=url, region="eu", project_id="p-1", access_token=key, max_retries=0, http_client=client)


def bedrock(gateway: Gateway) -> anthropic.AnthropicBedrock:
    client = anthropic.DefaultHttpxClient(verify=False)
    return anthropic.AnthropicBedrock(base_url=gateway.url, aws_region="eu-west-1", api_key=KEY, max_retries=0, http_client=client)


def google(gateway: Gateway, **account: Any) -> genai.Client:
    return genai.Client(vertexai=True, http_options=types.HttpOptions(base_url=gateway.url), **account)


@pytest.mark.parametrize("root", ["", "/v1"])
@pytest.mark.parametrize("model", MODELS)
def test_anthropics_sdk_for_vertex(gateway: Gateway, model: str, root: str) -> None:
    with vertex(gateway, root) as client:
        answer = client.messages.create(model=model, max_tokens=200, messages=HELLO)
        assert '"Hello, wörld"' in answer.content[0].text  # type: ignore[union-attr]
        assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
        with client.messages.stream(model=model, max_tokens=200, messages=HELLO) as stream:
            told = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert told == answer.content[0].text  # type: ignore[union-attr]
        assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", answer.usage.output_tokens)


@pytest.mark.parametrize("model", MODELS)
def test_its_tools_and_betas(gateway: Gateway, model: str) -> None:
    with vertex(gateway) as client:
        answer = client.messages.create(model=model, max_tokens=200, messages=CALL, tools=TOOLS, extra_headers=BETA)
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("weather", {"city": "Zürich"})


def test_what_anthropic_gets_of_it(gateway: Gateway, anthropic_provider: Demo) -> None:
    with vertex(gateway) as client:
        client.messages.create(model="claude-demo", max_tokens=9, messages=HELLO, extra_headers=BETA)
    (request,) = anthropic_provider.requests()
    assert request["path"] == "/v1/messages"
    assert json.loads(request["body"]) == {"max_tokens": 9, "messages": HELLO, "model": "claude-demo"}
    assert dict(request["headers"])["anthropic-beta"] == "some-beta-2025-01-01"
    assert KEY not in str(request)


def test_its_tokens_are_counted(gateway: Gateway) -> None:
    with vertex(gateway) as client:
        assert client.messages.count_tokens(model="claude-demo", messages=HELLO).input_tokens > 0
        assert client.messages.count_tokens(model="gpt-demo", messages=HELLO).input_tokens > 0


def test_its_errors_are_anthropics(gateway: Gateway) -> None:
    with vertex(gateway) as client, pytest.raises(anthropic.NotFoundError, match="There is no model"):
        client.messages.create(model="nope", max_tokens=9, messages=HELLO)
    with vertex(gateway, key="wrong") as client, pytest.raises(anthropic.AuthenticationError) as refused:
        client.messages.create(model="claude-demo", max_tokens=9, messages=HELLO)
    assert isinstance(refused.value.body, dict) and refused.value.body["type"] == "error"


@pytest.mark.parametrize("account", [{"api_key": KEY}, {"project": "p-1", "location": "eu"}], ids=["key", "project"])
@pytest.mark.parametrize("model", MODELS)
def test_googles_sdk_for_vertex(gateway: Gateway, model: str, account: dict[str, Any]) -> None:
    credentials = {} if "api_key" in account else {"credentials": Credentials(token=KEY)}  # type: ignore[no-untyped-call]
    client = google(gateway, **account, **credentials)
    answer = client.models.generate_content(model=model, contents="Hello, wörld")
    assert answer.text and '"Hello, wörld"' in answer.text
    chunks = list(client.models.generate_content_stream(model=model, contents="Hello, wörld"))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text
    assert chunks[-1].usage_metadata and chunks[-1].usage_metadata.prompt_token_count


def test_its_vectors_and_lists(gateway: Gateway) -> None:
    client = google(gateway, api_key=KEY)
    vectors = client.models.embed_content(model="gpt-demo", contents=["one", "two"]).embeddings
    assert vectors and [len(vector.values or ()) > 0 for vector in vectors] == [True, True]
    assert client.models.count_tokens(model="gpt-demo", contents="Hello, wörld").total_tokens
    names = [model.name for model in client.models.list()]
    assert names == [f"publishers/google/models/{name}" for name in ("demo", "o-then-a", "a-then-o")]
    assert client.models.generate_content(model=str(names[0]), contents="Hello").text
    assert client.models.get(model="demo").name == "publishers/google/models/demo"


@pytest.mark.parametrize("model", MODELS)
def test_anthropics_sdk_for_bedrock(gateway: Gateway, model: str) -> None:
    with bedrock(gateway) as client:
        answer = client.messages.create(model=model, max_tokens=200, messages=HELLO)
        called = client.messages.create(model=model, max_tokens=200, messages=CALL, tools=TOOLS)
    assert '"Hello, wörld"' in answer.content[0].text  # type: ignore[union-attr]
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    assert [block.input for block in called.content if block.type == "tool_use"] == [{"city": "Zürich"}]


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_of_bedrocks(gateway: Gateway, model: str) -> None:
    """As the SDK asks for it: it reads such streams with botocore."""
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": HELLO}
    url = f"{gateway.url}/model/{model}/invoke-with-response-stream"
    answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {KEY}"}, verify=False)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.amazon.eventstream")
    read = [EVENT_STREAM.parse(raw) for raw in split(EVENT_STREAM, answer.content)]
    events = [json.loads(b64decode(json.loads(event.data)["bytes"])) for event in read if event and event.event == "chunk"]
    assert len(events) == len(read)
    text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    assert '"Hello, wörld"' in text
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    counted = events[-1]["amazon-bedrock-invocationMetrics"]
    assert counted["inputTokenCount"] > 0 and counted["outputTokenCount"] > 0


@pytest.mark.parametrize(("model", "estimated"), [("claude-demo", None), ("gpt-demo", "tokens")])
def test_an_invocation_is_counted(gateway: Gateway, model: str, estimated: str | None) -> None:
    """As boto3's `count_tokens` asks for it with `input.invokeModel`."""
    invoked = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": HELLO}).encode()
    url, headers = f"{gateway.url}/model/{model}/count-tokens", {"authorization": f"Bearer {KEY}"}
    asked = {"input": {"invokeModel": {"body": b64encode(invoked).decode()}}}
    answer = httpx.post(url, json=asked, headers=headers, verify=False)
    assert (answer.status_code, answer.headers.get("x-headgate-estimated")) == (200, estimated)
    assert list(answer.json()) == ["inputTokens"] and answer.json()["inputTokens"] > 0
    others = {"input": {"invokeModel": {"body": b64encode(b'{"prompt": "Hi"}').decode()}}}
    refused = httpx.post(url, json=others, headers=headers, verify=False)
    assert (refused.status_code, refused.json()["__type"]) == (400, "ValidationException")
    assert "input.converse" in refused.json()["message"]


def test_betas_that_the_sdk_for_bedrock_puts_in_the_body(gateway: Gateway, anthropic_provider: Demo) -> None:
    with bedrock(gateway) as client:
        messages: Any = client.beta.messages  # its types are not those of the class that it is
        messages.create(model="claude-demo", max_tokens=9, messages=HELLO, betas=["some-1", "other-2"])
        lost = messages.with_raw_response.create(model="gpt-demo", max_tokens=9, messages=HELLO, betas=["some-1"])
    (request,) = anthropic_provider.requests()
    assert dict(request["headers"])["anthropic-beta"] == "some-1,other-2"
    assert "anthropic_beta" not in request["body"]
    assert lost.headers["x-headgate-dropped"] == "anthropic_beta"


def test_betas_in_a_body_for_vertex(gateway: Gateway, anthropic_provider: Demo, openai_provider: Demo) -> None:
    body = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": HELLO, "anthropic_beta": ["other-2"]}
    for model in ("claude-demo", "a-then-o", "gpt-demo"):
        url = f"{gateway.url}/v1/projects/p/locations/eu/publishers/anthropic/models/{model}:rawPredict"
        answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {KEY}", "anthropic-beta": "some-1"}, verify=False)
        assert answer.status_code == 200
        assert answer.headers.get("x-headgate-dropped") == ("anthropic_beta" if model == "gpt-demo" else None)
    assert [dict(request["headers"])["anthropic-beta"] for request in anthropic_provider.requests()] == ["some-1,other-2"] * 2
    (request,) = openai_provider.requests()
    assert not [name for name, _ in request["headers"] if "beta" in name]
    wrong = httpx.post(url, json={**body, "anthropic_beta": ["a\r\nb: c"]}, headers={"authorization": f"Bearer {KEY}"}, verify=False)
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "invalid_request_error")


def test_errors_of_bedrocks(gateway: Gateway) -> None:
    with bedrock(gateway) as client, pytest.raises(anthropic.NotFoundError, match="There is no model"):
        client.messages.create(model="nope", max_tokens=9, messages=HELLO)


@pytest.mark.parametrize(
    ("path", "body", "dialect"),
    [
        (
            "/v1/projects/p/locations/eu/publishers/anthropic/models/gpt-demo:rawPredict",
            {"anthropic_version": "vertex-2023-10-16"},
            "anthropic",
        ),
        ("/model/gpt-demo/invoke", {"anthropic_version": "bedrock-2023-05-31"}, "bedrock"),
    ],
)
def test_each_is_in_the_ledger(gateway: Gateway, path: str, body: dict[str, Any], dialect: str) -> None:
    asked = {**body, "max_tokens": 200, "messages": HELLO}
    answer = httpx.post(f"{gateway.url}{path}", json=asked, headers={"authorization": f"Bearer {KEY}"}, verify=False)
    assert answer.status_code == 200
    found = entry(gateway, answer.headers["x-request-id"])
    usage = answer.json()["usage"]
    assert (found["dialect"], found["model"]) == (dialect, "gpt-demo")
    assert (found["input"], found["output"]) == (usage["input_tokens"], usage["output_tokens"])
