"""OpenAI's embeddings: https://platform.openai.com/docs/api-reference/embeddings

Others speak the same with a few more fields, each by names of its own: what vectors are for (Voyage's and NVIDIA's `input_type`, Jina's
`task`), of which numbers they consist (`output_dtype` of Voyage and Mistral, Jina's `embedding_type`), how many (`output_dimension`), what
becomes of a text that is too long. All are read; which of them a provider takes is its catalogue entry's to say (`quirks.Vectors`).
"""

from types import MappingProxyType
from typing import Any

from extproc.dialects import vectors
from extproc.dialects.fields import FieldError, data_url, items, obj, refusing, take_int, take_str
from extproc.dialects.hub import Embedded, Embedding, Extra, Image, Passage, Vector
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.tokens import read_usage
from extproc.dialects.quirks import NONE, Quirks, Vectors, finished

TASKS = MappingProxyType(
    {
        "query": "query",
        "search_query": "query",
        "retrieval.query": "query",
        "document": "document",
        "passage": "document",
        "search_document": "document",
        "retrieval.passage": "document",
        "similarity": "similarity",
        "text-matching": "similarity",
        "classification": "classification",
        "clustering": "clustering",
        "separation": "clustering",
        "question_answering": "question_answering",
        "fact_verification": "fact_verification",
        "code_query": "code_query",
        "code.query": "code_query",
        "nl2code.query": "code_query",
    }
)
"""Words for what vectors are for, in anybody's requests of this dialect, and the hub's."""

_TRUNCATIONS: dict[str | bool, str] = {True: "end", False: "none", "NONE": "none", "START": "start", "END": "end"}
_KINDS = ("float", "base64", "int8", "uint8", "binary", "ubinary")

_TASK, _TRUNCATE = ("input_type", "task"), ("truncation", "truncate")
_DIMENSIONS, _KIND = ("dimensions", "output_dimension"), ("output_dtype", "embedding_type")
_USUAL = Vectors()


class Embeddings:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = obj(body, "$")
            rest.pop("stream", None)
            model = take_str(rest, "model") or ""
            given = rest.pop("input", None)
            passages, plain = _passages(given)
            words = {"passages[]": "input[]", "passages[].images": "input[]"}
            local: Extra = {} if all(type(value) is not dict for value in (given if type(given) is list else ())) else {"input": given}
            question = Embedding(dialect=NAME, words=words, model=model, passages=passages, plain=plain, extra=rest, local=local)
            for name, fields in (("dimensions", _DIMENSIONS), ("task", _TASK), ("truncate", _TRUNCATE), ("kinds", _KIND)):
                _take(question, name, fields, words)
            question.encoding = take_str(rest, "encoding_format")
            if question.encoding not in (None, "float", "base64"):
                raise FieldError("encoding_format", "`float` or `base64`", question.encoding)
            question.user = take_str(rest, "user")
            kind = question.kinds[0] if question.kinds and question.kinds[0] != "base64" else "float"
            question.asked = {"encoding": "base64" if question.kinds == ["base64"] else question.encoding, "kind": kind}
            return question

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        own, said = question.dialect == NAME, quirks.vectors or _USUAL
        body: Extra = {**question.extra} if own else {}
        body |= {"model": model, "input": _input(question, said)}
        if question.encoding is not None:
            body["encoding_format"] = question.encoding
        if question.user is not None:
            body["user"] = question.user
        if own:
            return body | question.local
        vectors.lose_extras(question)
        _settings(body, question, said)
        vectors.lose_titles(question)
        vectors.lose(question, "max_tokens")
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Any) -> Embedded:
        rest = obj(body, "$")
        data = items(rest.pop("data", None), "data")
        found = vectors.in_order([_vector(value, f"data[{i}]") for i, value in enumerate(data)])
        raw = rest.pop("usage", None)
        if rest.get("object") == "list":
            del rest["object"]
        return Embedded(
            dialect=NAME,
            model=take_str(rest, "model") or "",
            id=take_str(rest, "id") or "",
            vectors=found,
            usage=read_usage(raw),
            usage_raw=raw if type(raw) is dict else None,
            extra=rest,
        )

    def write_answer(self, answer: Embedded) -> Extra:
        own = answer.dialect == NAME
        body: Extra = {**answer.extra} if own else {}
        body |= {"object": "list", "data": _data(answer, own=own), "model": answer.model}
        if answer.id:
            body["id"] = answer.id  # OpenAI's own have none; Mistral's clients want one
        if own and answer.usage_raw is not None:
            body["usage"] = answer.usage_raw
        elif answer.usage is not None or not own:
            tokens = answer.usage.input if answer.usage else 0
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return body


# Requests.


def _take(question: Embedding, name: str, fields: tuple[str, ...], words: dict[str, str]) -> None:
    """Reads what the hub calls `name` from the first of `fields` that says something known; its own dialect writes that back."""
    rest = question.extra
    for field in fields:
        value = rest.get(field)
        if value is None:
            continue
        meant = take_int(dict(rest), field) if name == "dimensions" else _meaning(name, value)
        if meant is None:
            continue
        question.local[field] = rest.pop(field)
        setattr(question, name, meant)
        words[name] = field
        return


def _meaning(name: str, value: Any) -> Any:
    if type(value) is not str and type(value) is not bool:
        return None
    match name:
        case "task":
            return TASKS.get(str(value).lower())
        case "truncate":
            return _TRUNCATIONS.get(value.upper() if type(value) is str else value)
        case _:
            return [value] if value in _KINDS else None


def _passages(given: Any) -> tuple[list[Passage], bool]:
    if type(given) is str:
        return [Passage(text=given)], True
    values = items(given, "input")
    if values and all(type(value) is int for value in values):
        return [Passage(tokens=values)], True
    return [_passage(value, f"input[{i}]") for i, value in enumerate(values)], False


def _passage(value: Any, path: str) -> Passage:
    if type(value) is str:
        return Passage(text=value)
    if type(value) is list and all(type(token) is int for token in value):
        return Passage(tokens=value)
    if type(value) is dict and (type(value.get("text")) is str or type(value.get("image")) is str):
        return _described(obj(value, path), path + ".")
    raise FieldError(path, "a string or a list of tokens", value)


def _described(rest: Extra, path: str) -> Passage:
    """Jina's form, for models that see: a text, a picture (its URL or its base64), or both."""
    text, image = take_str(rest, "text", path) or "", take_str(rest, "image", path)
    if image is None:
        return Passage(text=text, extra=rest)
    inside = data_url(image)
    if inside:
        return Passage(text=text, images=[Image(media_type=inside[0], data=inside[1])], extra=rest)
    picture = Image(url=image) if image.startswith(("http://", "https://")) else Image(data=image)
    return Passage(text=text, images=[picture], extra=rest)


def _input(question: Embedding, said: Vectors) -> Any:
    written: list[Any] = []
    for passage in question.passages:
        if passage.tokens is not None:
            written.append(passage.tokens)
        elif passage.images and said.pictures:
            (picture, *others) = passage.images
            if others:
                question.drop("passages[].images")
            written.append({**({"text": passage.text} if passage.text else {}), "image": picture.data or picture.url})
        else:
            text = passage.text if question.dialect == NAME else vectors.text(passage, question)
            written.append({"text": text} if said.pictures and any(one.images for one in question.passages) else text)
    alone = question.plain and len(written) == 1 and type(written[0]) is not dict
    return written[0] if alone else written


def _settings(body: Extra, question: Embedding, said: Vectors) -> None:
    """What OpenAI has no words for, in the provider's own, as far as it has them; what it has none for is named as lost.

    OpenAI's own models make one kind of vector for all purposes; those of others would make another one.
    """
    if question.dimensions is not None:
        body[said.dimensions] = question.dimensions
    if question.task is not None:
        words = {str(task): word for task, word in said.tasks.items()}
        _say(body, question, "task", said.task, words.get(question.task))
    if question.truncate is not None:
        cuts = {str(cut): word for cut, word in said.truncations.items()}
        _say(body, question, "truncate", said.truncate, cuts.get(question.truncate))
    kind, *others = question.numbers
    if kind != "float" or others:
        _say(body, question, "kinds", said.kind, kind)
        if others:
            question.drop("kinds")


def _say(body: Extra, question: Embedding, name: str, field: str | None, word: str | bool | None) -> None:
    if field is None or word is None:
        question.drop(name)
    else:
        body[field] = word


# Answers.


def _vector(value: Any, path: str) -> tuple[int | None, Vector]:
    """A vector and its index, if it tells one."""
    rest = obj(value, path)
    embedding = rest.pop("embedding", None)
    if rest.get("object") == "embedding":
        del rest["object"]
    index = rest.pop("index", None)
    found = vectors.vector(embedding, path + ".embedding")
    found.extra = rest
    return index if type(index) is int else None, found


def _data(answer: Embedded, *, own: bool) -> list[Extra]:
    """The vectors: as they were; or else those of the kind that the client wants, as it wants them."""
    if own:
        given = [(one.extra, one.packed if one.values is None else one.values) for one in answer.vectors]
    else:
        wanted = vectors.wanted(answer, answer.asked.get("kind", "float"), "float")
        packed = answer.asked.get("encoding") == "base64"
        given = [({}, one.base64() if packed else one.numbers()) for one in wanted]
    return [{**extra, "object": "embedding", "index": i, "embedding": embedding} for i, (extra, embedding) in enumerate(given)]
