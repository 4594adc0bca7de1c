"""Vectors and orders of documents through a real gateway: each official SDK in front, and what providers of each dialect said behind it."""

import json
import struct
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import cohere
import httpx
import openai
import pytest
from aiohttp import web
from google import genai
from google.genai import types
from mistralai.client import Mistral

from tests.dialects.vectors import ANSWERED, Recorded
from tests.e2e.books import collected, entry
from tests.e2e.clients import cohere_sdk, ollama_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted

TEXT = "Hello, world!"


def recorded(name: str) -> Recorded:
    return next(one for one in ANSWERED if one.id == f"{name}-0")


class Played(NamedTuple):
    """What a provider is asked where, and what it says."""

    path: str
    answer: dict[str, Any]
    headers: dict[str, str]
    numbers: list[float]
    tokens: int


def _packed(text: str) -> list[float]:
    raw = b64decode(text)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


_OLLAMA = {"model": "nomic-embed-text", "embeddings": [[0.25, -0.5]], "total_duration": 1, "load_duration": 1, "prompt_eval_count": 3}
_PLAIN = {
    "object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}  # fmt: skip
"""OpenAI's numbers, which have no id: Mistral's SDK wants one."""
_SAID = {
    "openai": recorded("TestOpenAI.test_query"),
    "voyage": recorded("TestVoyageAI.test_query_voyage_4"),
    "cohere": recorded("TestCohere.test_query"),
    "google": recorded("test_google_task_prefix[task-ignored-on-other-model]"),
    "vertex": recorded("TestGoogle.test_vertex_query"),
    "titan": recorded("TestBedrock.test_titan_v2_minimal"),
    "nova": recorded("TestBedrock.test_nova_with_dimensions"),
    "bedrock-cohere": recorded("TestBedrock.test_cohere_v4_minimal"),
}
PLAYED = {
    "openai": Played("/openai/v1/embeddings", _SAID["openai"].answer, {}, _packed(_SAID["openai"].answer["data"][0]["embedding"]), 4),
    "voyage": Played("/voyage/v1/embeddings", _SAID["voyage"].answer, {}, _packed(_SAID["voyage"].answer["data"][0]["embedding"]), 3),
    "cohere": Played("/cohere/v2/embed", _SAID["cohere"].answer, {}, _SAID["cohere"].answer["embeddings"]["float"][0], 4),
    "google": Played(
        "/google/v1beta/models/google-model:batchEmbedContents",
        _SAID["google"].answer,
        {},
        _SAID["google"].answer["embeddings"][0]["values"],
        1,
    ),
    "vertex": Played(
        "/vertex/v1/projects/p/locations/l/publishers/google/models/vertex-model:predict",
        _SAID["vertex"].answer,
        {},
        _SAID["vertex"].answer["predictions"][0]["embeddings"]["values"],
        4,
    ),
    "titan": Played(
        "/aws/model/amazon.titan-embed-text-v2%3A0/invoke",
        _SAID["titan"].answer,
        _SAID["titan"].headers,
        _SAID["titan"].answer["embedding"],
        5,
    ),
    "nova": Played(
        "/aws/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke",
        _SAID["nova"].answer,
        _SAID["nova"].headers,
        _SAID["nova"].answer["embeddings"][0]["embedding"],
        18,
    ),
    "bedrock-cohere": Played(
        "/aws/model/cohere.embed-v4%3A0/invoke",
        _SAID["bedrock-cohere"].answer,
        _SAID["bedrock-cohere"].headers,
        _SAID["bedrock-cohere"].answer["embeddings"]["float"][0],
        4,
    ),
    "ollama": Played("/ollama/api/embed", _OLLAMA, {}, [0.25, -0.5], 3),
    "plain": Played("/plain/v1/embeddings", _PLAIN, {}, [0.25, -0.5], 3),
}
TARGETS = {
    "titan": "aws/amazon.titan-embed-text-v2:0",
    "nova": "aws/amazon.nova-2-multimodal-embeddings-v1:0",
    "bedrock-cohere": "aws/cohere.embed-v4:0",
}
ORDER = [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}]
_RANKED: dict[str, Any] = {
    "/cohere/v2/rerank": {"id": "r-1", "results": ORDER, "meta": {"billed_units": {"search_units": 1}}},
    "/voyage/v1/rerank": {"object": "list", "data": ORDER, "model": "voyage-model", "usage": {"total_tokens": 12}},
    "/openai/v1/rerank": {"id": "r-1", "model": "openai-model", "results": ORDER, "usage": {"total_tokens": 12}},
    "/tei/rerank": [{"index": 1, "score": 0.75}, {"index": 0, "score": 0.25}],
    "/aws/model/cohere.rerank-v3-5%3A0/invoke": {"results": ORDER},
}


async def _provider(request: web.Request) -> web.StreamResponse:
    """All providers at once, told apart by their paths."""
    if (ranked := _RANKED.get(request.rel_url.raw_path)) is not None:
        return web.json_response(ranked)
    found = [one for one in PLAYED.values() if one.path == request.rel_url.raw_path]
    if not found:
        return web.json_response({"error": {"message": f"no path {request.rel_url.raw_path}"}}, status=404)
    headers = {name: value for name, value in found[0].headers.items() if name != "content-type"}
    return web.json_response(found[0].answer, headers=headers)


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with Scripted(_provider) as scripted:
        yield scripted


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted) -> Iterator[Gateway]:
    vertex = f"{provider.url}/vertex/v1/projects/p/locations/l/publishers/google"
    config = {
        "providers": {
            "openai": {"dialect": "openai", "base_url": f"{provider.url}/openai/v1", "key": "k"},
            "plain": {"dialect": "openai", "base_url": f"{provider.url}/plain/v1", "key": "k"},
            "voyage": {"catalogue": "voyage", "base_url": f"{provider.url}/voyage/v1", "key": "k"},
            "cohere": {"catalogue": "cohere", "base_url": f"{provider.url}/cohere", "key": "k"},
            "google": {"catalogue": "google", "base_url": f"{provider.url}/google/v1beta", "key": "k"},
            "vertex": {
                "dialect": "gemini",
                "base_url": vertex,
                "key": "k",
                "auth": "google",
                "quirks": {"forms": {"embeddings": {"gemini-embedding-2*": "embed_content", "*": "predict"}}},
            },
            "aws": {"dialect": "bedrock", "base_url": f"{provider.url}/aws", "key": "k"},
            "ollama": {"dialect": "ollama", "base_url": f"{provider.url}/ollama"},
            "tei": {"catalogue": "tei", "base_url": f"{provider.url}/tei"},
        },
        "models": [
            *({"name": f"to-{name}", "targets": [TARGETS.get(name, f"{name}/{name}-model")]} for name in PLAYED),
            {"name": "to-tei", "targets": ["tei/tei-model"]},
            {"name": "ranked-by-aws", "targets": ["aws/cohere.rerank-v3-5:0"]},
            {"name": "first-fails", "targets": ["openai/openai-model", "cohere/cohere-model"]},
        ],
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


# Each asks for the vector of one text.


def _openai(gateway: Gateway, model: str) -> list[float]:
    with openai_sdk(gateway.url) as client:  # it asks for base64, and unpacks that itself
        answer = client.embeddings.create(model=model, input=[TEXT])
        assert answer.model
        return answer.data[0].embedding


def _openai_floats(gateway: Gateway, model: str) -> list[float]:
    with openai_sdk(gateway.url) as client:
        return client.embeddings.create(model=model, input=TEXT, encoding_format="float").data[0].embedding


def _cohere(gateway: Gateway, model: str) -> list[float]:
    with cohere_sdk(gateway.url) as client:
        answer = client.embed(model=model, texts=[TEXT], input_type="search_query", embedding_types=["float"])
        assert answer.id and answer.texts == [TEXT]
        return (answer.embeddings.float_ or [[]])[0]


def _cohere_v1(gateway: Gateway, model: str) -> list[float]:
    with httpx.Client(verify=False) as http:
        client = cohere.Client("none", base_url=gateway.url, httpx_client=http, max_retries=0)
        answer: Any = client.embed(model=model, texts=[TEXT], input_type="search_query", batching=False)
        assert answer.response_type == "embeddings_floats"
        vector: list[float] = answer.embeddings[0]
        return vector


def _google(gateway: Gateway, model: str) -> list[float]:
    with closing(genai.Client(api_key="none", http_options=types.HttpOptions(base_url=gateway.url))) as client:
        answer = client.models.embed_content(model=model, contents=TEXT, config={"task_type": "RETRIEVAL_QUERY"})
        return (answer.embeddings or [types.ContentEmbedding()])[0].values or []


def _ollama(gateway: Gateway, model: str) -> list[float]:
    with ollama_sdk(gateway.url) as client:
        return list(client.embed(model, TEXT).embeddings[0])


def _ollama_prompt(gateway: Gateway, model: str) -> list[float]:
    with ollama_sdk(gateway.url) as client:
        return list(client.embeddings(model, TEXT).embedding)


def _mistral(gateway: Gateway, model: str) -> list[float]:
    http: Any = httpx.Client(verify=False, follow_redirects=True)  # its protocol is older than httpx's types
    with http, Mistral(api_key="none", server_url=gateway.url, client=http) as client:
        return client.embeddings.create(model=model, inputs=[TEXT], encoding_format="float").data[0].embedding or []


SDKS: list[Callable[[Gateway, str], list[float]]] = [
    _openai,
    _openai_floats,
    _cohere,
    _cohere_v1,
    _google,
    _ollama,
    _ollama_prompt,
    _mistral,
]
UNTOUCHED = {("openai", _openai_floats), ("openai", _mistral), ("voyage", _openai_floats), ("voyage", _mistral)}
"""Here the recorded answer, which passes as it is, is in base64, and the client had asked for numbers."""


@pytest.mark.parametrize("name", PLAYED)
def test_every_sdk_gets_every_provider_s_vector(gateway: Gateway, provider: Scripted, name: str) -> None:
    played = PLAYED[name]
    for ask in SDKS:
        if (name, ask) in UNTOUCHED:
            continue
        if (name, ask) in {("ollama", _ollama_prompt), ("cohere", _cohere_v1)}:
            continue  # a provider's own older form is asked for there: see below
        asked = len(provider.paths)
        assert ask(gateway, f"to-{name}") == pytest.approx(played.numbers, rel=1e-6, abs=1e-9), ask.__name__
        assert [httpx.URL(path).raw_path.decode() for path in provider.paths[asked:]] == [played.path]
        assert TEXT in provider.bodies[-1].decode()


@pytest.mark.parametrize("name", PLAYED)
def test_the_ledger_has_the_tokens(gateway: Gateway, name: str) -> None:
    asked = [
        ("/v1/embeddings", {"model": f"to-{name}", "input": TEXT}),
        ("/v2/embed", {"model": f"to-{name}", "texts": [TEXT], "input_type": "search_query", "embedding_types": ["float"]}),
        ("/api/embed", {"model": f"to-{name}", "input": TEXT}),
        (f"/v1beta/models/to-{name}:embedContent", {"content": {"parts": [{"text": TEXT}]}}),
    ]
    answers = {
        path: httpx.post(f"{gateway.url}{path}", json=body, verify=False)
        for path, body in asked
        if not (name == "google" and "embedC" in path)
    }
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    booked = collected(gateway, [answer.headers["x-request-id"] for answer in answers.values()])
    for path, answer in answers.items():
        one = booked[answer.headers["x-request-id"]]
        assert (one["input"], one["output"], one["metered"], one["outcome"]) == (PLAYED[name].tokens, 0, 1, "complete"), path


def test_what_a_provider_is_not_told_is_named(gateway: Gateway) -> None:
    body = {"model": "to-ollama", "texts": [TEXT], "input_type": "classification", "embedding_types": ["int8"]}
    answer = httpx.post(f"{gateway.url}/v2/embed", json=body, verify=False)
    assert answer.headers["x-headgate-dropped"] == "input_type, embedding_types"
    assert answer.json()["embeddings"] == {"float": [[0.25, -0.5]]}
    strict = httpx.post(f"{gateway.url}/v2/embed", json=body, headers={"x-headgate-strict": "true"}, verify=False)
    assert strict.status_code == 400 and "input_type, embedding_types" in strict.json()["message"]


def test_several_texts_for_one_that_takes_one(gateway: Gateway, provider: Scripted) -> None:
    asked = len(provider.paths)
    with openai_sdk(gateway.url) as client, pytest.raises(openai.BadRequestError, match="one input a request") as caught:
        client.embeddings.create(model="to-titan", input=["a", "b"])
    assert caught.value.param == "input"
    assert provider.paths[asked:] == []


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        ("/api/embeddings", {"model": "to-ollama", "prompt": TEXT}, "/ollama/api/embeddings"),
        ("/v1/embed", {"model": "to-cohere", "texts": [TEXT]}, "/cohere/v1/embed"),
    ],
)
def test_an_older_form_is_asked_for_where_it_is_spoken(
    gateway: Gateway, provider: Scripted, path: str, body: dict[str, Any], asked: str
) -> None:
    answer = httpx.post(f"{gateway.url}{path}", json=body, verify=False)
    assert provider.paths[-1] == asked
    assert json.loads(provider.bodies[-1]) == {**body, "model": body["model"].removeprefix("to-") + "-model"}
    assert answer.json() == {"error": {"message": f"no path {asked}"}}  # what it says is passed on


def test_amazon_s_own_words_reach_others(gateway: Gateway) -> None:
    answer = httpx.post(f"{gateway.url}/model/to-cohere/invoke", json={"inputText": TEXT, "dimensions": 256}, verify=False)
    assert answer.json()["embedding"] == PLAYED["cohere"].numbers
    assert answer.json()["inputTextTokenCount"] == 4
    other = httpx.post(f"{gateway.url}/model/to-cohere/invoke", json={"messages": []}, verify=False)
    assert other.status_code == 400 and "converse" in other.json()["message"]


# Orders of documents.

DOCUMENTS = ["Bern lies on the Aare.", "Zurich lies on the Limmat."]


@pytest.mark.parametrize(
    ("model", "path", "told"),
    [
        ("to-cohere", "/cohere/v2/rerank", {"query": "q", "documents": DOCUMENTS, "top_n": 1, "model": "cohere-model"}),
        ("to-voyage", "/voyage/v1/rerank", {"query": "q", "documents": DOCUMENTS, "top_k": 1, "model": "voyage-model"}),
        ("to-openai", "/openai/v1/rerank", {"query": "q", "documents": DOCUMENTS, "top_n": 1, "model": "openai-model"}),
        ("to-tei", "/tei/rerank", {"query": "q", "texts": DOCUMENTS}),
        (
            "ranked-by-aws",
            "/aws/model/cohere.rerank-v3-5%3A0/invoke",
            {"query": "q", "documents": DOCUMENTS, "top_n": 1, "api_version": 2},
        ),
    ],
)
def test_cohere_s_sdk_gets_every_provider_s_order(
    gateway: Gateway, provider: Scripted, model: str, path: str, told: dict[str, Any]
) -> None:
    with cohere_sdk(gateway.url) as client:
        ranked = client.rerank(model=model, query="q", documents=DOCUMENTS, top_n=1).results
    assert [(one.index, one.relevance_score) for one in ranked][:1] == [(1, 0.75)]
    assert len(ranked) == (2 if model == "to-cohere" else 1)  # the one here ignores `top_n`, and is passed on as it is
    assert httpx.URL(provider.paths[-1]).raw_path.decode() == path
    assert json.loads(provider.bodies[-1]) == told


def test_cohere_s_older_client_and_voyage_s_are_at_home(gateway: Gateway) -> None:
    with httpx.Client(verify=False) as http:
        client = cohere.Client("none", base_url=gateway.url, httpx_client=http, max_retries=0)
        (best,) = client.rerank(model="to-cohere", query="q", documents=DOCUMENTS, top_n=1, return_documents=True).results
        assert best.index == 1 and best.document is not None and best.document.text == DOCUMENTS[1]
    body = {"model": "to-cohere", "query": "q", "documents": DOCUMENTS, "top_k": None, "truncation": True}
    assert httpx.post(f"{gateway.url}/v1/rerank", json=body, verify=False).json()["data"] == ORDER
    scores = {"model": "to-cohere", "text_1": "q", "text_2": DOCUMENTS}
    assert [one["score"] for one in httpx.post(f"{gateway.url}/score", json=scores, verify=False).json()["data"]] == [0.25, 0.75]


def test_tokens_of_an_order_are_booked(gateway: Gateway) -> None:
    body = {"model": "to-voyage", "query": "q", "documents": DOCUMENTS}
    answer = httpx.post(f"{gateway.url}/v2/rerank", json=body, verify=False)
    assert answer.json()["meta"]["billed_units"] == {"input_tokens": 12}
    booked = entry(gateway, answer.headers["x-request-id"])
    assert (booked["input"], booked["path"], booked["outcome"]) == (12, "/v2/rerank", "complete")


def test_the_second_target_makes_the_vector(gateway: Gateway, provider: Scripted) -> None:
    async def busy(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/openai"):
            return web.json_response({"error": {"message": "busy"}}, status=503)
        return await _provider(request)

    provider.handler = busy
    try:
        assert _openai(gateway, "first-fails") == pytest.approx(PLAYED["cohere"].numbers, rel=1e-6, abs=1e-9)
    finally:
        provider.handler = _provider
    assert provider.paths[-2:] == ["/openai/v1/embeddings", "/cohere/v2/embed"]
