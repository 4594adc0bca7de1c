"""Vectors between all dialects, on what providers have really said; and what is no answer."""

import contextlib
import copy
import json
from array import array
from typing import Any

import msgspec
import pytest
from cohere.types import EmbedByTypeResponse, EmbedFloatsResponse
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client.models import EmbeddingResponse
from ollama import EmbeddingsResponse, EmbedResponse
from openai.types import CreateEmbeddingResponse

from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Operation
from extproc.dialects.hub import Embedded, Embedding, Image, Passage, Vector
from extproc.errors import Reject
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects.vectors import ANSWERED, CLIENTS, RECORDED, Recorded

_ASKED: dict[tuple[str, str], dict[str, Any]] = {
    ("openai", "embeddings"): {"model": "m", "input": ["a"]},
    ("gemini", "embeddings"): {"model": "m", "requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}]},
    ("gemini", "embed_content"): {"model": "m", "content": {"parts": [{"text": "a"}]}},
    ("cohere", "embeddings"): {"model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float", "base64"]},
    ("cohere", "embed_v1"): {"model": "m", "texts": ["a"]},
    ("ollama", "embeddings"): {"model": "m", "input": "a"},
    ("ollama", "embed_prompt"): {"model": "m", "prompt": "a"},
    ("bedrock", "embeddings"): {"model": "m", "inputText": "a"},
    ("bedrock", "invoke"): {"model": "m", "texts": ["a"], "input_type": "search_query"},
}
ONE = {("gemini", "embed_content"), ("ollama", "embed_prompt"), ("bedrock", "embeddings")}
"""Clients that ask for one vector."""
UNCOUNTED = {("ollama", "embed_prompt"), ("bedrock", "invoke")}
"""Clients that are not told what it cost; for Bedrock's, headers tell."""


def operation(client: tuple[str, str]) -> Operation[Any, Any]:
    return DIALECTS[client[0]].operations[client[1]]


def test_there_are_recordings_of_all() -> None:
    assert len(RECORDED) > 40
    assert {one.dialect for one in ANSWERED} == {"openai", "cohere", "gemini", "bedrock"}


@cases("recorded", RECORDED, ids=lambda one: one.id)
def test_a_request_means_the_same_in_its_own_dialect(recorded: Recorded) -> None:
    body = copy.deepcopy(recorded.body)
    question = recorded.operation.read_request(body)
    assert body == recorded.body, "reading changed what was read"
    assert recorded.operation.write_request(question, recorded.model) == recorded.request
    assert question.dropped == []


@cases("recorded", ANSWERED, ids=lambda one: one.id)
def test_an_answer_means_the_same_in_its_own_dialect(recorded: Recorded) -> None:
    answer = recorded.operation.read_answer(copy.deepcopy(recorded.answer))
    assert recorded.operation.write_answer(answer) == recorded.answer


def _written(recorded: Recorded, client: tuple[str, str]) -> tuple[dict[str, Any], Embedded]:
    """A recorded answer as that client gets it, and as it is."""
    answer = recorded.operation.read_answer(copy.deepcopy(recorded.answer))
    answer.id, answer.model = answer.id or "r-1", answer.model or "m"
    answer.asked = operation(client).read_request(copy.deepcopy(_ASKED[client])).asked
    return json.loads(msgspec.json.encode(operation(client).write_answer(answer))), answer


@cases("client", CLIENTS, ids="-".join)
@cases("recorded", ANSWERED, ids=lambda one: one.id)
def test_every_client_gets_the_same_numbers(recorded: Recorded, client: tuple[str, str]) -> None:
    if client[0] == recorded.dialect:
        return  # among themselves they are left alone
    body, answer = _written(recorded, client)
    again = operation(client).read_answer(body)
    floats = [one.numbers() for one in answer.vectors if one.kind in ("float", "base64")]
    found = [one.numbers() for one in again.vectors if one.kind == "float"]
    assert found == (floats[:1] if client in ONE else floats)
    packed = [one.numbers() for one in again.vectors if one.kind == "base64"]
    assert packed == ([list(array("f", one)) for one in floats] if packed else [])
    if answer.usage is not None and client not in UNCOUNTED:
        assert again.usage == answer.usage


def _checked(client: tuple[str, str], body: dict[str, Any]) -> int:
    """How many vectors the official SDK finds."""
    match client:
        case ("openai", _):
            EmbeddingResponse.model_validate(body)
            return len(CreateEmbeddingResponse.model_validate(body).data)
        case ("gemini", "embeddings"):
            return len(types.EmbedContentResponse.model_validate({"embeddings": body["embeddings"]}).embeddings or ())
        case ("gemini", _):
            return 1 if types.ContentEmbedding.model_validate(body["embedding"]).values else 0
        case ("cohere", "embeddings"):
            return len(EmbedByTypeResponse.model_validate(body).embeddings.float_ or ())
        case ("cohere", _):
            return len(EmbedFloatsResponse.model_validate(body).embeddings)
        case ("ollama", "embeddings"):
            return len(EmbedResponse.model_validate(body).embeddings)
        case ("ollama", _):
            return 1 if EmbeddingsResponse.model_validate(body).embedding else 0
        case _:
            return len(operation(client).read_answer(body).vectors)


@pytest.mark.parametrize("client", CLIENTS, ids="-".join)
def test_official_sdks_take_the_answers(client: tuple[str, str]) -> None:
    others = [one for one in ANSWERED if one.dialect != client[0]]
    for recorded in others:
        body, answer = _written(recorded, client)
        assert _checked(client, body) == (1 if client in ONE else len(answer.vectors)), recorded.id
    assert others


def test_tokens_are_counted_as_they_were_told() -> None:
    told = {one.id: one.operation.read_answer(copy.deepcopy(one.answer)).usage for one in ANSWERED}
    assert told["TestCohere.test_query-0"] == Usage(input=4)
    assert told["TestGoogle.test_vertex_query-0"] == Usage(input=4)
    assert told["test_google_task_prefix[default-query]-0"] == Usage(input=11)
    assert told["TestBedrock.test_titan_v2_minimal-0"] == Usage(input=5)
    assert told["TestOpenAI.test_query-0"] == Usage(input=4)
    assert told["TestBedrock.test_cohere_v4_minimal-0"] is None, "only the answer's head tells"


@pytest.mark.parametrize("recorded", [one for one in ANSWERED if one.dialect != "bedrock"], ids=lambda one: one.id)
def test_what_passes_untouched_is_counted_the_same(recorded: Recorded) -> None:
    usage, _ = DIALECTS[recorded.dialect].usage(json.dumps(recorded.answer).encode())
    assert usage == recorded.operation.read_answer(copy.deepcopy(recorded.answer)).usage


def test_pictures_are_billed_beside_texts() -> None:
    read = DIALECTS["cohere"].operations["embeddings"].read_answer
    assert read({"embeddings": [], "meta": {"billed_units": {"input_tokens": 2, "image_tokens": 30}}}).usage == Usage(input=32)
    both = {"input_tokens": 32, "text_tokens": 2, "image_tokens": 30}
    assert read({"embeddings": [], "meta": {"billed_units": both}}).usage == Usage(input=32)
    assert read({"embeddings": [], "meta": {"billed_units": "x"}}).usage is None


# What cannot be asked is refused, and not asked in part.

TOKENS = Embedding(dialect="other", model="m", passages=[Passage(tokens=[1, 2])])
PICTURE = Embedding(dialect="other", model="m", passages=[Passage(images=[Image(url="https://x.test/a.png")])])
TWO = Embedding(dialect="other", model="m", passages=[Passage(text="a"), Passage(text="b")])

_TITAN, _NOVA = "amazon.titan-embed-text-v2:0", "amazon.nova-2-multimodal-embeddings-v1:0"


@pytest.mark.parametrize(
    ("question", "dialect", "kind", "model"),
    [
        *((TOKENS, *one, "cohere.embed-v4:0") for one in CLIENTS if one[0] != "openai"),
        (PICTURE, "ollama", "embeddings", "m"),
        (PICTURE, "openai", "embeddings", "m"),
        (PICTURE, "bedrock", "embeddings", "amazon.titan-embed-image-v1"),
        (TWO, "bedrock", "embeddings", _TITAN),
        (TWO, "bedrock", "embeddings", _NOVA),
        (TWO, "gemini", "embed_content", "m"),
        (TWO, "ollama", "embed_prompt", "m"),
        (TWO, "bedrock", "embeddings", "anthropic.claude-v2"),
    ],
)
def test_what_a_provider_cannot_be_asked(question: Embedding, dialect: str, kind: str, model: str) -> None:
    with pytest.raises(Reject) as caught:
        DIALECTS[dialect].operations[kind].write_request(copy.deepcopy(question), model)
    assert caught.value.fault.status == 400
    assert caught.value.fault.param in ("passages", "model")


def test_invoke_is_for_vectors() -> None:
    with pytest.raises(Reject, match="converse"):
        DIALECTS["bedrock"].operations["invoke"].read_request({"anthropic_version": "bedrock-2023-05-31", "messages": [], "model": "m"})


# Numbers of other kinds.


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
def test_whole_numbers_reach_a_client_of_openai_s_dialect(kind: str) -> None:
    openai, cohere = (DIALECTS[name].operations["embeddings"] for name in ("openai", "cohere"))
    question = openai.read_request({"model": "m", "input": "a", "output_dtype": kind})
    assert cohere.write_request(question, "n")["embedding_types"] == [kind]
    answer = cohere.read_answer({"id": "r", "embeddings": {kind: [[1, 2, 3]]}})
    answer.asked = question.asked
    assert openai.write_answer(answer)["data"] == [{"object": "embedding", "index": 0, "embedding": [1, 2, 3]}]
    answer.asked = openai.read_request({"model": "m", "input": "a", "output_dtype": kind, "encoding_format": "base64"}).asked
    assert openai.write_answer(answer)["data"][0]["embedding"] == "AQID"


def test_numbers_that_a_kind_cannot_hold() -> None:
    for values in ([300.0], [0.5]):
        with pytest.raises(ValueError, match="int8"):
            Vector(values=values, kind="int8").base64()


def test_several_kinds_at_once() -> None:
    cohere = DIALECTS["cohere"].operations["embeddings"]
    titan = DIALECTS["bedrock"].operations["embeddings"]
    body = {"model": "m", "texts": ["a"], "input_type": "clustering", "embedding_types": ["float", "base64", "binary", "int8"]}
    question = cohere.read_request(body)
    assert titan.write_request(question, _TITAN) == {"inputText": "a", "embeddingTypes": ["float", "binary"]}
    assert question.dropped == ["input_type", "embedding_types"]
    answer = titan.read_answer({"embedding": [0.5], "embeddingsByType": {"float": [0.5], "binary": [7]}, "inputTextTokenCount": 1})
    answer.asked = question.asked
    assert cohere.write_answer(answer) == {
        "id": "",
        "texts": ["a"],
        "embeddings": {"float": [[0.5]], "base64": ["AAAAPw=="], "binary": [[7]]},
        "response_type": "embeddings_by_type",
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 1}},
    }


# Whatever comes, it is an answer or it is said to be none.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if type(value) is dict else enumerate(value[:2]) if type(value) is list else ()
    return [path, *(found for key, member in inner for found in _paths(member, (*path, key)))]


def _mangled(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    body = copy.copy(body)
    body[path[0]] = _mangled(body[path[0]], path[1:], value)
    return body


def _short(value: Any) -> Any:
    """The same with short vectors."""
    if type(value) is dict:
        return {key: _short(member) for key, member in value.items()}
    if type(value) is list:
        return [_short(member) for member in value[:3]]
    return value[:8] if type(value) is str and len(value) > 1000 else value


SHORT = [one._replace(answer=_short(one.answer)) for one in ANSWERED]


@given(st.data())
def test_mangled_answers(data: st.DataObject) -> None:
    recorded = data.draw(st.sampled_from(SHORT), label="recorded")
    answer = recorded.answer
    body = _mangled(answer, data.draw(st.sampled_from(_paths(answer)), label="path"), data.draw(JSON, label="value"))
    client = data.draw(st.sampled_from(CLIENTS), label="client")
    try:
        read = recorded.operation.read_answer(body)
        read.asked = operation(client).read_request(copy.deepcopy(_ASKED[client])).asked
        msgspec.json.encode(operation(client).write_answer(read))
    except ValueError:
        pass
    encoded = msgspec.json.encode(body)
    DIALECTS[recorded.dialect].usage(encoded)


@given(st.data())
def test_mangled_requests(data: st.DataObject) -> None:
    recorded = data.draw(st.sampled_from(SHORT), label="recorded")
    body = _mangled(recorded.body, data.draw(st.sampled_from(_paths(recorded.body)[1:]), label="path"), data.draw(JSON, label="value"))
    client = data.draw(st.sampled_from(CLIENTS), label="provider")
    with contextlib.suppress(Reject):
        question = recorded.operation.read_request(body)
        msgspec.json.encode(operation(client).write_request(question, "cohere.embed-v4:0"))
