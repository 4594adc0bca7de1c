"""Attempts at vectors and orders of documents: in the forms that each provider of the catalogue takes."""

from typing import Any

import msgspec
import pytest

from extproc import Reject
from extproc.amount import Amount
from extproc.answering import WholeTranslated, WholeUntouched
from extproc.attempt import Attempt
from extproc.call import Call
from extproc.config.catalogue import catalogue
from extproc.config.model import Paths, Provider
from extproc.endpoints import endpoint
from extproc.upstream import compile_upstream
from extproc.usage import Usage
from extproc.values import Target
from tests.scene import head

JSON_HEAD = head()
MOST = 1 << 26


def provider(name: str) -> Provider:
    """An entry of the catalogue as somebody would have it who names it alone."""
    known = catalogue()[name]
    url = known.base_url
    for setting in known.settings:
        url = url.replace(f"{{{setting}}}", setting)
    paths = msgspec.convert({key: value for key, value in msgspec.to_builtins(known.paths).items() if value}, Paths)
    return Provider(dialect=known.dialect, base_url=url, paths=paths, quirks=known.quirks)


def attempt(path: str, name: str, target: str, asked: str = "m") -> Attempt:
    meant = endpoint("POST", path, JSON_HEAD)
    call = Call(
        id="r-1",
        generation="g",
        dialect=meant.dialect,
        kind=meant.kind,
        path=path,
        headers={},
        targets=(Target(name, target),),
        model=meant.model or asked,
        named=bool(meant.model),
        rest=meant.rest,
    )
    return Attempt(call, call.targets[0], compile_upstream(name, provider(name)), MOST)


def asked(one: Attempt, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Where the provider is asked, and what."""
    encoded = msgspec.json.encode(body)
    outgoing = one.outgoing(JSON_HEAD, encoded, ruled=())
    return outgoing.headers[":path"], msgspec.json.decode(encoded if outgoing.body is None else outgoing.body)


OPENAI = {"model": "m", "input": ["a"]}
VERTEX = "/v1/projects/project/locations/region/publishers/google/models"


@pytest.mark.parametrize(
    ("name", "target", "path", "body"),
    [
        (
            "cohere",
            "embed-v4.0",
            "/v2/embed",
            {"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]},
        ),
        (
            "google",
            "gemini-embedding-001",
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            {"requests": [{"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}}]},
        ),
        ("vertex", "text-embedding-005", f"{VERTEX}/text-embedding-005:predict", {"instances": [{"content": "a"}]}),
        ("vertex", "gemini-embedding-2", f"{VERTEX}/gemini-embedding-2:embedContent", {"content": {"parts": [{"text": "a"}]}}),
        ("ollama", "nomic-embed-text", "/api/embed", {"model": "nomic-embed-text", "input": ["a"]}),
        ("bedrock", "amazon.titan-embed-text-v2:0", "/model/amazon.titan-embed-text-v2%3A0/invoke", {"inputText": "a"}),
        ("bedrock", "cohere.embed-english-v3", "/model/cohere.embed-english-v3/invoke", {"texts": ["a"], "input_type": "search_document"}),
        ("mistral", "mistral-embed", "/v1/embeddings", {"model": "mistral-embed", "input": ["a"]}),
        ("tei", "bge", "/v1/embeddings", {"model": "bge", "input": ["a"]}),
    ],
)
def test_where_providers_are_asked_for_vectors(name: str, target: str, path: str, body: dict[str, Any]) -> None:
    assert asked(attempt("/v1/embeddings", name, target), OPENAI) == (path, body)


@pytest.mark.parametrize(
    ("path", "name", "target", "expected"),
    [
        ("/v1/rerank", "cohere", "rerank-v3.5", ("/v2/rerank", {"model": "rerank-v3.5", "query": "q", "documents": ["a"], "top_n": 1})),
        ("/v2/rerank", "voyage", "rerank-2", ("/v1/rerank", {"model": "rerank-2", "query": "q", "documents": ["a"], "top_k": 1})),
        ("/v1/rerank", "voyage", "rerank-2", ("/v1/rerank", {"model": "rerank-2", "query": "q", "documents": ["a"], "top_k": 1})),
        ("/rerank", "vllm", "bge", ("/v1/rerank", {"model": "bge", "query": "q", "documents": ["a"], "top_n": 1})),
        ("/v2/rerank", "jina", "jina-reranker", ("/v1/rerank", {"model": "jina-reranker", "query": "q", "documents": ["a"], "top_n": 1})),
        ("/v2/rerank", "tei", "bge", ("/rerank", {"query": "q", "texts": ["a"]})),
        (
            "/v2/rerank",
            "bedrock",
            "cohere.rerank-v3-5:0",
            ("/model/cohere.rerank-v3-5%3A0/invoke", {"query": "q", "documents": ["a"], "top_n": 1, "api_version": 2}),
        ),
    ],
)
def test_where_providers_are_asked_for_an_order(path: str, name: str, target: str, expected: Any) -> None:
    assert asked(attempt(path, name, target), {"model": "m", "query": "q", "documents": ["a"], "top_n": 1}) == expected


def test_each_provider_s_own_words_for_the_same() -> None:
    body = {
        "model": "m",
        "texts": ["a"],
        "input_type": "search_query",
        "embedding_types": ["int8"],
        "output_dimension": 256,
        "truncate": "NONE",
    }
    said: dict[str, Any] = {}
    for name in ("voyage", "jina", "nvidia", "mistral", "openai"):
        one = attempt("/v2/embed", name, "n")
        said[name] = {**asked(one, body)[1], "dropped": one.dropped}
    usual = {"model": "n", "input": ["a"]}
    assert said == {
        "voyage": {**usual, "output_dimension": 256, "input_type": "query", "output_dtype": "int8", "truncation": False, "dropped": []},
        "jina": {**usual, "dimensions": 256, "task": "retrieval.query", "embedding_type": "int8", "truncate": False, "dropped": []},
        "nvidia": {**usual, "dimensions": 256, "input_type": "query", "truncate": "NONE", "dropped": ["embedding_types"]},
        "mistral": {**usual, "output_dimension": 256, "output_dtype": "int8", "dropped": ["input_type", "truncate"]},
        "openai": {**usual, "dimensions": 256, "dropped": ["input_type", "truncate", "embedding_types"]},
    }


@pytest.mark.parametrize("name", ["voyage", "mistral"])
def test_openai_s_word_for_the_size_is_put_into_the_provider_s(name: str) -> None:
    body = b'{"model": "m", "input": "a",  "dimensions": 256}'
    outgoing = attempt("/v1/embeddings", name, "m").outgoing(JSON_HEAD, body, ruled=())
    assert outgoing.body == b'{"model": "m", "input": "a",  "output_dimension": 256}'


def test_what_no_form_stands_in_the_way_of_passes_untouched() -> None:
    batch = {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}]}
    same = attempt("/v1beta/models/m:batchEmbedContents", "google", "m")
    assert same.same and same.outgoing(JSON_HEAD, msgspec.json.encode(batch), ruled=()).body is None
    one = attempt("/v1beta/models/gemini-embedding-2:embedContent", "vertex", "gemini-embedding-2")
    assert one.same and asked(one, {"content": {}})[0] == f"{VERTEX}/gemini-embedding-2:embedContent"


def test_a_batch_names_the_model_inside() -> None:
    request = {"content": {"role": "user", "parts": [{"text": "a"}]}, "taskType": "NEW", "x": 1}
    batch = {"requests": [{"model": "models/m", **request}], "y": 2}
    path, body = asked(attempt("/v1beta/models/m:batchEmbedContents", "google", "n"), batch)
    assert path == "/v1beta/models/n:batchEmbedContents"
    assert body == {"requests": [{"model": "models/n", **request}], "y": 2}


def test_a_batch_is_a_prediction_with_vertex() -> None:
    part = {"parts": [{"text": "a"}]}
    batch = {"requests": [{"model": "models/m", "content": part, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8, "title": "t"}]}
    one = attempt("/v1beta/models/m:batchEmbedContents", "vertex", "text-embedding-005")
    assert not one.same
    assert asked(one, batch) == (
        f"{VERTEX}/text-embedding-005:predict",
        {"instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY", "title": "t"}], "parameters": {"outputDimensionality": 8}},
    )
    answering = one.answering(200, {"content-type": "application/json"})
    told = b'{"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 3}}}]}'
    (body,) = [*answering.feed(told, False), *answering.feed(b"", True)]
    assert msgspec.json.decode(body)["embeddings"][0]["values"] == [0.5]
    assert msgspec.json.decode(body)["usageMetadata"] == {"promptTokenCount": 3, "totalTokenCount": 3}
    assert answering.usage == Usage(input=3)


def test_several_texts_for_a_model_that_takes_one() -> None:
    one = attempt("/v1/embeddings", "bedrock", "amazon.titan-embed-text-v2:0")
    with pytest.raises(Reject, match="one input a request, and the request has 2") as caught:
        asked(one, {"model": "m", "input": ["a", "b"]})
    assert (caught.value.fault.status, caught.value.fault.param) == (400, "input")


@pytest.mark.parametrize(("path", "way"), [("/v1/embeddings", WholeTranslated), ("/model/m/invoke", WholeUntouched)])
def test_what_only_the_head_counts(path: str, way: type) -> None:
    answering = attempt(path, "bedrock", "cohere.embed-english-v3").answering(
        200, {"content-type": "application/json", "x-amzn-bedrock-input-token-count": "4"}
    )
    assert type(answering) is way
    out = b"".join([*answering.feed(b'{"embeddings": [[0.5]], "id": "e-1", "texts": ["a"]}', False), *answering.feed(b"", True)])
    assert answering.usage == Usage(input=4)
    if way is WholeTranslated:
        assert msgspec.json.decode(out)["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


@pytest.mark.parametrize(("path", "way"), [("/v1/rerank", WholeTranslated), ("/v2/rerank", WholeUntouched)])
def test_searches_are_counted_where_there_are_no_tokens(path: str, way: type) -> None:
    answering = attempt(path, "cohere", "m").answering(200, {"content-type": "application/json"})
    assert type(answering) is way
    body = b'{"id": "r-1", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}}'
    assert b"".join([*answering.feed(body, False), *answering.feed(b"", True)])
    assert (answering.amount, answering.usage) == (Amount("searches", 1), None)


def test_a_head_that_counts_beside_an_answer_that_counts_nothing_itself() -> None:
    """Counting tokens uses none."""
    one = attempt("/v1/messages/count_tokens", "bedrock", "anthropic.claude-sonnet-4")
    answering = one.answering(200, {"content-type": "application/json", "x-amzn-bedrock-input-token-count": "4"})
    out = b"".join([*answering.feed(b'{"inputTokens": 4}', False), *answering.feed(b"", True)])
    assert msgspec.json.decode(out) == {"input_tokens": 4}
    assert answering.usage is None


def test_what_is_bulky_is_told_aside_in_the_same_form() -> None:
    one = attempt("/v1/embeddings", "bedrock", "cohere.embed-english-v3")
    head = {"content-type": "application/json", "x-amzn-bedrock-input-token-count": "4"}
    answering, aside = one.answering(200, head), one.answering(200, head)
    body = msgspec.json.encode({"id": "e-1", "texts": [], "embeddings": [[0.5] * 1024] * 400})
    assert isinstance(aside, WholeTranslated)
    job = aside.job(body)
    assert job is not None
    aside.take(job[0].work(job[1]))
    assert b"".join(aside.feed(body, True)) == b"".join(answering.feed(body, True))
    assert aside.usage == answering.usage == Usage(input=4)


@pytest.mark.parametrize("told", ["", "x", "-1", "٤"])
def test_a_head_that_counts_nothing(told: str) -> None:
    head = {"content-type": "application/json", "x-amzn-bedrock-input-token-count": told}
    assert attempt("/model/m/invoke", "bedrock", "m").answering(200, head).counted == Usage()


def answered(path: str, name: str, request: dict[str, Any], answer: Any) -> tuple[int, dict[str, Any]]:
    """Status and body that the client gets."""
    one = attempt(path, name, "m")
    one.outgoing(JSON_HEAD, msgspec.json.encode(request), ruled=())
    answering = one.answering(200, {"content-type": "application/json"})
    body = b"".join([*answering.feed(msgspec.json.encode(answer), False), *answering.feed(b"", True)])
    return answering.status, msgspec.json.decode(body)


TEXTS = {"model": "m", "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"]}


def _data(*indices: int | None) -> dict[str, Any]:
    """Vectors with these indices, each of as many halves as its place."""
    return {"data": [{"embedding": [0.5] * (i + 1), **({} if index is None else {"index": index})} for i, index in enumerate(indices)]}


@pytest.mark.parametrize(
    ("answer", "sizes"),
    [
        (_data(0, 1), [1, 2]),
        (_data(1, 0), [2, 1]),
        (_data(None, None), [1, 2]),
        (_data(None, 1), [1, 2]),  # zeros are left out by some
        (_data(0, 0), None),
        (_data(0, 5), None),
        (_data(-1, 0), None),
        (_data(1, None), None),
        (_data(0), None),
        (_data(0, 1, 2), None),
        ({"data": []}, None),
    ],
)
def test_vectors_are_told_in_the_order_of_the_inputs_or_not_at_all(
    answer: dict[str, Any], sizes: list[int] | None, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = answered("/v2/embed", "openai", TEXTS, answer)
    if sizes is None:
        assert (status, "r-1" in caplog.text) == (502, True)
    else:
        assert (status, [len(one) for one in body["embeddings"]["float"]]) == (200, sizes)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cohere", {"id": "e-1", "embeddings": {"float": [[0.5]]}}),
        ("cohere", {"id": "e-1", "embeddings": {"int8": [[1], [2]]}}),
        ("cohere", {"id": "e-1", "embeddings": {"float": [[0.5], [0.5]], "int8": [[1]]}}),
        ("cohere", {"id": "e-1", "embeddings": {}}),
        ("google", {"embeddings": [{"values": [0.5]}]}),
        ("ollama", {"model": "m", "embeddings": []}),
    ],
)
def test_other_vectors_than_were_asked_for_are_no_answer(name: str, answer: dict[str, Any]) -> None:
    status, body = answered("/v1/embeddings", name, {"model": "m", "input": ["a", "b"]}, answer)
    assert (status, body["error"]["code"]) == (502, "bad_provider_answer")


def _places(*indices: int) -> list[dict[str, Any]]:
    return [{"index": index, "relevance_score": 0.5 + index / 10} for index in indices]


@pytest.mark.parametrize(
    ("top", "indices", "told"),
    [
        (None, (2, 1, 0), [2, 1, 0]),
        (None, (0, 2, 1), [2, 1, 0]),
        (2, (0, 1, 2), [2, 1]),
        (9, (2, 1, 0), [2, 1, 0]),
        (2, (2, 1), [2, 1]),
        (2, (2,), None),
        (None, (2, 1), None),
        (None, (0, 1, 1), None),
        (None, (0, 1, 3), None),
        (None, (0, 1, -1), None),
        (1, (), None),
    ],
)
def test_places_are_told_best_first_and_each_once(top: int | None, indices: tuple[int, ...], told: list[int] | None) -> None:
    request = {"model": "m", "query": "q", "documents": ["a", "b", "c"], **({} if top is None else {"top_n": top})}
    status, body = answered("/v2/rerank", "jina", request, {"results": _places(*indices)})
    if told is None:
        assert status == 502
    else:
        assert (status, [one["index"] for one in body["results"]]) == (200, told)
