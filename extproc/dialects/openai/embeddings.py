"""OpenAI's embeddings: https://platform.openai.com/docs/api-reference/embeddings

Others speak the same with a few more fields: Voyage's `input_type` (`query`, `document`) and `truncation`, Jina's `task`, Mistral's
`output_dtype`. They are read; what a provider calls a field differently is its catalogue entry's to say.
"""

from typing import Any

from extproc.dialects.fields import FieldError, items, obj, refusing, take_bool, take_int, take_number, take_str
from extproc.dialects.hub import Embedded, Embedding, Extra, Passage, Vector
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.tokens import read_usage
from extproc.dialects.openai.words import VECTOR_WORDS

_TASKS = ("query", "document")


class Embeddings:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = obj(body, "$")
            model = take_str(rest, "model") or ""
            passages, plain = _passages(rest.pop("input", None))
            task = rest.get("input_type")
            truncation = take_bool(rest, "truncation")
            return Embedding(
                dialect=NAME,
                words=VECTOR_WORDS,
                model=model,
                passages=passages,
                plain=plain,
                dimensions=take_int(rest, "dimensions"),
                encoding=take_str(rest, "encoding_format"),
                task=rest.pop("input_type") if task in _TASKS else None,
                truncate=None if truncation is None else "end" if truncation else "none",
                user=take_str(rest, "user"),
                extra=rest,
                asked={"encoding": body.get("encoding_format")},
            )

    def write_request(self, question: Embedding, model: str) -> Extra:
        own = question.dialect == NAME
        body: Extra = {**question.extra} if own else {}
        if not own:
            question.drop_extra(question.extra)
        body |= {"model": model, "input": _input(question)}
        if question.dimensions is not None:
            body["dimensions"] = question.dimensions
        if question.encoding is not None:
            body["encoding_format"] = question.encoding
        if question.user is not None:
            body["user"] = question.user
        if own:
            if question.task is not None:
                body["input_type"] = question.task
            if question.truncate is not None:
                body["truncation"] = question.truncate == "end"
            return body
        # OpenAI's own models make one kind of vector for all purposes, so that leaving the purpose out changes no answer of theirs;
        # but those of others would use it.
        for field in ("task", "title", "truncate"):
            if getattr(question, field) is not None:
                question.drop(field)
        if any(kind not in ("float", "base64") for kind in question.kinds or ()):
            question.drop("kinds")
        return body

    def read_answer(self, body: Extra) -> Embedded:
        rest = obj(body, "$")
        vectors = [_vector(value, f"data[{i}]") for i, value in enumerate(items(rest.pop("data", None), "data"))]
        raw = rest.pop("usage", None)
        if rest.get("object") == "list":
            del rest["object"]
        return Embedded(
            dialect=NAME,
            model=take_str(rest, "model") or "",
            id=take_str(rest, "id") or "",
            vectors=vectors,
            usage=read_usage(raw),
            usage_raw=raw if type(raw) is dict else None,
            extra=rest,
        )

    def write_answer(self, answer: Embedded) -> Extra:
        own = answer.dialect == NAME
        body: Extra = {**answer.extra} if own else {}
        packed = not own and answer.asked.get("encoding") == "base64"
        data = [_written(vector, i, own=own, packed=packed) for i, vector in enumerate(answer.vectors) if own or vector.kind == "float"]
        body |= {"object": "list", "data": data, "model": answer.model}
        if own and answer.id:
            body["id"] = answer.id
        if own and answer.usage_raw is not None:
            body["usage"] = answer.usage_raw
        elif answer.usage is not None or not own:
            tokens = answer.usage.input if answer.usage else 0
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return body


def _passages(given: Any) -> tuple[list[Passage], bool]:
    if type(given) is str:
        return [Passage(text=given)], True
    values = items(given, "input")
    if values and all(type(value) is int for value in values):
        return [Passage(tokens=values)], True
    passages: list[Passage] = []
    for i, value in enumerate(values):
        if type(value) is str:
            passages.append(Passage(text=value))
        elif type(value) is list and all(type(token) is int for token in value):
            passages.append(Passage(tokens=value))
        else:
            raise FieldError(f"input[{i}]", "a string or a list of tokens", value)
    return passages, False


def _input(question: Embedding) -> Any:
    written: list[Any] = []
    for passage in question.passages:
        if passage.images:
            question.drop("passages[].images")
        written.append(passage.text if passage.tokens is None else passage.tokens)
    return written[0] if question.plain and len(written) == 1 else written


def _vector(value: Any, path: str) -> Vector:
    rest = obj(value, path)
    path += "."
    embedding = rest.pop("embedding", None)
    if rest.get("object") == "embedding":
        del rest["object"]
    rest.pop("index", None)
    if type(embedding) is str:
        return Vector(packed=embedding, extra=rest)
    return Vector(values=[_number(number, path) for number in items(embedding, path + "embedding")], extra=rest)


def _number(value: Any, path: str) -> float:
    found = take_number({"embedding": value}, "embedding", path)
    if found is None:
        raise FieldError(path + "embedding", "numbers", value)
    return found


def _written(vector: Vector, index: int, *, own: bool, packed: bool) -> Extra:
    """`own`: as it was; else as the client wants it, `packed` or in numbers."""
    if own:
        embedding: Any = vector.values if vector.values is not None else vector.packed
        return {**vector.extra, "object": "embedding", "index": index, "embedding": embedding}
    return {"object": "embedding", "index": index, "embedding": vector.base64() if packed else vector.numbers()}
