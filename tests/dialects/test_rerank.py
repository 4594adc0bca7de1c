"""Orders of documents between all forms, and what is none."""

import contextlib
import copy
from typing import Any

import msgspec
import pytest
from cohere.types import RerankResponse
from cohere.v2.types import V2RerankResponse
from hypothesis import given
from hypothesis import strategies as st

from extproc.config.catalogue import catalogue
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Operation
from extproc.dialects.hub import Ranked, Ranking
from extproc.errors import Reject
from extproc.usage import Usage
from tests.dialects.vectors import RANKERS

DOCUMENTS = ["Bern lies on the Aare.", "Zurich lies on the Limmat."]


def form(name: str, kind: str = "rerank") -> Operation[Any, Any]:
    return DIALECTS[name].operations[kind]


# A request of each form, and an answer as its providers give it.
JINA = (
    {"model": "m", "query": "q", "documents": DOCUMENTS, "top_n": 1, "return_documents": True},
    {"model": "m", "usage": {"total_tokens": 9}, "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]},
)
VOYAGE = (
    {"model": "m", "query": "q", "documents": DOCUMENTS, "top_k": 1, "truncation": False},
    {
        "object": "list",
        "data": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
        "model": "m",
        "usage": {"total_tokens": 9},
    },
)
COHERE = (
    {"model": "m", "query": "q", "documents": DOCUMENTS, "top_n": 1, "max_tokens_per_doc": 100, "priority": 3},
    {
        "id": "r-1",
        "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    },
)
BEDROCK = (
    {"model": "m", "query": "q", "documents": DOCUMENTS, "top_n": 1, "api_version": 2},
    {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]},
)
TEXTS = [{"index": 1, "score": 0.9, "text": DOCUMENTS[1]}, {"index": 0, "score": 0.1, "text": DOCUMENTS[0]}]
SCORES = (
    {"model": "m", "text_1": "q", "text_2": DOCUMENTS},
    {
        "id": "s-1",
        "object": "list",
        "data": [{"index": 0, "object": "score", "score": 0.1}, {"index": 1, "object": "score", "score": 0.9}],
        "model": "m",
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    },
)
EXCHANGES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("openai", "rerank"): JINA,
    ("cohere", "rerank"): COHERE,
    ("bedrock", "rerank"): BEDROCK,
    ("openai", "score"): SCORES,
}


@pytest.mark.parametrize(("name", "kind"), EXCHANGES, ids="-".join)
def test_own_words_come_back(name: str, kind: str) -> None:
    request, answer = EXCHANGES[name, kind]
    operation = form(name, kind)
    question = operation.read_request(copy.deepcopy(request))
    written = operation.write_request(question, "m")
    assert written == (request if name != "bedrock" else {key: value for key, value in request.items() if key != "model"})
    assert question.dropped == []
    assert operation.write_answer(operation.read_answer(copy.deepcopy(answer))) == answer


def test_voyage_s_own_words_come_back() -> None:
    request, answer = VOYAGE
    operation = form("openai")
    question = operation.read_request(copy.deepcopy(request))
    assert operation.write_request(question, "m") == request
    assert form("openai", "rerank_voyage").write_request(question, "m") == request
    assert operation.write_answer(operation.read_answer(copy.deepcopy(answer))) == answer


def test_voyage_for_a_client_of_jina_s_form_and_back() -> None:
    jina, voyage = form("openai"), form("openai", "rerank_voyage")
    question = jina.read_request(copy.deepcopy(JINA[0]))
    assert voyage.write_request(question, "n") == {"model": "n", "query": "q", "documents": DOCUMENTS, "top_k": 1, "return_documents": True}
    answer = voyage.read_answer(copy.deepcopy(VOYAGE[1]))
    answer.asked = question.asked
    assert jina.write_answer(answer) == {
        "model": "m",
        "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": DOCUMENTS[1]}}],
        "usage": {"total_tokens": 9},
    }
    question = jina.read_request(copy.deepcopy(VOYAGE[0]))
    cohere = form("cohere")
    assert cohere.write_request(question, "n") == {"model": "n", "query": "q", "documents": DOCUMENTS, "top_n": 1}
    assert question.dropped == ["truncation"]
    answer = cohere.read_answer(copy.deepcopy(COHERE[1]))
    answer.asked, answer.model = question.asked, "n"
    assert jina.write_answer(answer) == {"object": "list", "id": "r-1", "model": "n", "data": [{"index": 1, "relevance_score": 0.9}]}


def test_a_provider_that_ranks_texts() -> None:
    tei, client = form("openai", "rerank_texts"), form("openai")
    question = client.read_request({"model": "m", "query": "q", "documents": [{"text": "a"}, {"title": "b", "text": "c"}], "top_n": 1})
    assert tei.write_request(question, "n") == {"query": "q", "texts": ["a", '{"title":"b","text":"c"}']}
    answer = tei.read_answer(list(reversed(TEXTS)))
    assert [ranked.index for ranked in answer.results] == [1, 0]
    answer.asked = question.asked
    assert client.write_answer(answer)["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": DOCUMENTS[1]}}]


def test_scores_stand_in_the_order_of_the_documents() -> None:
    scores = form("openai", "score")
    question = scores.read_request({"model": "m", "text_1": "q", "text_2": "a"})
    assert form("cohere").write_request(question, "n") == {"model": "n", "query": "q", "documents": ["a"]}
    answer = form("cohere").read_answer(copy.deepcopy(COHERE[1]))
    answer.asked = question.asked
    assert [one["score"] for one in scores.write_answer(answer)["data"]] == [0.1, 0.9]
    with pytest.raises(Reject):
        scores.read_request({"model": "m", "text_1": "q", "text_2": [["a"]]})
    with pytest.raises(Reject):
        scores.read_request({"model": "m", "text_1": ["q"], "text_2": ["a"]})


@pytest.mark.parametrize(("model", "version"), [("cohere.rerank-v3-5:0", {"api_version": 2}), ("amazon.rerank-v1:0", {})])
def test_bedrock_is_asked_by_invoke_model(model: str, version: dict[str, int]) -> None:
    question = form("cohere").read_request(copy.deepcopy(COHERE[0]))
    limit = {"max_tokens_per_doc": 100} if version else {}
    assert form("bedrock").write_request(question, model) == {"query": "q", "documents": DOCUMENTS, "top_n": 1, **limit, **version}
    assert question.dropped == (["priority"] if version else ["priority", "max_tokens_per_doc"])


def test_documents_are_repeated_for_who_wants_them() -> None:
    cohere = form("cohere")
    question = cohere.read_request({"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "return_documents": True})
    answer = Ranking(dialect="other", results=[Ranked(index=1, score=0.5), Ranked(index=0, score=0.2), Ranked(index=7, score=0.1)])
    answer.asked = question.asked
    assert [one.get("document") for one in cohere.write_answer(answer)["results"]] == [{"text": "b"}, {"text": "a"}, None]


def test_what_is_told_of_the_cost() -> None:
    tokens = Ranking(dialect="other", id="r", results=[], usage=Usage(input=9), asked={"top": None})
    assert form("cohere").write_answer(tokens)["meta"] == {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 9}}
    searches = form("cohere").read_answer(copy.deepcopy(COHERE[1]))
    assert (searches.searches, searches.usage) == (1, None)


@pytest.mark.parametrize("ranker", RANKERS, ids="-".join)
def test_official_sdks_take_the_answers(ranker: tuple[str, str]) -> None:
    others: dict[str, Any] = {"rerank_voyage": VOYAGE[1], "rerank_texts": TEXTS}
    answer = others.get(ranker[1]) or EXCHANGES[ranker][1]
    read = form(*ranker).read_answer(copy.deepcopy(answer))
    read.asked = form("cohere").read_request(copy.deepcopy(COHERE[0])).asked
    read.dialect = "other"
    (first,) = V2RerankResponse.model_validate(form("cohere").write_answer(read)).results
    assert (first.index, first.relevance_score) == (1, 0.9)
    assert RerankResponse.model_validate(form("openai").write_answer(read)).results[0].index == 1


def test_the_catalogue_s_forms_are_there() -> None:
    for known in catalogue().values():
        for operation, forms in known.quirks.forms.items():
            assert operation in DIALECTS[known.dialect].operations
            assert {*forms.values()} <= {*DIALECTS[known.dialect].operations}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "score", "results", "data", "meta"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(RANKERS), st.sampled_from(RANKERS), JSON, JSON, st.sampled_from(["results", "data", "x"]))
def test_whatever_comes(provider: tuple[str, str], client: tuple[str, str], place: Any, whole: Any, field: str) -> None:
    ranked = {"index": 0, "relevance_score": 0.5, "score": 0.5}
    for body in (whole, {field: [place]}, {field: [{**ranked, **place}] if type(place) is dict else place, "meta": whole, "usage": whole}):
        with contextlib.suppress(ValueError):
            answer = form(*provider).read_answer(copy.deepcopy(body))
            answer.asked = {"documents": DOCUMENTS}
            msgspec.json.encode(form(*client).write_answer(answer))
    with contextlib.suppress(Reject):
        form(*client).read_request({"model": "m", "query": whole, "documents": place, "text_1": whole, "text_2": place, "top_n": whole})
