"""Reranking in the forms that servers of OpenAI's dialect have, which OpenAI itself has not.

The common one is Jina's (https://api.jina.ai/redoc), which vLLM, Infinity and LiteLLM speak as well, and Cohere's first version spoke.
Voyage says `top_k` and `data` for `top_n` and `results` (https://docs.voyageai.com/reference/reranker-api), Text Embeddings Inference has
`texts` and answers with a bare list (https://huggingface.github.io/text-embeddings-inference), and vLLM also has scores in the order of the
documents (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#score-api).
"""

from typing import Any

from extproc.dialects import vectors
from extproc.dialects.fields import FieldError, items, need_str, obj, refusing, take_bool, take_int, take_number, take_str
from extproc.dialects.hub import Extra, Ranked, Ranking, Rerank
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.tokens import read_usage
from extproc.dialects.quirks import NONE, Quirks, finished

_VOYAGES = ("top_k", "truncation")
_WORDS = {"top": "top_n", "echo": "return_documents"}
_VOYAGE_WORDS = {"top": "top_k", "echo": "return_documents", "truncate": "truncation"}


class Reranking:
    """See `dialect.Operation`. Voyage's clients are answered in its words; they are known by theirs."""

    def read_request(self, body: Extra) -> Rerank:
        with refusing():
            rest = obj(body, "$")
            rest.pop("stream", None)
            voyage = any(field in rest for field in _VOYAGES) and "top_n" not in rest
            documents = items(rest.pop("documents", None), "documents")
            top = take_int(rest, "top_k" if voyage else "top_n")
            return Rerank(
                dialect=NAME,
                words=_VOYAGE_WORDS if voyage else _WORDS,
                model=take_str(rest, "model") or "",
                query=need_str(rest, "query"),
                documents=[value if type(value) is str else obj(value, f"documents[{i}]") for i, value in enumerate(documents)],
                top=top,
                truncate=take_bool(rest, "truncation") if voyage else None,
                echo=take_bool(rest, "return_documents"),
                extra=rest,
                asked={"top": top, "documents": documents if body.get("return_documents") else None, "voyage": voyage},
            )

    def write_request(self, question: Rerank, model: str, quirks: Quirks = NONE) -> Extra:
        own = question.dialect == NAME
        body = _begun(question, model)
        body["documents"] = question.documents
        if question.top is not None:
            body[question.words["top"] if own else "top_n"] = question.top
        if question.echo is not None:
            body["return_documents"] = question.echo
        if own and question.truncate is not None:
            body["truncation"] = question.truncate
        elif question.truncate is False:
            question.drop("truncate")
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Any) -> Ranking:
        rest = obj(body, "$")
        field = "results" if "results" in rest else "data"
        return Ranking(
            dialect=NAME,
            model=take_str(rest, "model") or "",
            id=take_str(rest, "id") or "",
            results=[_read(value, f"{field}[{i}]") for i, value in enumerate(items(rest.pop(field, None), field))],
            usage=read_usage(rest.get("usage")),
            extra=rest,
            local={"field": field},
        )

    def write_answer(self, answer: Ranking) -> Extra:
        own = answer.dialect == NAME
        voyage: bool = answer.asked.get("voyage", own and answer.local.get("field") == "data")
        body: Extra = {key: value for key, value in answer.extra.items() if key != "object"} if own else {}
        if voyage:
            body["object"] = "list"
        if answer.id:
            body["id"] = answer.id
        documents = answer.asked.get("documents")
        results = [_written(ranked, documents, bare=voyage) for ranked in vectors.best(answer)]
        body |= {"model": answer.model, "data" if voyage else "results": results}
        if not own and answer.usage:
            body["usage"] = {"total_tokens": answer.usage.total}
        return body


class VoyageReranking(Reranking):
    """The same in Voyage's words, in which only providers are asked: see `Quirks.forms`."""

    def write_request(self, question: Rerank, model: str, quirks: Quirks = NONE) -> Extra:
        body = _begun(question, model)
        body["documents"] = [vectors.document_text(document) for document in question.documents]
        settings = {"top_k": question.top, "return_documents": question.echo, "truncation": question.truncate}
        return finished(body | {field: value for field, value in settings.items() if value is not None}, quirks, question.drop)


class TextReranking(Reranking):
    """The same in the words of Text Embeddings Inference, in which only providers are asked. It has one model, and counts nothing."""

    def read_request(self, body: Extra) -> Rerank:
        return super().read_request({**body, "documents": body.get("texts"), "truncation": body.get("truncate")})

    def write_request(self, question: Rerank, model: str, quirks: Quirks = NONE) -> Extra:
        body = _begun(question, model)
        del body["model"]
        body["texts"] = [vectors.document_text(document) for document in question.documents]
        if question.truncate is not None:
            body["truncate"] = question.truncate
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Any) -> Ranking:
        results = [_read(value, f"[{i}]", score="score", document="text") for i, value in enumerate(items(body, "$"))]
        return Ranking(dialect=NAME, results=_best_first(results))


class Scoring:
    """See `dialect.Operation`. One text against many, in their own order."""

    def read_request(self, body: Extra) -> Rerank:
        with refusing():
            rest = obj(body, "$")
            rest.pop("stream", None)
            documents = rest.pop("text_2", None)
            values = [documents] if type(documents) is str else items(documents, "text_2")
            if any(type(value) is not str for value in values):
                raise FieldError("text_2", "a string or a list of them", values)
            model, query = take_str(rest, "model") or "", need_str(rest, "text_1")
            return Rerank(dialect=NAME, model=model, query=query, documents=values, extra=rest, local={"text_2": documents})

    def write_request(self, question: Rerank, model: str, quirks: Quirks = NONE) -> Extra:
        body = _begun(question, model)
        body["text_1"] = body.pop("query")
        texts = [vectors.document_text(document) for document in question.documents]
        return finished({**body, "text_2": texts, **question.local}, quirks, question.drop)

    def read_answer(self, body: Any) -> Ranking:
        rest = obj(body, "$")
        results = [_read(value, f"data[{i}]", score="score") for i, value in enumerate(items(rest.pop("data", None), "data"))]
        model, usage = take_str(rest, "model") or "", read_usage(rest.get("usage"))
        return Ranking(dialect=NAME, model=model, id=take_str(rest, "id") or "", results=_best_first(results), usage=usage, extra=rest)

    def write_answer(self, answer: Ranking) -> Extra:
        own = answer.dialect == NAME
        body: Extra = {**answer.extra} if own else {"object": "list"}
        if answer.id:
            body["id"] = answer.id
        places = sorted(answer.results, key=lambda ranked: ranked.index)
        body["data"] = [{**(one.extra if own else {"object": "score"}), "index": one.index, "score": one.score} for one in places]
        if not own and answer.usage:
            body["usage"] = {"prompt_tokens": answer.usage.input, "total_tokens": answer.usage.total}
        return {**body, "model": answer.model}


def _begun(question: Rerank, model: str) -> Extra:
    own = question.dialect == NAME
    if not own:
        question.drop_extra(question.extra)
        if question.max_tokens is not None:
            question.drop("max_tokens")
    return {**(question.extra if own else {}), "model": model, "query": question.query}


def _best_first(results: list[Ranked]) -> list[Ranked]:
    return sorted(results, key=lambda ranked: -ranked.score)


def _read(value: Any, path: str, *, score: str = "relevance_score", document: str = "document") -> Ranked:
    rest = obj(value, path)
    path += "."
    index, found = take_int(rest, "index", path), take_number(rest, score, path)
    if index is None or found is None:
        raise ValueError(f"{path[:-1]}: expected an index and a {score}")
    repeated = rest.pop(document, None)
    return Ranked(index=index, score=found, document=repeated if type(repeated) in (str, dict) else None, extra=rest)


def _written(ranked: Ranked, documents: list[Any] | None, *, bare: bool) -> Extra:
    """`documents`: those of the request, where the client wants to have them again. `bare`: as texts."""
    written: Extra = {**ranked.extra, "index": ranked.index, "relevance_score": ranked.score}
    document = vectors.repeated(ranked, documents)
    if document is not None:
        written["document"] = vectors.document_text(document) if bare else {"text": document} if type(document) is str else document
    return written
