"""Reranking in the form that servers of OpenAI's dialect share: Jina's (https://api.jina.ai/redoc), which vLLM, Infinity, Text Embeddings
Inference's clients and LiteLLM speak as well, and Cohere's first version spoke. Voyage says `top_k` and `data` for `top_n` and `results`.
"""

from typing import Any

from extproc.dialects.fields import items, need_str, obj, refusing, take_bool, take_int, take_number, take_str
from extproc.dialects.hub import Extra, Ranked, Ranking, Rerank
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.tokens import read_usage


class Reranking:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Rerank:
        with refusing():
            rest = obj(body, "$")
            documents = items(rest.pop("documents", None), "documents")
            top = take_int(rest, "top_n")
            return Rerank(
                dialect=NAME,
                model=take_str(rest, "model") or "",
                query=need_str(rest, "query"),
                documents=[value if type(value) is str else obj(value, f"documents[{i}]") for i, value in enumerate(documents)],
                top=take_int(rest, "top_k") if top is None else top,
                echo=take_bool(rest, "return_documents"),
                extra=rest,
                asked={"documents": documents} if body.get("return_documents") else {},
            )

    def write_request(self, question: Rerank, model: str) -> Extra:
        body: Extra = {**question.extra} if question.dialect == NAME else {}
        if question.dialect != NAME:
            question.drop_extra(question.extra)
        body |= {"model": model, "query": question.query, "documents": question.documents}
        if question.top is not None:
            body["top_n"] = question.top
        if question.echo is not None:
            body["return_documents"] = question.echo
        return body

    def read_answer(self, body: Extra) -> Ranking:
        rest = obj(body, "$")
        field = "results" if "results" in rest else "data"
        results = [_read(value, f"{field}[{i}]") for i, value in enumerate(items(rest.pop(field, None), field))]
        usage = read_usage(rest.get("usage"))
        return Ranking(
            dialect=NAME,
            model=take_str(rest, "model") or "",
            id=take_str(rest, "id") or "",
            results=results,
            usage=usage,
            extra=rest,
        )

    def write_answer(self, answer: Ranking) -> Extra:
        own = answer.dialect == NAME
        body: Extra = {**answer.extra} if own else {}
        if answer.id:
            body["id"] = answer.id
        documents = answer.asked.get("documents")
        body |= {"model": answer.model, "results": [_written(ranked, None if own else documents) for ranked in answer.results]}
        if not own and answer.usage:
            body["usage"] = {"total_tokens": answer.usage.total}
        return body


def _read(value: Any, path: str) -> Ranked:
    rest = obj(value, path)
    path += "."
    index, score, document = take_int(rest, "index", path), take_number(rest, "relevance_score", path), rest.pop("document", None)
    if index is None or score is None:
        raise ValueError(f"{path[:-1]}: expected an index and a relevance_score")
    return Ranked(index=index, score=score, document=document, extra=rest)


def _written(ranked: Ranked, documents: list[Any] | None) -> Extra:
    """`documents`: those of the request, where the client wants to have them again and the provider does not send them."""
    written: Extra = {**ranked.extra, "index": ranked.index, "relevance_score": ranked.score}
    document = ranked.document
    if document is None and documents is not None and ranked.index < len(documents):
        document = documents[ranked.index]
    if document is not None:
        written["document"] = {"text": document} if type(document) is str else document
    return written
