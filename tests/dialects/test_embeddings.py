"""Vectors and orders of documents: own words come back as they were, and others' are found in them."""

import copy
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Embedded, Embedding, Passage, Ranked, Ranking, Rerank, Vector
from extproc.errors import Reject
from extproc.usage import Usage

RECORDINGS = Path(__file__).parents[1] / "recordings" / "embeddings"
OPENAI = DIALECTS["openai"].operations["embeddings"]
RERANK = DIALECTS["openai"].operations["rerank"]


def recorded(host: str) -> list[Any]:
    """Requests to a host for vectors, and what it said."""
    pairs = [pair for file in sorted(RECORDINGS.glob("*.json")) for pair in json.loads(file.read_text())]
    return [pair for pair in pairs if host in pair["request"]["url"]]


OPENAIS = recorded("api.openai.com") + recorded("api.voyageai.com")


@pytest.mark.parametrize("pair", OPENAIS, ids=lambda pair: pair["request"]["json"]["model"])
def test_a_request_means_the_same_in_its_own_dialect(pair: Any) -> None:
    before = copy.deepcopy(pair["request"]["json"])
    question = OPENAI.read_request(pair["request"]["json"])
    assert OPENAI.write_request(question, question.model) == before
    assert question.dropped == []
    assert pair["request"]["json"] == before, "reading changed what was read"


@pytest.mark.parametrize(
    "pair", [pair for pair in OPENAIS if pair["response"]["status"] == 200], ids=lambda p: p["request"]["json"]["model"]
)
def test_an_answer_means_the_same_in_its_own_dialect(pair: Any) -> None:
    answer = OPENAI.read_answer(pair["response"]["json"])
    assert OPENAI.write_answer(answer) == pair["response"]["json"]
    assert answer.usage == Usage(input=pair["response"]["json"]["usage"]["total_tokens"])
    assert all(len(vector.numbers()) >= 128 for vector in answer.vectors)


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, max_size=20))
def test_numbers_and_base64_are_the_same_vector(numbers: list[float]) -> None:
    packed = Vector(values=numbers).base64()
    assert Vector(packed=packed).numbers() == numbers
    assert Vector(packed=packed).base64() == packed


@pytest.mark.parametrize(("packed", "why"), [("*", "base64"), (b64encode(b"abc").decode(), "multiple of item size")])
def test_what_is_no_vector(packed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Vector(packed=packed).numbers()


@pytest.mark.parametrize(("encoding", "expected"), [(None, [0.5, -1.0]), ("float", [0.5, -1.0]), ("base64", "AAAAPwAAgL8=")])
def test_another_s_vectors_come_as_the_client_asked(encoding: str | None, expected: Any) -> None:
    body = {"model": "m", "input": "x"} | ({"encoding_format": encoding} if encoding else {})
    question = OPENAI.read_request(body)
    answer = Embedded(dialect="other", model="m", vectors=[Vector(values=[0.5, -1.0])], usage=Usage(input=3), asked=question.asked)
    assert OPENAI.write_answer(answer) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": expected}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.mark.parametrize("encoding", ["binary", "", "BASE64", 7])
def test_an_encoding_that_nobody_has_is_refused(encoding: Any) -> None:
    with pytest.raises(Reject) as refused:
        OPENAI.read_request({"model": "m", "input": "x", "encoding_format": encoding})
    assert (refused.value.fault.status, refused.value.fault.param) == (400, "encoding_format")


INPUTS = st.one_of(
    st.text(), st.lists(st.text(), min_size=1), st.lists(st.integers(0, 9), min_size=1), st.lists(st.lists(st.integers(0, 9)), min_size=1)
)


@given(INPUTS)
def test_any_input_comes_back(given_input: Any) -> None:
    question = OPENAI.read_request({"model": "m", "input": given_input})
    assert OPENAI.write_request(question, "m") == {"model": "m", "input": given_input}


@pytest.mark.parametrize(("given_input", "path"), [(None, "input"), (7, "input"), ([{}], "input[0]"), (["a", 1], "input[1]")])
def test_a_wrong_input_is_named(given_input: Any, path: str) -> None:
    with pytest.raises(Reject) as caught:
        OPENAI.read_request({"model": "m", "input": given_input})
    assert (caught.value.fault.status, caught.value.fault.param) == (400, path)


def test_what_openai_cannot_say_is_named() -> None:
    question = Embedding(dialect="other", model="m", passages=[Passage(text="a")], task="query", truncate="start", kinds=["int8"])
    assert OPENAI.write_request(question, "n") == {"model": "n", "input": ["a"]}
    assert question.dropped == ["task", "truncate", "kinds"]
    question = Embedding(dialect="other", words={"kinds": "embedding_types"}, model="m", passages=[Passage(text="a")], kinds=["int8"])
    OPENAI.write_request(question, "n")
    assert question.dropped == ["embedding_types"]


@pytest.mark.parametrize("body", [{}, {"data": 1}, {"data": [1]}, {"data": [{"embedding": ["a"]}]}, {"data": [{}]}])
def test_what_is_no_answer(body: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        OPENAI.read_answer(body)


def test_vectors_are_in_the_order_of_the_inputs() -> None:
    data = [{"index": 1, "embedding": [0.5]}, {"index": 0, "embedding": [0.25]}]
    assert [one.values for one in OPENAI.read_answer({"data": data}).vectors] == [[0.25], [0.5]]
    assert [one.values for one in OPENAI.read_answer({"data": [{"embedding": [0.5]}, {"embedding": [0.25]}]}).vectors] == [[0.5], [0.25]]


ORDER = {
    "id": "r-1",
    "model": "jina-reranker-v2",
    "usage": {"total_tokens": 9},
    "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}, {"index": 0, "relevance_score": 0.1}],
}


def test_an_order_means_the_same_in_its_own_dialect() -> None:
    asked = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 2, "return_documents": True, "x_new": 1}
    question = RERANK.read_request(asked)
    assert (question.query, question.documents, question.top, question.echo) == ("q", ["a", {"text": "b"}], 2, True)
    assert RERANK.write_request(question, "m") == asked
    answer = RERANK.read_answer(ORDER)
    assert answer.usage == Usage(input=9)
    assert RERANK.write_answer(answer) == ORDER


def test_voyage_s_words() -> None:
    assert RERANK.read_request({"model": "m", "query": "q", "documents": [], "top_k": 3}).top == 3
    answer = RERANK.read_answer({"object": "list", "data": [{"index": 0, "relevance_score": 1}], "usage": {"total_tokens": 2}})
    assert (answer.results[0].score, answer.usage) == (1, Usage(input=2))


def test_documents_that_the_provider_does_not_repeat() -> None:
    question = RERANK.read_request({"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "return_documents": True})
    answer = Ranking(dialect="other", results=[Ranked(index=1, score=0.5), Ranked(index=0, score=0.25)], asked=question.asked)
    assert [ranked["document"] for ranked in RERANK.write_answer(answer)["results"]] == [{"text": "b"}, {"text": "a"}]


def test_what_is_no_order() -> None:
    other = Rerank(dialect="other", model="m", query="q", documents=["a"], extra={"max_tokens_per_doc": 10})
    assert RERANK.write_request(other, "n") == {"model": "n", "query": "q", "documents": ["a"]}
    assert other.dropped == ["max_tokens_per_doc"]
    for body in ({}, {"results": [{"index": 0}]}, {"results": [{"relevance_score": 1}]}, {"results": "a"}):
        with pytest.raises(ValueError, match="expected"):
            RERANK.read_answer(body)


def test_no_inputs_are_no_pictures() -> None:
    embeddings = DIALECTS["openai"].operations["embeddings"]
    question = embeddings.read_request({"model": "m", "input": []})
    assert DIALECTS["cohere"].operations["embeddings"].write_request(question, "m")["input_type"] == "search_document"
