"""Gemini's embeddings: https://ai.google.dev/api/embeddings

Three forms: a batch of requests, one content (`embedContent`; with Vertex its settings may stand in `embedContentConfig`), and with Vertex
`predict` (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api). A model of the second generation
reads what a vector is for from the text itself: https://ai.google.dev/gemini-api/docs/embeddings#task-types
"""

import re
from typing import Any

from extproc.dialects import vectors
from extproc.dialects.fields import items, obj, refusing, take_bool, take_int, take_str
from extproc.dialects.gemini.names import members
from extproc.dialects.gemini.parts import NAME, read_parts, write_part
from extproc.dialects.gemini.tokens import read_usage, write_usage
from extproc.dialects.hub import Embedded, Embedding, Extra, Image, Passage, Text, Vector
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.usage import Usage, natural

TASKS = {
    "RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "QUESTION_ANSWERING": "question_answering",
    "FACT_VERIFICATION": "fact_verification",
    "CODE_RETRIEVAL_QUERY": "code_query",
}
"""`taskType`, and the hub's word for it."""

_TYPES = {task: word for word, task in TASKS.items()}

_PREFIXED = re.compile(r"gemini-embedding-(?!001)\d+(?!.*preview)")
"""Models that want what a vector is for in front of the text, and ignore `taskType`."""

_PREFIXES = {
    "query": "search result",
    "question_answering": "question answering",
    "fact_verification": "fact checking",
    "code_query": "code retrieval",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "sentence similarity",
}

_SHARED = ("taskType", "outputDimensionality", "autoTruncate")
_CONFIG = "embedContentConfig"
_MEDIA = "content.parts"
"""Among what is left of a request: how many parts are neither texts nor pictures."""


def _words(root: str, passage: str) -> dict[str, str]:
    """`Question.words` of a request whose settings stand in `root`, and whose `passage` is there."""
    return {
        "passages[]": passage,
        "passages[].text": f"{root}content.parts[].text",
        "passages[].images": f"{root}content.parts[].inlineData",
        "passages[].title": f"{root}title",
        "task": f"{root}taskType",
        "dimensions": f"{root}outputDimensionality",
        "truncate": f"{root}autoTruncate",
    }


_ONE, _MANY = _words("", "content"), _words("requests[].", "requests[]")
_INSTANCES = {
    "passages[]": "instances[]",
    "task": "instances[].task_type",
    "dimensions": "parameters.outputDimensionality",
    "truncate": "parameters.autoTruncate",
}


class EmbedContent:
    """See `dialect.Operation`. One content a request."""

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = members(body, "$", {})
            model = take_str(rest, "model") or ""
            rest.pop("stream", None)
            question = _question(model, [rest], [""], _ONE)
            (passage,) = question.passages
            question.extra, passage.extra = passage.extra, {}
            return question

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        (request,) = _requests(question, model, [vectors.only(question)])
        return finished({**_own(question), **request}, quirks, question.drop)

    def read_answer(self, body: Any) -> Embedded:
        return read_answer(body)

    def write_answer(self, answer: Embedded) -> Extra:
        found = _floats(answer)
        return _answered(answer, {"embedding": found[0] if found else {"values": []}})


class BatchEmbedContents:
    """See `dialect.Operation`."""

    names_model = True

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = members(body, "$", {})
            model = take_str(rest, "model") or ""
            rest.pop("stream", None)
            paths = [f"requests[{i}]" for i, _ in enumerate(items(rest.get("requests"), "requests"))]
            requests = [members(value, path, {}) for value, path in zip(rest.pop("requests"), paths, strict=True)]
            for request in requests:
                request.pop("model", None)  # the same as the path's, Google says
            question = _question(model, requests, [path + "." for path in paths], _MANY)
            question.extra = rest
            return question

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        name = {"model": f"models/{model}"}
        requests = [{**name, **request} for request in _requests(question, model, question.passages)]
        return finished({**_own(question), "requests": requests}, quirks, question.drop)

    def read_answer(self, body: Any) -> Embedded:
        return read_answer(body)

    def write_answer(self, answer: Embedded) -> Extra:
        return _answered(answer, {"embeddings": _floats(answer)})


class Predict:
    """See `dialect.Operation`. Vertex's form for models that make vectors of texts alone. Only providers are asked in it."""

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = members(body, "$", {})
            model = take_str(rest, "model") or ""
            rest.pop("stream", None)
            settings = members(rest.pop("parameters", None) or {}, "parameters", {})
            instances = [_instance(value, f"instances[{i}]") for i, value in enumerate(items(rest.pop("instances", None), "instances"))]
            question = _question(model, [{**settings, **instance} for instance in instances], [""] * len(instances), _INSTANCES)
            question.extra = rest
            return question

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        instances = [_written_instance(question, passage) for passage in question.passages]
        _lose(question, extras=question.dialect != NAME)
        body: Extra = {**_own(question), "instances": instances}
        parameters: Extra = {}
        if question.dimensions is not None:
            parameters["outputDimensionality"] = question.dimensions
        if question.truncate is not None:
            parameters["autoTruncate"] = _end(question)
        return finished({**body, "parameters": parameters} if parameters else body, quirks, question.drop)

    def read_answer(self, body: Any) -> Embedded:
        return read_answer(body)

    def write_answer(self, answer: Embedded) -> Extra:
        own = answer.extra if answer.dialect == NAME else {}
        return {**own, "predictions": [{"embeddings": vector} for vector in _floats(answer)]}


def _instance(value: Any, path: str) -> Extra:
    rest = members(value, path, {})
    return {**rest, "content": {"parts": [{"text": rest.get("content")}]}}


def _written_instance(question: Embedding, passage: Passage) -> Extra:
    written: Extra = {"content": vectors.text(passage, question)}
    left = {**passage.extra} if question.dialect == NAME else {}
    kind = left.pop("taskType", None)
    if question.task is not None:
        kind = _TYPES[question.task]
    if kind is not None:
        written["task_type"] = kind
    if passage.title:
        written["title"] = passage.title
    question.drop_extra(left, "passages[].")
    return written


# Requests.


def _question(model: str, requests: list[Extra], paths: list[str], words: dict[str, str]) -> Embedding:
    """Requests as one question: what they agree on is the question's, the rest stays with its passage."""
    for request, path in zip(requests, paths, strict=True):
        if request.get(_CONFIG) is not None:
            request.update(members(request.pop(_CONFIG), path + _CONFIG, {}))
    passages = [_passage(request, path) for request, path in zip(requests, paths, strict=True)]
    shared: Extra = {}
    for key in _SHARED:
        values = [passage.extra.get(key) for passage in passages]
        known = key != "taskType" or (bool(values) and values[0] in list(TASKS))
        if known and values and values[0] is not None and values.count(values[0]) == len(values):
            shared[key] = values[0]
            for passage in passages:
                del passage.extra[key]
    where = paths[0] if paths else ""
    cut = take_bool(dict(shared), "autoTruncate", where)
    return Embedding(
        dialect=NAME,
        words=words,
        model=model,
        passages=passages,
        task=TASKS.get(shared.get("taskType", "")),
        dimensions=take_int(shared, "outputDimensionality", where),
        truncate=None if cut is None else "end" if cut else "none",
    )


def _passage(rest: Extra, path: str) -> Passage:
    content = rest.pop("content", None)
    title = take_str(rest, "title", path) or ""
    blocks, _ = read_parts(members(content, path + "content", {}).get("parts"), path + "content.parts")
    images = [block for block in blocks if type(block) is Image]
    others = [block for block in blocks if type(block) not in (Text, Image)]
    text = "\n".join(block.text for block in blocks if type(block) is Text)
    extra = {**rest, _MEDIA: len(others)} if others else rest
    return Passage(text=text, images=images, title=title, extra=extra, local={"content": content})


def _requests(question: Embedding, model: str, passages: list[Passage]) -> list[Extra]:
    own = question.dialect == NAME
    _lose(question, extras=not own)
    if question.truncate is not None and not own:
        question.drop("truncate")  # only Vertex has a word for it
    return [_request(question, passage, own=own, prefixed=not own and _PREFIXED.search(model) is not None) for passage in passages]


def _request(question: Embedding, passage: Passage, *, own: bool, prefixed: bool) -> Extra:
    """`prefixed`: what the vector is for stands in front of the text."""
    request: Extra = {key: value for key, value in passage.extra.items() if key != _MEDIA} if own else {}
    request["content"] = passage.local["content"] if own else _content(question, passage, prefixed=prefixed)
    if question.task is not None and not prefixed:
        request["taskType"] = _TYPES[question.task]
    if passage.title and not prefixed:
        request["title"] = passage.title
    if question.dimensions is not None:
        request["outputDimensionality"] = question.dimensions
    if own and question.truncate is not None:
        request["autoTruncate"] = question.truncate != "none"
    return request


def _content(question: Embedding, passage: Passage, *, prefixed: bool) -> Extra:
    if not passage.images:
        text = vectors.text(passage, question)
        return {"parts": [{"text": _instructed(question, passage, text) if prefixed else text}]}
    parts: list[Extra | None] = [{"text": passage.text}] if passage.text else []
    parts += [write_part(image) for image in passage.images]
    if prefixed and question.task is not None:
        question.drop("task")  # such a vector has no purpose of its own there
    return {"parts": parts}


def _instructed(question: Embedding, passage: Passage, text: str) -> str:
    if question.task in _PREFIXES:
        if passage.title:
            question.drop("passages[].title")
        return f"task: {_PREFIXES[question.task]} | query: {text}"
    if question.task == "document" or passage.title:
        return f"title: {passage.title or 'none'} | text: {text}"
    return text


def _own(question: Embedding) -> Extra:
    return question.extra if question.dialect == NAME else {}


def _lose(question: Embedding, *, extras: bool) -> None:
    if extras:
        vectors.lose_extras(question)
    vectors.lose(question, "max_tokens", "user")
    if question.numbers != ["float"]:
        question.drop("kinds")


def _end(question: Embedding) -> bool:
    """Whether to cut what is too long; that is done at its end."""
    if question.truncate == "start":
        question.drop("truncate")
    return question.truncate != "none"


# Answers.


def read_answer(body: Any) -> Embedded:
    """A provider's answer, in whichever of the forms. Raises `ValueError` when it is none."""
    rest = obj(body, "$")
    raw = rest.pop("usageMetadata", None)
    usage = read_usage(raw)
    if "predictions" in rest:
        found, usage = _predictions(rest.pop("predictions"), usage)
    elif "embedding" in rest:
        found = [_vector(rest.pop("embedding"), "embedding")]
    else:
        found = [_vector(value, f"embeddings[{i}]") for i, value in enumerate(items(rest.pop("embeddings", None), "embeddings"))]
    return Embedded(dialect=NAME, vectors=found, usage=usage, usage_raw=raw if type(raw) is dict else None, extra=rest)


def _vector(value: Any, path: str) -> Vector:
    rest = obj(value, path)
    return Vector(values=vectors.numbers(rest.pop("values", None), path + ".values"), extra=rest)


def _predictions(value: Any, usage: Usage | None) -> tuple[list[Vector], Usage | None]:
    found: list[Vector] = []
    tokens: list[int | None] = []
    for i, prediction in enumerate(items(value, "predictions")):
        path = f"predictions[{i}]"
        one = _vector(obj(prediction, path).get("embeddings"), path + ".embeddings")
        statistics = one.extra.get("statistics")
        tokens.append(take_int(dict(statistics), "token_count", path + ".") if type(statistics) is dict else None)
        found.append(one)
    if usage is None and any(count is not None for count in tokens):
        usage = Usage(input=natural(sum(map(natural, tokens))))
    return found, usage


def _floats(answer: Embedded) -> list[Extra]:
    own = answer.dialect == NAME
    return [{**(one.extra if own else {}), "values": one.numbers()} for one in vectors.floats(answer)]


def _answered(answer: Embedded, body: Extra) -> Extra:
    if answer.dialect == NAME:
        body = {**answer.extra, **body}
        if answer.usage_raw is not None:
            return {**body, "usageMetadata": answer.usage_raw}
    if answer.usage is None:
        return body
    counted = write_usage(answer.usage)
    return {**body, "usageMetadata": {key: counted[key] for key in ("promptTokenCount", "totalTokenCount")}}
