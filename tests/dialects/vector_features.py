"""What requests for vectors and orders can hold, feature by feature: how the hub says it, and how it is found again."""

from collections.abc import Callable
from typing import Any, NamedTuple

from extproc.dialects.hub import Embedding, Image, Passage, Question, Rerank

PICTURE = "iVBORw0KGgo="


class Feature(NamedTuple):
    """One thing that a request may ask for."""

    name: str
    make: Callable[[], Question]
    found: Callable[[Any], bool]
    """Whether it is there."""


def asked(*passages: Passage, **fields: Any) -> Embedding:
    """A short request for vectors with something special about it."""
    question = Embedding(dialect="hub", model="m", passages=list(passages) or [Passage(text="a")])
    for name, value in fields.items():
        setattr(question, name, value)
    return question


def field(name: str, value: Any, label: str = "") -> Feature:
    """One field of a request for vectors."""
    return Feature(label or name, lambda: asked(**{name: value}), lambda question: getattr(question, name) == value)


def ranked(name: str, value: Any, label: str = "") -> Feature:
    """One field of a request for an order."""

    def make() -> Rerank:
        question = Rerank(dialect="hub", model="m", query="q", documents=["a", "b"])
        setattr(question, name, value)
        return question

    return Feature(label or name, make, lambda question: getattr(question, name) == value)


def _kind(kind: str) -> Feature:
    return Feature(f"numbers: {kind}", lambda: asked(kinds=[kind]), lambda question: kind in question.numbers)


VECTORS = [
    Feature("a text", lambda: asked(Passage(text="a")), lambda q: [p.text for p in q.passages] == ["a"]),
    Feature("several texts", lambda: asked(Passage(text="a"), Passage(text="b")), lambda q: [p.text for p in q.passages] == ["a", "b"]),
    Feature("tokens", lambda: asked(Passage(tokens=[1, 2])), lambda q: [p.tokens for p in q.passages] == [[1, 2]]),
    Feature(
        "a picture",
        lambda: asked(Passage(images=[Image(media_type="image/png", data=PICTURE)])),
        lambda q: [image.data for p in q.passages for image in p.images] == [PICTURE] and not q.passages[0].text,
    ),
    Feature(
        "a text and a picture as one",
        lambda: asked(Passage(text="a", images=[Image(media_type="image/png", data=PICTURE)])),
        lambda q: len(q.passages) == 1 and bool(q.passages[0].images) and q.passages[0].text == "a",
    ),
    Feature("title", lambda: asked(Passage(text="a", title="t"), task="document"), lambda q: q.passages[0].title == "t"),
    field("dimensions", 256),
    *(field("task", task, f"for: {task}") for task in ("query", "document", "similarity", "classification", "clustering")),
    *(field("task", task, f"for: {task}") for task in ("question_answering", "fact_verification", "code_query")),
    field("truncate", "none", "too long: an error"),
    field("truncate", "end", "too long: cut at the end"),
    field("truncate", "start", "too long: cut at the start"),
    field("max_tokens", 100, "most tokens of an input"),
    *map(_kind, ("int8", "uint8", "binary", "ubinary")),
    field("user", "user-1"),
]

ORDERS = [
    Feature("documents", lambda: ranked("documents", ["a", "b"]).make(), lambda q: q.documents == ["a", "b"]),
    Feature(
        "documents with fields",
        lambda: ranked("documents", [{"title": "t", "text": "a"}]).make(),
        lambda q: q.documents == [{"title": "t", "text": "a"}],
    ),
    ranked("top", 1, "how many"),
    ranked("max_tokens", 100, "most tokens of a document"),
    ranked("truncate", False, "too long: an error"),
    ranked("echo", True, "documents in the answer"),
]
