"""Embeddings and reranking by InvokeModel, each model in its maker's words, below
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html

Titan and Nova take one input a request. What an answer counts stands in its headers (`x-amzn-bedrock-input-token-count`), and with Titan in
its body, too. Reranking also has an API of its own at another host (`bedrock-agent-runtime`), with the same models.
"""

import re
from typing import Any

from extproc.dialects import cohere_vectors, vectors
from extproc.dialects.bedrock.blocks import NAME
from extproc.dialects.cohere_vectors import Form
from extproc.dialects.fields import obj, refusing, take_bool, take_int, take_obj, take_str, take_strings
from extproc.dialects.hub import Embedded, Embedding, Extra, Image, Passage, Ranking, Rerank, Vector
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.errors import Reject
from extproc.usage import Usage, natural

_COHERE = re.compile(r"\bcohere\.embed")
_COHERE_4 = re.compile(r"\bcohere\.embed-v[4-9]")
_NOVA = re.compile(r"\bnova\S*-embed")
_TITAN_IMAGE = re.compile(r"\btitan-embed-image")
_TITAN_1 = re.compile(r"\btitan-embed-(g1-)?text-(v1|0)")
_TITAN = re.compile(r"\btitan-embed")

_V3, _V4 = Form(NAME, 1, frozenset()), Form(NAME, 1)
_ORDER = Form(NAME, 2)

_PURPOSES = {
    "GENERIC_INDEX": "document",
    "GENERIC_RETRIEVAL": "query",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
_PURPOSE = {task: word for word, task in _PURPOSES.items()}
_NEAREST = {"question_answering": "GENERIC_RETRIEVAL", "fact_verification": "GENERIC_RETRIEVAL", "code_query": "GENERIC_RETRIEVAL"}
_DEFAULT_PURPOSE = "GENERIC_INDEX"

_SINGLE = "singleEmbeddingParams"

_WORDS = {"passages[]": "inputText", "passages[].images": "inputImage", "kinds": "embeddingTypes"}
_NOVA_WORDS = {
    "passages[]": f"{_SINGLE}.text",
    "passages[].images": f"{_SINGLE}.image",
    "task": f"{_SINGLE}.embeddingPurpose",
    "dimensions": f"{_SINGLE}.embeddingDimension",
    "truncate": f"{_SINGLE}.text.truncationMode",
}


class Embeddings:
    """See `dialect.Operation`. A request's maker is known by its fields, and a provider's by the model's name."""

    def read_request(self, body: Extra) -> Embedding:
        if "inputText" in body or "inputImage" in body:
            return _read_titan(body)
        if _SINGLE in body:
            return _read_nova(body)
        if any(field in body for field in ("texts", "images", "inputs")):
            return cohere_vectors.read_embed(body, _V4)
        message = (
            "InvokeModel takes the words of one model. The provider of this model has other words: only requests for vectors are put into "
            "them (Titan's, Nova's and Cohere's). For conversations ask /model/{model}/converse."
        )
        raise Reject(400, "unsupported_endpoint", message)

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        return finished(self._written(question, model), quirks, question.drop)

    def _written(self, question: Embedding, model: str) -> Extra:
        if _COHERE.search(model):
            return cohere_vectors.write_embed(question, _V4 if _COHERE_4.search(model) else _V3)
        if _NOVA.search(model):
            return _write_nova(question)
        if _TITAN.search(model) or _opaque(model):
            return _write_titan(question, model)
        raise Reject(
            400, "unsupported_model", f"The model {model!r} is not known to make vectors (Titan, Nova and Cohere do).", param="model"
        )

    def read_answer(self, body: Any) -> Embedded:
        rest = obj(body, "$")
        if "embedding" in rest or "embeddingsByType" in rest:
            return _read_titans(rest)
        given = rest.get("embeddings")
        if type(given) is list and all(type(one) is dict for one in given):
            found = [vectors.vector(obj(one, f"embeddings[{i}]").get("embedding"), f"embeddings[{i}]") for i, one in enumerate(given)]
            del rest["embeddings"]
            return Embedded(dialect=NAME, vectors=found, extra=rest, local={"embeddings": given})
        return cohere_vectors.read_embedded(rest, _V4)

    def write_answer(self, answer: Embedded) -> Extra:
        if answer.dialect == NAME and "embeddings" in answer.local:
            return {**answer.extra, **answer.local}
        if answer.dialect == NAME and "titan" in answer.local:
            return {**answer.extra, **answer.local["titan"]}
        match answer.asked.get("maker"):
            case "titan":
                return _titans(answer)
            case "nova":
                found = vectors.floats(answer)
                return {"embeddings": [{"embeddingType": "TEXT", "embedding": one.numbers()} for one in found]}
            case _:
                written = cohere_vectors.write_embedded(answer, _V4)
                return written if answer.dialect == NAME else {key: value for key, value in written.items() if key != "meta"}


def _opaque(model: str) -> bool:
    """A name that tells no family: a profile's or a deployment's. Amazon's own form is tried."""
    return model.startswith("arn:") or re.fullmatch(r"[a-z0-9]{12}", model) is not None


# Titan.


def _read_titan(body: Extra) -> Embedding:
    with refusing():
        rest = obj(body, "$")
        rest.pop("stream", None)
        image = take_str(rest, "inputImage")
        kinds = take_strings(rest, "embeddingTypes")
        config = take_obj(rest, "embeddingConfig") or {}
        dimensions = take_int(rest, "dimensions")
        length = take_int(config, "outputEmbeddingLength", "embeddingConfig.")
        plain = take_bool(rest, "normalize")
        local: Extra = {} if plain is None else {"normalize": plain}
        if plain is False:
            rest["normalize"] = False  # a vector of another length, which nobody else can be asked for
        return Embedding(
            dialect=NAME,
            words=_WORDS if length is None else {**_WORDS, "dimensions": "embeddingConfig.outputEmbeddingLength"},
            model=take_str(rest, "model") or "",
            passages=[Passage(text=take_str(rest, "inputText") or "", images=[Image(data=image)] if image else [])],
            plain=True,
            dimensions=dimensions if length is None else length,
            kinds=kinds,
            extra=rest,
            local=local,
            asked={"maker": "titan", "kinds": kinds},
        )


def _write_titan(question: Embedding, model: str) -> Extra:
    own = question.dialect == NAME
    body: Extra = {**question.extra, **question.local} if own else {}
    if not own:
        vectors.lose_extras(question)
        vectors.lose_titles(question)
    vectors.lose(question, "task", "truncate", "max_tokens", "user")
    passage = vectors.only(question)
    if _TITAN_IMAGE.search(model) and passage.tokens is None:
        return {**body, **_pictured(question, passage)}
    body["inputText"] = vectors.text(passage, question)
    if _TITAN_1.search(model):
        vectors.lose(question, "dimensions")
        if question.numbers != ["float"]:
            question.drop("kinds")
        return body
    if question.dimensions is not None:
        body["dimensions"] = question.dimensions
    kinds = [kind for kind in question.numbers if kind in ("float", "binary")]
    if kinds != question.numbers:
        question.drop("kinds")
    if question.kinds is not None and kinds and (own or kinds != ["float"]):
        body["embeddingTypes"] = kinds
    return body


def _pictured(question: Embedding, passage: Passage) -> Extra:
    body: Extra = {"inputText": passage.text} if passage.text else {}
    if passage.images:
        picture, *others = passage.images
        if not picture.data:
            raise vectors.refused(question, "The model's provider takes pictures inline, and none by URL.")
        if others:
            question.drop("passages[].images")
        body["inputImage"] = picture.data
    if question.dimensions is not None:
        body["embeddingConfig"] = {"outputEmbeddingLength": question.dimensions}
    if question.numbers != ["float"]:
        question.drop("kinds")
    return body


def _read_titans(rest: Extra) -> Embedded:
    titan: Extra = {key: rest.pop(key) for key in ("embedding", "embeddingsByType", "inputTextTokenCount") if key in rest}
    by_kind = titan.get("embeddingsByType")
    given = by_kind if type(by_kind) is dict else {"float": titan.get("embedding")}
    found = [vectors.vector(value, f"embeddingsByType.{kind}", kind) for kind, value in given.items()]
    count = take_int(dict(titan), "inputTextTokenCount")
    usage = None if count is None else Usage(input=natural(count))
    return Embedded(dialect=NAME, vectors=found, usage=usage, extra=rest, local={"titan": titan})


def _titans(answer: Embedded) -> Extra:
    kinds = [kind for kind in answer.asked.get("kinds") or ("float",) if vectors.of_kind(answer.vectors, kind)]
    by_kind = {kind: vectors.of_kind(answer.vectors, kind)[0].numbers() for kind in kinds}
    floats: list[Vector] = vectors.of_kind(answer.vectors, "float") if by_kind else vectors.floats(answer)
    bare = {"embedding": floats[0].numbers()} if floats else {}
    return {**bare, "embeddingsByType": by_kind, "inputTextTokenCount": answer.usage.input if answer.usage else 0}


# Nova.


def _read_nova(body: Extra) -> Embedding:
    with refusing():
        rest = obj(body, "$")
        rest.pop("stream", None)
        single = obj(rest.pop(_SINGLE), _SINGLE)
        path = _SINGLE + "."
        text = obj(single.get("text") or {}, path + "text")
        image = obj(single.get("image") or {}, path + "image")
        data = take_str(obj(image.get("source") or {}, path + "image.source"), "bytes", path + "image.source.")
        pictures = [Image(media_type=f"image/{take_str(dict(image), 'format') or 'png'}", data=data)] if data else []
        mode = take_str(dict(text), "truncationMode", path + "text.")
        known = {"text", "image", "embeddingPurpose", "embeddingDimension"}
        extra = {f"{path}{key}": value for key, value in single.items() if key not in known}
        return Embedding(
            dialect=NAME,
            words=_NOVA_WORDS,
            model=take_str(rest, "model") or "",
            passages=[Passage(text=take_str(dict(text), "value", path + "text.") or "", images=pictures)],
            plain=True,
            dimensions=take_int(dict(single), "embeddingDimension", path),
            task=_PURPOSES.get(take_str(dict(single), "embeddingPurpose", path) or ""),
            truncate=mode.lower() if mode in ("NONE", "START", "END") else None,
            extra=extra,
            local={**rest, _SINGLE: single},
            asked={"maker": "nova"},
        )


def _write_nova(question: Embedding) -> Extra:
    if question.dialect == NAME and _SINGLE in question.local:
        return question.local
    vectors.lose_extras(question)
    vectors.lose_titles(question)
    vectors.lose(question, "max_tokens", "user")
    if question.numbers != ["float"]:
        question.drop("kinds")
    passage = vectors.only(question)
    task = question.task
    if task is not None and task not in _PURPOSE:
        question.drop("task")
    purpose = _DEFAULT_PURPOSE if task is None else _PURPOSE.get(task) or _NEAREST.get(task, _DEFAULT_PURPOSE)
    single: Extra = {"embeddingPurpose": purpose, **_nova_input(question, passage)}
    if question.dimensions is not None:
        single["embeddingDimension"] = question.dimensions
    return {"taskType": "SINGLE_EMBEDDING", _SINGLE: single}


def _nova_input(question: Embedding, passage: Passage) -> Extra:
    """Either the text or a picture: a request takes one of them."""
    if passage.text or not passage.images:
        mode = {} if question.truncate is None else {"truncationMode": question.truncate.upper()}
        return {"text": {**mode, "value": vectors.text(passage, question)}}
    picture, *others = passage.images
    if not picture.data:
        raise vectors.refused(question, "The model's provider takes pictures inline, and none by URL.")
    if others:
        question.drop("passages[].images")
    kind = picture.media_type.partition("/")[2] or "png"
    return {"image": {"format": kind, "source": {"bytes": picture.data}}}


# Orders of documents.


class Reranking:
    """See `dialect.Operation`. Cohere's form, which Amazon's own model speaks as well."""

    def read_request(self, body: Extra) -> Rerank:
        return cohere_vectors.read_rerank(body, _ORDER)

    def write_request(self, question: Rerank, model: str, quirks: Quirks = NONE) -> Extra:
        body = cohere_vectors.write_rerank(question, _ORDER)
        if question.dialect != NAME and "amazon." not in model:
            body["api_version"] = 2
        elif question.dialect != NAME and body.pop("max_tokens_per_doc", None) is not None:
            question.drop("max_tokens")
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Any) -> Ranking:
        return cohere_vectors.read_ranking(body, _ORDER)

    def write_answer(self, answer: Ranking) -> Extra:
        return cohere_vectors.write_ranking(answer, _ORDER)
