"""Ollama's embeddings: /api/embed, and the older /api/embeddings with one prompt and one vector.

https://docs.ollama.com/api/embed and https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embedding
"""

from extproc.dialects import vectors
from extproc.dialects.fields import FieldError, items, obj, refusing, take_bool, take_int, take_str
from extproc.dialects.hub import Embedded, Embedding, Extra, Passage, Vector
from extproc.dialects.ollama.parts import NAME
from extproc.dialects.ollama.watch import read_usage
from extproc.dialects.quirks import NONE, Quirks, finished

_WORDS = {"passages[]": "input[]"}
_TIMES = ("total_duration", "load_duration")


class Embed:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = obj(body, "$")
            rest.pop("stream", None)
            given = rest.pop("input", None)
            plain = type(given) is str
            texts = [given] if plain else items([] if given is None else given, "input")
            for i, text in enumerate(texts):
                if type(text) is not str:
                    raise FieldError(f"input[{i}]", "a string", text)
            truncate = take_bool(rest, "truncate")
            return Embedding(
                dialect=NAME,
                words=_WORDS,
                model=take_str(rest, "model") or "",
                passages=[Passage(text=text) for text in texts],
                plain=plain,
                dimensions=take_int(rest, "dimensions"),
                truncate=None if truncate is None else "end" if truncate else "none",
                extra=rest,
            )

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        texts = vectors.texts(question)
        body = _begun(question, model)
        body["input"] = texts[0] if question.plain and len(texts) == 1 else texts
        if question.dimensions is not None:
            body["dimensions"] = question.dimensions
        if question.truncate is not None:
            if question.truncate == "start":
                question.drop("truncate")
            body["truncate"] = question.truncate != "none"
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Extra) -> Embedded:
        rest = obj(body, "$")
        found = [vectors.vector(value, f"embeddings[{i}]") for i, value in enumerate(items(rest.pop("embeddings", None), "embeddings"))]
        return Embedded(dialect=NAME, model=take_str(rest, "model") or "", vectors=found, usage=read_usage(rest), extra=rest)

    def write_answer(self, answer: Embedded) -> Extra:
        numbers = [one.numbers() for one in vectors.floats(answer)]
        if answer.dialect == NAME:
            return {**answer.extra, "model": answer.model, "embeddings": numbers}
        counted = {"prompt_eval_count": answer.usage.input} if answer.usage else {}
        return {"model": answer.model, "embeddings": numbers, **dict.fromkeys(_TIMES, 0), **counted}


class EmbedPrompt:
    """See `dialect.Operation`. It tells no counts."""

    def read_request(self, body: Extra) -> Embedding:
        with refusing():
            rest = obj(body, "$")
            rest.pop("stream", None)
            model, prompt = take_str(rest, "model") or "", take_str(rest, "prompt") or ""
            words = {"passages[]": "prompt"}
            return Embedding(dialect=NAME, words=words, model=model, passages=[Passage(text=prompt)], plain=True, extra=rest)

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        body = _begun(question, model)
        body["prompt"] = vectors.text(vectors.only(question), question)
        vectors.lose(question, "dimensions", "truncate")
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Extra) -> Embedded:
        rest = obj(body, "$")
        return Embedded(dialect=NAME, vectors=[vectors.vector(rest.pop("embedding", None), "embedding")], extra=rest)

    def write_answer(self, answer: Embedded) -> Extra:
        found: list[Vector] = vectors.floats(answer)
        return {**(answer.extra if answer.dialect == NAME else {}), "embedding": found[0].numbers() if found else []}


def _begun(question: Embedding, model: str) -> Extra:
    """The request as far as both forms agree. What neither can say is named."""
    if question.dialect == NAME:
        return {**question.extra, "model": model}
    vectors.lose_extras(question)
    vectors.lose_titles(question)
    vectors.lose(question, "task", "max_tokens", "user")
    if question.numbers != ["float"]:
        question.drop("kinds")
    return {"model": model}
