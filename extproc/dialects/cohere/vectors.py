"""Embeddings, in both of Cohere's versions, and reranking: https://docs.cohere.com/reference/embed, https://docs.cohere.com/reference/rerank"""

from extproc.dialects import cohere_vectors
from extproc.dialects.cohere.parts import NAME
from extproc.dialects.cohere_vectors import Form
from extproc.dialects.hub import Embedded, Embedding, Extra, Ranking, Rerank
from extproc.dialects.quirks import NONE, Quirks, finished


class Embeddings:
    """See `dialect.Operation`."""

    def __init__(self, version: int) -> None:
        """`version`: 1 or 2."""
        self._form = Form(NAME, version)

    def read_request(self, body: Extra) -> Embedding:
        return cohere_vectors.read_embed(body, self._form)

    def write_request(self, question: Embedding, model: str, quirks: Quirks = NONE) -> Extra:
        return finished({"model": model, **cohere_vectors.write_embed(question, self._form)}, quirks, question.drop)

    def read_answer(self, body: Extra) -> Embedded:
        return cohere_vectors.read_embedded(body, self._form)

    def write_answer(self, answer: Embedded) -> Extra:
        return cohere_vectors.write_embedded(answer, self._form)


class Reranking:
    """See `dialect.Operation`. Cohere's first version is asked for at a path that others have, too, and is their form: OpenAI's dialect."""

    _form = Form(NAME, 2)

    def read_request(self, body: Extra) -> Rerank:
        return cohere_vectors.read_rerank(body, self._form)

    def write_request(self, question: Rerank, model: str, quirks: Quirks = NONE) -> Extra:
        return finished({"model": model, **cohere_vectors.write_rerank(question, self._form)}, quirks, question.drop)

    def read_answer(self, body: Extra) -> Ranking:
        return cohere_vectors.read_ranking(body, self._form)

    def write_answer(self, answer: Ranking) -> Extra:
        return cohere_vectors.write_ranking(answer, self._form)
