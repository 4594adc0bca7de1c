"""Gemini in front of the gateway, and behind it: Google's SDK, and what the recorded providers of Google said, through a real Envoy."""

import hashlib
from collections.abc import Iterator

import httpx
import pytest
from google import genai
from google.genai import types

from tests.dialects.traffic import ANSWERS, STREAMS, Exchange, data
from tests.e2e.books import collected
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.replay import play
from tests.e2e.upstream import Scripted

MY_ANSWERS = [exchange for exchange in ANSWERS if exchange.dialect == "gemini"]
MY_STREAMS = [exchange for exchange in STREAMS if exchange.dialect == "gemini"]
KEY = "hg-gemini-caller"


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """Google's, to be told what to say."""
    with Scripted() as google:
        yield google


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted) -> Iterator[Gateway]:
    config = {
        "providers": {
            "g": {"dialect": "gemini", "base_url": f"{provider.url}/v1beta", "key": "AIza-g"},
            "demo": {"dialect": "openai", "base_url": "demo:"},
        },
        "models": [
            {"name": "to-g", "targets": ["g/some-gemini"]},
            {"name": "g-then-demo", "targets": ["g/some-gemini", "demo/demo"]},
            {"name": "demo", "targets": ["demo/demo"]},
        ],
        "filters": [
            {"meter": {}},
            {"auth": {"keys": [{"name": "caller", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}]}},
            {"route": {}},
        ],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def google_sdk(gateway: Gateway) -> genai.Client:
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=gateway.url))


def _text(exchange: Exchange) -> str:
    chunks = data(exchange.text.encode()) if exchange.text else [exchange.answer]
    parts = [part for chunk in chunks for one in chunk.get("candidates", ()) for part in one.get("content", {}).get("parts", ())]
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


@pytest.mark.parametrize("model", ["to-g", "g-then-demo"])
def test_the_same_dialect_passes_untouched(gateway: Gateway, provider: Scripted, model: str) -> None:
    for exchange in (*MY_ANSWERS[::8], *MY_STREAMS):
        provider.handler = play(exchange)
        if exchange.text:
            assert _google(gateway, model, "streamGenerateContent?alt=sse").text == exchange.text
        else:
            assert _google(gateway, model, "generateContent").json() == exchange.answer


def _google(gateway: Gateway, model: str, method: str) -> httpx.Response:
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    asked = httpx.post(f"{gateway.url}/v1beta/models/{model}:{method}", json=body, headers={"x-goog-api-key": KEY}, verify=False)
    assert asked.status_code == 200, asked.text
    return asked


def test_googles_sdk_reaches_another_dialect(gateway: Gateway) -> None:
    client = google_sdk(gateway)
    answer = client.models.generate_content(model="demo", contents="Say hello")
    assert answer.text and answer.usage_metadata and answer.usage_metadata.prompt_token_count
    chunks = list(client.models.generate_content_stream(model="demo", contents="Say hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text
    assert chunks[-1].candidates and chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert [model.name for model in client.models.list()] == ["models/to-g", "models/g-then-demo", "models/demo"]
    assert client.models.get(model="demo").name == "models/demo"


def test_errors_are_googles(gateway: Gateway) -> None:
    client = google_sdk(gateway)
    with pytest.raises(genai.errors.ClientError) as raised:
        client.models.generate_content(model="nobody", contents="Hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    refused = httpx.post(f"{gateway.url}/v1beta/models/demo:generateContent?key=wrong", json={"contents": []}, verify=False)
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    # Envoy's own, with its details in a list.
    large = httpx.post(f"{gateway.url}/v1beta/models/demo:generateContent", headers={"x-goog-api-key": "x" * 200_000}, verify=False)
    assert large.status_code == 431


def test_a_key_in_the_query_opens_and_is_written_nowhere(gateway: Gateway, provider: Scripted) -> None:
    provider.handler = play(MY_ANSWERS[0])
    provider.paths.clear()
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}
    for model in ("to-g", "g-then-demo"):
        asked = httpx.post(f"{gateway.url}/v1beta/models/{model}:generateContent?key={KEY}&x=1", json=body, verify=False)
        assert asked.status_code == 200, asked.text
        collected(gateway, [asked.headers["x-request-id"]])
    assert provider.paths == ["/v1beta/models/some-gemini:generateContent?x=1"] * 2
    assert all(KEY not in str(headers) for headers in provider.headers)
    written = [path for path in gateway.folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert written == []


def test_an_array_for_who_does_not_ask_for_events(gateway: Gateway, provider: Scripted) -> None:
    provider.handler = play(MY_STREAMS[-1])
    for model in ("to-g", "g-then-demo", "demo"):
        answer = _google(gateway, model, "streamGenerateContent")
        assert answer.headers["content-type"].startswith("application/json")
        elements = answer.json()
        assert elements[-1]["candidates"][0]["finishReason"] == "STOP"
        said = "".join(part.get("text", "") for one in elements for c in one.get("candidates", ()) for part in c["content"]["parts"])
        if model != "demo":
            assert said == _text(MY_STREAMS[-1])
