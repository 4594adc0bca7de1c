"""Bedrock behind real Envoy: every request signed as it goes out, its streams in the clients' own, and its clients served by others."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from extproc.control.run_dir import sockets_folder
from extproc.dialects.eventstream import event
from extproc.envoy import names
from tests.dialects.bedrock import BEDROCK, STREAMS, events
from tests.dialects.converse import check_events, check_response
from tests.e2e.amazon import ANSWER, CLAUDE, END, PROFILE, SECRETS, STREAM, Amazon
from tests.e2e.books import entry
from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo


@pytest.fixture(scope="module")
def amazon() -> Iterator[Amazon]:
    with Amazon() as running:
        yield running


@pytest.fixture(scope="module")
def config(amazon: Amazon, openai_provider: Demo) -> dict[str, Any]:
    one = {"region": "eu-west-1", "access_key": "env:AWS_ONE", "secret_key": "env:AWS_ONE_SECRET"}
    two = {"region": "us-east-1", "access_key": "AKIDTWO", "secret_key": "env:AWS_TWO_SECRET", "session_token": "token=two"}
    found = {"region": "ap-northeast-1"}
    # By address, and by a name that has to be resolved: Envoy has other clusters for those.
    urls = {"one": amazon.url, "two": amazon.url.replace("127.0.0.1", "localhost"), "found": amazon.url.replace("127.0.0.1", "localhost")}
    providers = {
        name: {"dialect": "bedrock", "base_url": urls[name], "aws": aws} for name, aws in (("one", one), ("two", two), ("found", found))
    }
    return {
        "providers": {**providers, "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1", "key": "sk-provider-o"}},
        "models": [
            {"name": "claude", "targets": [f"one/{CLAUDE}"]},
            {"name": "profile", "targets": [f"one/{PROFILE}"]},
            {"name": "found", "targets": ["found/amazon.nova-pro-v1:0"]},
            {"name": "one-then-two", "targets": [f"one/{CLAUDE}", f"two/{PROFILE}"]},
            {"name": "o-then-two", "targets": ["o/first", f"two/{CLAUDE}"]},
            {"name": "one-then-o", "targets": [f"one/{CLAUDE}", "o/second"]},
            {"name": "gpt", "targets": ["o/gpt"]},
            {"name": "*", "targets": ["one"]},
        ],
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    environ = {
        "AWS_ONE": "AKIDONE", "AWS_ONE_SECRET": SECRETS["AKIDONE"], "AWS_TWO_SECRET": SECRETS["AKIDTWO"],
        # Where Envoy looks by itself; and where it would wait for an answer, were it not for this.
        "AWS_ACCESS_KEY_ID": "AKIDONE", "AWS_SECRET_ACCESS_KEY": SECRETS["AKIDONE"], "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with Gateway(tmp_path_factory.mktemp("gateway"), config, environ) as running:
        yield running


@pytest.fixture(autouse=True)
def forgotten(amazon: Amazon) -> None:
    amazon.reset()


def ask(gateway: Gateway, body: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": "Bearer caller-secret", "x-amz-date": "20200101T000000Z", "x-amz-security-token": "caller-secret"}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, verify=False, timeout=30)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("claude", "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        ("profile", "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fmi1da/converse"),
        ("found", "/model/amazon.nova-pro-v1%3A0/converse"),
    ],
)
def test_one_target_is_signed(gateway: Gateway, amazon: Amazon, model: str, path: str) -> None:
    answer = ask(gateway, chat("Hello", model))
    assert amazon.faults == [""]
    assert answer.status_code == 200, answer.text
    assert amazon.seen() == [(path, "AKIDONE")]
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert body["id"] == answer.headers["x-request-id"]
    assert body["model"] in (CLAUDE, PROFILE, "amazon.nova-pro-v1:0")
    assert body["usage"]["total_tokens"] == 5
    assert "caller-secret" not in str(amazon.headers)
    assert not [name for name in amazon.headers[0] if name.startswith(("x-envoy", "x-headgate", "x-forwarded"))]


@pytest.mark.parametrize("size", [0, 900_000, 3_000_000, 20_000_000])
@pytest.mark.parametrize("model", ["claude", "one-then-two", "o-then-two"])
def test_bodies_of_all_sizes_are_signed(gateway: Gateway, amazon: Amazon, model: str, size: int) -> None:
    answer = ask(gateway, chat("[demo@openai: status=503] x" + "y" * size, model))
    assert answer.status_code == 200, answer.text[:300]
    assert amazon.faults == [""]
    assert len(amazon.bodies[0]) > size


def test_the_next_target_is_signed_anew(gateway: Gateway, amazon: Amazon) -> None:
    amazon.busy = 1
    answer = ask(gateway, chat("Hello", "one-then-two"))
    assert answer.status_code == 200, answer.text
    assert amazon.faults == ["", ""]
    (first, second) = amazon.seen()
    assert first[1] == "AKIDONE" and second[1] == "AKIDTWO"
    assert "eu.anthropic" in first[0] and "application-inference-profile%2F" in second[0]
    assert "x-amz-security-token" not in amazon.headers[0]
    assert amazon.headers[1]["x-amz-security-token"] == "token=two"
    assert ["/eu-west-1/" in amazon.headers[0]["authorization"], "/us-east-1/" in amazon.headers[1]["authorization"]] == [True, True]


def test_nobody_else_gets_a_signature(gateway: Gateway, amazon: Amazon, openai_provider: Demo) -> None:
    amazon.busy = 1
    answer = ask(gateway, chat("Hello", "one-then-o"))
    assert answer.status_code == 200, answer.text
    (request,) = openai_provider.requests()
    headers = dict(request["headers"])
    assert headers["authorization"] == "Bearer sk-provider-o"
    assert not [name for name in headers if name.startswith("x-amz")]


def test_a_stream_reaches_openais_sdk(gateway: Gateway, amazon: Amazon) -> None:
    with openai_sdk(gateway.url, "caller-secret") as client:
        for model in ("claude", "one-then-two"):
            amazon.reset()
            chunks = list(client.chat.completions.create(**chat("Hello", model, stream=True, stream_options={"include_usage": True})))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
            assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 5
            assert amazon.paths == ["/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"]
            assert amazon.faults == [""]


def test_a_stream_reaches_anthropics_sdk(gateway: Gateway, amazon: Amazon) -> None:
    with anthropic_sdk(gateway.url, "caller-secret") as client, client.messages.stream(**message("Hello", "claude")) as stream:
        final = stream.get_final_message()
    assert [block.text for block in final.content if block.type == "text"] == ["Hello"]
    assert (final.usage.input_tokens, final.usage.output_tokens, final.model) == (3, 2, CLAUDE)


SAYS_HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


def test_bedrocks_clients_pass_through(gateway: Gateway, amazon: Amazon) -> None:
    """The same dialect: not a byte of the body changes; the model's name stands in the path."""
    body = json.dumps(SAYS_HELLO, indent=1).encode()
    for asked, path in (
        ("profile", "/model/arn%3Aaws"),
        ("anthropic.claude-3-haiku-20240307-v1%3A0", "/model/anthropic.claude-3-haiku-20240307-v1%3A0/"),
    ):
        amazon.reset()
        url = f"{gateway.url}/model/{asked}/converse"
        answer = httpx.post(url, content=body, headers={"content-type": "application/json"}, verify=False)
        assert answer.json() == ANSWER, answer.text
        assert answer.headers["x-amzn-requestid"] == answer.headers["x-request-id"]
        assert amazon.bodies == [body]
        assert amazon.paths[0].startswith(path)
        streamed = httpx.post(url + "-stream", content=body, headers={"content-type": "application/json"}, verify=False)
        assert streamed.headers["content-type"] == "application/vnd.amazon.eventstream"
        assert streamed.content == STREAM + END
        assert amazon.faults == ["", ""]


def test_credentials_are_hidden_and_ours_alone(gateway: Gateway) -> None:
    folder = sockets_folder(gateway.state)
    with httpx.Client(transport=httpx.HTTPTransport(uds=names.admin_socket(str(folder)), verify=False)) as client:
        dump = client.get("http://envoy/config_dump").text
    assert "AKIDTWO" in dump
    assert not [secret for secret in (*SECRETS.values(), "token=two") if secret in dump]
    told = Path(names.clusters_file(str(folder)))
    assert SECRETS["AKIDTWO"] in told.read_text()
    assert told.stat().st_mode & 0o077 == folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("what", ["invoke", "count-tokens", "invoke-with-response-stream"])
def test_what_only_bedrock_has_passes_under_the_right_name(gateway: Gateway, amazon: Amazon, what: str) -> None:
    body = b'{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}'
    answer = httpx.post(f"{gateway.url}/model/profile/{what}", content=body, headers={"content-type": "application/json"}, verify=False)
    assert answer.status_code == 200, answer.text
    assert amazon.faults == [""]
    assert amazon.bodies == [body]
    assert amazon.paths == [f"/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fmi1da/{what}"]


def test_a_stream_of_what_is_invoked_is_booked(gateway: Gateway, amazon: Amazon) -> None:
    metrics = {"inputTokenCount": 3, "outputTokenCount": 2, "invocationLatency": 7, "firstByteLatency": 5}
    told: list[Any] = [{"type": "message_start"}, {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}]
    stream = b"".join(event("chunk", json.dumps({"bytes": b64encode(json.dumps(one).encode()).decode()}).encode()) for one in told)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=stream, content_type="application/vnd.amazon.eventstream")

    amazon.handler = answer
    try:
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        passed = httpx.post(f"{gateway.url}/model/profile/invoke-with-response-stream", json=body, verify=False)
    finally:
        amazon.handler = amazon.converse
    assert passed.content == stream
    found = entry(gateway, passed.headers["x-request-id"])
    assert (found["outcome"], found["input"], found["output"], found["estimated"]) == ("complete", 3, 2, 0)


def test_bedrocks_clients_reach_others(gateway: Gateway, openai_provider: Demo) -> None:
    answer = httpx.post(f"{gateway.url}/model/gpt/converse", json=SAYS_HELLO, verify=False)
    assert answer.status_code == 200, answer.text
    check_response(answer.json())
    assert "Hello" in answer.json()["output"]["message"]["content"][0]["text"]
    streamed = httpx.post(f"{gateway.url}/model/gpt/converse-stream", json=SAYS_HELLO, verify=False)
    assert streamed.headers["content-type"] == "application/vnd.amazon.eventstream"
    (block,) = check_events(events(streamed.content))
    assert "Hello" in block["text"]
    assert [json.loads(request["body"])["model"] for request in openai_provider.requests()] == ["gpt", "gpt"]


def test_a_refused_signature_is_our_trouble(gateway: Gateway, amazon: Amazon) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "The security token is expired"}, status=403)

    amazon.handler = refuse
    try:
        answer = httpx.post(f"{gateway.url}/model/claude/converse", json=SAYS_HELLO, verify=False)
    finally:
        amazon.handler = amazon.converse
    assert answer.status_code == 502
    told = answer.json()
    assert told["__type"] == "InternalServerException"
    assert "refused the gateway's credential" in told["message"]


def test_a_gateway_without_credentials_says_so(tmp_path: Path, amazon: Amazon) -> None:
    provider = {"dialect": "bedrock", "base_url": amazon.url.replace("127.0.0.1", "localhost"), "aws": {"region": "eu-west-1"}}
    config = {"providers": {"found": provider}, "models": [{"name": "m", "targets": ["found/amazon.nova-pro-v1:0"]}]}
    environ = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    with Gateway(tmp_path, config, environ) as gateway:
        answer = ask(gateway, chat("Hello", "m"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_authentication")
        assert "got no credential from the gateway" in answer.json()["error"]["message"]
        log = gateway.log.read_text()
        assert "$.providers.found: no credentials of AWS are found" in log
        assert "the provider found got no credential from the gateway" in log
        checked = gateway.run("check", str(gateway.path), "--no-envoy")
    assert checked.returncode == 0
    assert "warning: $.providers.found: no credentials of AWS are found" in checked.stderr
    assert "AWS_ACCESS_KEY_ID" in checked.stderr and str(tmp_path / ".aws" / "credentials") in checked.stderr


def test_errors_of_all_kinds_have_bedrocks_shape(gateway: Gateway) -> None:
    unknown = httpx.post(f"{gateway.url}/model/gpt/converse", content=b"{nope", headers={"content-type": "application/json"}, verify=False)
    assert (unknown.status_code, unknown.json()["__type"]) == (400, "ValidationException")
    wrong = httpx.post(f"{gateway.url}/model/gpt/converse", json={"messages": [{"role": "user", "content": 5}]}, verify=False)
    assert "messages[0].content" in wrong.json()["message"]
    # One of Envoy's own.
    large = httpx.post(f"{gateway.url}/model/gpt/converse", headers={"x-large": "y" * 70_000}, json={}, verify=False)
    assert large.status_code == 431


def test_recorded_streams_pass(gateway: Gateway, amazon: Amazon) -> None:
    for exchange in STREAMS:

        async def answer(request: web.Request, stream: bytes = exchange.stream) -> web.StreamResponse:
            return web.Response(body=stream, content_type="application/vnd.amazon.eventstream")

        amazon.handler = answer
        try:
            passed = httpx.post(f"{gateway.url}/model/claude/converse-stream", json=SAYS_HELLO, verify=False)
            with openai_sdk(gateway.url, "k") as client:
                chunks = list(client.chat.completions.create(**chat("Hello", "one-then-two", stream=True)))
        finally:
            amazon.handler = amazon.converse
        assert passed.content == exchange.stream
        text = "".join(value.get("delta", {}).get("text", "") for _, value in events(exchange.stream))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    rows = gateway.ledger("model", requests=1)
    assert rows and BEDROCK.name == "bedrock"
