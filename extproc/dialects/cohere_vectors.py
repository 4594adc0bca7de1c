"""Cohere's form of embeddings and reranking, which its models have behind other doors, too: https://docs.cohere.com/reference/embed

Both of its versions: the first answers with bare lists of floats where no kind of number was asked for, and takes documents with fields.
"""

from typing import Any, NamedTuple

import msgspec

from extproc.dialects import vectors
from extproc.dialects.fields import (
    data_url,
    items,
    need_str,
    obj,
    refusing,
    take_bool,
    take_int,
    take_number,
    take_obj,
    take_str,
    take_strings,
)
from extproc.dialects.hub import Embedded, Embedding, Extra, Image, Passage, Ranked, Ranking, Rerank, Vector
from extproc.usage import Usage, natural

TASKS = {"search_query": "query", "search_document": "document", "classification": "classification", "clustering": "clustering"}
"""`input_type`, and the hub's word for it. `image` says what an input is, not what for."""

_TYPES = {task: word for word, task in TASKS.items()}
_NEAREST = {"question_answering": "search_query", "fact_verification": "search_query", "code_query": "search_query"}
_DEFAULT = "search_document"
"""A type is obligatory. Vectors of one type can be compared with each other, and documents are what there is most of."""

_IMAGE = "image"
_TRUNCATIONS = ("none", "start", "end")

_INPUTS = ("texts", "images", "inputs")

EMBED_WORDS = {
    "passages[]": "texts[]",
    "passages[].images": "images",
    "task": "input_type",
    "dimensions": "output_dimension",
    "kinds": "embedding_types",
}
"""`Question.words` of a request for vectors."""

RERANK_WORDS = {"top": "top_n", "max_tokens": "max_tokens_per_doc", "echo": "return_documents"}
"""`Question.words` of a request for an order."""


class Form(NamedTuple):
    """A place where Cohere's form is spoken."""

    dialect: str
    version: int
    """1 or 2."""
    fields: frozenset[str] | None = None
    """What a request for vectors may have beside its inputs and what they are for; None: all there is."""


class _Billed(msgspec.Struct):
    input_tokens: float | None = None
    text_tokens: float | None = None
    image_tokens: float | None = None
    search_units: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None
    tokens: _Billed | None = None


def read_meta(value: Any) -> tuple[Usage | None, int | None]:
    """Tokens and search units of a `meta`. One of the wrong shape tells neither.

    Billed are texts and pictures apart: `input_tokens` holds the pictures only where `text_tokens` stands beside it.
    """
    try:
        meta = msgspec.convert(value, _Meta, strict=False)
    except msgspec.ValidationError:
        return None, None
    billed = meta.billed_units or _Billed()
    tokens = next((one for one in (billed, meta.tokens) if one and (one.input_tokens is not None or one.image_tokens is not None)), None)
    searches = None if billed.search_units is None else int(billed.search_units)
    if tokens is None:
        return None, searches
    given, text, pictures = (natural(None if n is None else int(n)) for n in (tokens.input_tokens, tokens.text_tokens, tokens.image_tokens))
    return Usage(input=max(given, text + pictures) if text else given + pictures), searches


# Vectors: a client's request and a provider's.


def read_embed(body: Extra, form: Form) -> Embedding:
    """The request. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        rest.pop("stream", None)
        local = {key: rest.pop(key) for key in _INPUTS if rest.get(key) is not None}
        passages = [Passage(text=text) for text in take_strings(dict(local), "texts") or ()]
        passages += [Passage(images=[_picture(url)]) for url in take_strings(dict(local), "images") or ()]
        passages += [_input(value, f"inputs[{i}]") for i, value in enumerate(items(local.get("inputs", []), "inputs"))]
        kinds = take_strings(rest, "embedding_types")
        meant = take_str(rest, "input_type")
        if meant == _IMAGE:
            local["input_type"] = meant
        elif meant is not None and meant not in TASKS:
            rest["input_type"] = meant
        truncate = take_str(rest, "truncate")
        if truncate is not None and truncate.lower() not in _TRUNCATIONS:
            rest["truncate"], truncate = truncate, None
        return Embedding(
            dialect=form.dialect,
            words=EMBED_WORDS,
            model=take_str(rest, "model") or "",
            passages=passages,
            dimensions=take_int(rest, "output_dimension"),
            max_tokens=take_int(rest, "max_tokens"),
            kinds=kinds,
            task=TASKS.get(meant or ""),
            truncate=truncate.lower() if truncate else None,
            extra=rest,
            local=local,
            asked={"kinds": kinds or (None if form.version == 1 else ["float"]), "texts": local.get("texts", [])},
        )


def _picture(url: str) -> Image:
    inside = data_url(url)
    return Image(media_type=inside[0], data=inside[1]) if inside else Image(url=url)


def _input(value: Any, path: str) -> Passage:
    rest = obj(value, path)
    texts: list[str] = []
    images: list[Image] = []
    others: list[Any] = []
    for i, part in enumerate(items(rest.pop("content", None), path + ".content")):
        inner = obj(part, f"{path}.content[{i}]")
        match inner.get("type"):
            case "text":
                texts.append(need_str(inner, "text", f"{path}.content[{i}]."))
            case "image_url":
                where = f"{path}.content[{i}].image_url"
                images.append(_picture(need_str(obj(inner.get("image_url"), where), "url", where + ".")))
            case _:
                others.append(part)
    return Passage(text="\n".join(texts), images=images, extra={**rest, "content": others} if others else rest)


def write_embed(question: Embedding, form: Form) -> Extra:
    """The request without the model's name. What the form has no field for is named as lost."""
    if question.dialect == form.dialect and question.local:
        body = {**question.extra, **question.local}
        if question.task is not None:
            body["input_type"] = _TYPES[question.task]
        if question.kinds is not None:
            body["embedding_types"] = question.kinds
    else:
        vectors.lose_extras(question)
        body = {**_written(question), "input_type": _type(question)}
        kinds = question.numbers
        if form.version == 2 or kinds != ["float"]:
            body["embedding_types"] = kinds
        vectors.lose_titles(question)
        if question.user is not None:
            question.drop("user")
    settings = {"output_dimension": question.dimensions, "max_tokens": question.max_tokens}
    for (field, value), name in zip(settings.items(), ("dimensions", "max_tokens"), strict=True):
        if value is None:
            continue
        if form.fields is None or field in form.fields:
            body[field] = value
        else:
            question.drop(name)
    if question.truncate is not None:
        body["truncate"] = question.truncate.upper()
    return body


def _type(question: Embedding) -> str:
    task = question.task
    if task is None:
        return _IMAGE if question.passages and all(passage.images and not passage.text for passage in question.passages) else _DEFAULT
    if task not in _TYPES:
        question.drop("task")
    return _TYPES.get(task) or _NEAREST.get(task, _DEFAULT)


def _written(question: Embedding) -> Extra:
    passages = question.passages
    if not any(passage.images for passage in passages):
        return {"texts": vectors.texts(question)}
    if all(len(passage.images) == 1 and not passage.text for passage in passages):
        return {"images": [vectors.inline(passage.images[0]) for passage in passages]}
    inputs: list[Extra] = []
    for passage in passages:
        if passage.tokens is not None:
            vectors.text(passage, question)
        content: list[Extra] = [{"type": "text", "text": passage.text}] if passage.text else []
        content += [{"type": "image_url", "image_url": {"url": vectors.inline(image)}} for image in passage.images]
        inputs.append({"content": content})
    return {"inputs": inputs}


# Vectors: a provider's answer and a client's.


def read_embedded(body: Any, form: Form) -> Embedded:
    """The answer. Raises `ValueError` when it is none."""
    rest = obj(body, "$")
    given = rest.pop("embeddings", None)
    found: list[Vector] = []
    if type(given) is dict:
        for kind, values in given.items():
            path = f"embeddings.{kind}"
            found += [vectors.vector(value, f"{path}[{i}]", kind) for i, value in enumerate(items([] if values is None else values, path))]
    else:
        found = [vectors.vector(value, f"embeddings[{i}]") for i, value in enumerate(items(given, "embeddings"))]
    raw = take_obj(rest, "meta")
    return Embedded(
        dialect=form.dialect,
        model=take_str(rest, "model") or "",
        id=take_str(rest, "id") or "",
        vectors=found,
        usage=read_meta(raw)[0],
        usage_raw=raw,
        extra=rest,
        local={"bare": True} if type(given) is list else {},
    )


def write_embedded(answer: Embedded, form: Form) -> Extra:
    """The answer for a client, as it asked."""
    own = answer.dialect == form.dialect
    body: Extra = {**answer.extra, "id": answer.id} if own else {"id": answer.id, "texts": answer.asked.get("texts", [])}
    kinds = answer.asked.get("kinds")
    bare = "bare" in answer.local if own else kinds is None
    if own:
        given = list(dict.fromkeys(one.kind for one in answer.vectors)) or ["float"]
    else:
        given = [kind for kind in kinds or ("float",) if vectors.of_kind(answer.vectors, _made(kind))]
        if not given:
            given = ["float"]
            vectors.floats(answer)
    by_kind = {kind: [_numbers(one, kind) for one in vectors.of_kind(answer.vectors, _made(kind))] for kind in given}
    body["embeddings"] = by_kind["float"] if bare else by_kind
    if not own:
        body["response_type"] = "embeddings_floats" if bare else "embeddings_by_type"
    if answer.usage_raw is not None and own:
        body["meta"] = answer.usage_raw
    elif not own:
        body["meta"] = _meta(answer.usage, form)
    return body


def _made(kind: str) -> str:
    return "float" if kind == "base64" else kind


def _numbers(one: Vector, kind: str) -> Any:
    return one.base64() if kind == "base64" else one.numbers()


def _meta(usage: Usage | None, form: Form, searches: int | None = None) -> Extra:
    billed: Extra = {}
    if usage is not None:
        billed["input_tokens"] = usage.input
    if searches is not None:
        billed["search_units"] = searches
    return {"api_version": {"version": str(form.version)}, **({"billed_units": billed} if billed else {})}


# Orders of documents.


def read_rerank(body: Extra, form: Form) -> Rerank:
    """The request. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        rest.pop("stream", None)
        documents = items(rest.pop("documents", None), "documents")
        top = take_int(rest, "top_n")
        return Rerank(
            dialect=form.dialect,
            words=RERANK_WORDS,
            model=take_str(rest, "model") or "",
            query=need_str(rest, "query"),
            documents=[value if type(value) is str else obj(value, f"documents[{i}]") for i, value in enumerate(documents)],
            top=top,
            echo=take_bool(rest, "return_documents"),
            max_tokens=take_int(rest, "max_tokens_per_doc"),
            extra=rest,
            asked={"top": top, "documents": documents if body.get("return_documents") else None},
        )


def write_rerank(question: Rerank, form: Form) -> Extra:
    """The request without the model's name. Only the first version repeats documents; whoever writes the answer does that, too."""
    own = question.dialect == form.dialect
    if not own:
        question.drop_extra(question.extra)
        if question.truncate is False:
            question.drop("truncate")
    documents = question.documents if own else [vectors.document_text(document) for document in question.documents]
    body: Extra = {**(question.extra if own else {}), "query": question.query, "documents": documents}
    settings = {"top_n": question.top, "max_tokens_per_doc": question.max_tokens, "return_documents": question.echo if own else None}
    return body | {field: value for field, value in settings.items() if value is not None}


def read_ranking(body: Any, form: Form) -> Ranking:
    """The answer. Raises `ValueError` when it is none."""
    rest = obj(body, "$")
    results = [_ranked(value, f"results[{i}]") for i, value in enumerate(items(rest.pop("results", None), "results"))]
    usage, searches = read_meta(rest.get("meta"))
    return Ranking(
        dialect=form.dialect,
        model=take_str(rest, "model") or "",
        id=take_str(rest, "id") or "",
        results=results,
        usage=usage,
        searches=searches,
        extra=rest,
    )


def _ranked(value: Any, path: str) -> Ranked:
    rest = obj(value, path)
    path += "."
    index, score = take_int(rest, "index", path), take_number(rest, "relevance_score", path)
    if index is None or score is None:
        raise ValueError(f"{path[:-1]}: expected an index and a relevance_score")
    document = take_obj(rest, "document", path)
    return Ranked(index=index, score=score, document=document, extra=rest)


def write_ranking(answer: Ranking, form: Form) -> Extra:
    """The answer for a client, with its documents where it wants them again."""
    own = answer.dialect == form.dialect
    documents = None if own else answer.asked.get("documents")
    body: Extra = {**answer.extra} if own else {}
    if answer.id:
        body["id"] = answer.id
    body["results"] = [_place(ranked, documents) for ranked in vectors.best(answer)]
    if not own:
        body["meta"] = _meta(answer.usage, form, answer.searches)
    return body


def _place(ranked: Ranked, documents: list[Any] | None) -> Extra:
    written: Extra = {**ranked.extra, "index": ranked.index, "relevance_score": ranked.score}
    document = vectors.repeated(ranked, documents)
    if document is not None:
        written["document"] = {"text": document} if type(document) is str else document
    return written
