"""What all dialects' embeddings and rankings share: lists of numbers, and what a provider that takes no more than texts can be asked."""

from collections import Counter
from typing import Any

import msgspec

from extproc.dialects.fields import FieldError
from extproc.dialects.hub import Embedded, Embedding, Extra, Image, Passage, Ranked, Ranking, Vector
from extproc.errors import Reject

_NUMBERS = frozenset((int, float))


def numbers(value: Any, path: str) -> list[float]:
    """A list of numbers."""
    # A vector has thousands: they are looked at in C, all at once.
    if type(value) is not list or not _NUMBERS.issuperset(map(type, value)):
        raise FieldError(path, "a list of numbers", value)
    return value


def vector(value: Any, path: str, kind: str = "float") -> Vector:
    """A vector, in numbers or in base64."""
    return Vector(packed=value, kind=kind) if type(value) is str else Vector(values=numbers(value, path), kind=kind)


def of_kind(vectors: list[Vector], kind: str) -> list[Vector]:
    """Those of a kind of numbers; of floats, the packed ones too."""
    kinds = ("float", "base64") if kind == "float" else (kind,)
    return [one for one in vectors if one.kind in kinds]


def text(passage: Passage, question: Embedding) -> str:
    """Its words, for a provider that takes nothing else. Pictures beside them are named as lost.

    Raises `Reject` 400 for a passage without words: there would be nothing to make a vector of.
    """
    if passage.tokens is not None:
        raise refused(question, "The model's provider takes texts, and no tokens. Send the texts.")
    if passage.images:
        if not passage.text:
            raise refused(question, "The model's provider makes no vectors of pictures.")
        question.drop("passages[].images")
    return passage.text


def texts(question: Embedding) -> list[str]:
    """The words of all passages. Raises as `text` does."""
    return [text(passage, question) for passage in question.passages]


def only(question: Embedding) -> Passage:
    """The one passage, for a provider that takes one a request. Raises `Reject` 400 where there are several, or none."""
    if len(question.passages) != 1:
        asked = f"the request has {len(question.passages)}"
        raise refused(question, f"The model's provider takes one input a request, and {asked}. Send each in a request of its own.")
    return question.passages[0]


def refused(question: Embedding, why: str) -> Reject:
    """What to raise for passages that a provider cannot be asked about."""
    name = question.words.get("passages[]", "passages[]")
    return Reject(400, "unsupported_input", why, param=name.partition("[")[0])


def lose(question: Embedding, *names: str) -> None:
    """Names what of these was asked for as lost."""
    for name in names:
        if getattr(question, name) is not None:
            question.drop(name)


def lose_titles(question: Embedding) -> None:
    """Names titles as lost."""
    if any(passage.title for passage in question.passages):
        question.drop("passages[].title")


def lose_extras(question: Embedding) -> None:
    """Names what only another dialect could have said."""
    question.drop_extra(question.extra)
    for passage in question.passages:
        question.drop_extra(passage.extra, "passages[].")


def inline(image: Image) -> str:
    """A picture as the URL that holds it, or that leads to it."""
    return f"data:{image.media_type or 'image/png'};base64,{image.data}" if image.data else image.url


def document_text(document: str | Extra) -> str:
    """A document as a text: the one that it consists of, or its fields as JSON."""
    if type(document) is str:
        return document
    if type(document) is dict and list(document) == ["text"] and type(document["text"]) is str:
        return document["text"]
    return msgspec.json.encode(document).decode()


def check(answer: object) -> None:
    """Raises `ValueError` for an answer that is not about what was asked (`Question.remembered`): where vectors or places are missing, or
    too many, nobody can tell which belongs to what.
    """
    if isinstance(answer, Embedded):
        inputs = answer.asked.get("inputs")
        counts = Counter(one.kind for one in answer.vectors)
        if inputs is not None and any(count != inputs for count in counts.values() or (0,)):
            raise ValueError(f"it has {_listed(counts)} for {inputs} inputs")
    elif isinstance(answer, Ranking) and "inputs" in answer.asked:
        inputs, places = answer.asked["inputs"], {ranked.index for ranked in answer.results}
        if len(places) != len(answer.results) or not places <= {*range(inputs)}:
            raise ValueError(f"it names documents twice, or others than the {inputs} that there are")
        if len(places) < answer.asked["places"]:
            raise ValueError(f"it has {len(places)} places of {answer.asked['places']}")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} vectors of kind {kind}" for kind, count in counts.items()) or "no vectors"


def in_order(found: list[tuple[int | None, Vector]]) -> list[Vector]:
    """Vectors by the indices that they were given; None: the one of its place. Raises `ValueError` where one is there twice or missing."""
    placed = {place if index is None else index: one for place, (index, one) in enumerate(found)}
    if len(placed) != len(found) or not placed.keys() <= {*range(len(found))}:
        raise ValueError("indices of its vectors are missing, or there twice")
    return [placed[index] for index in range(len(found))]


def floats(answer: Embedded) -> list[Vector]:
    """The vectors of floats. Raises `ValueError` where there are others alone."""
    return wanted(answer, "float")


def wanted(answer: Embedded, *kinds: str) -> list[Vector]:
    """The vectors of the first of these kinds that there is. Raises `ValueError` where there are others alone."""
    found = next((found for kind in kinds if (found := of_kind(answer.vectors, kind))), [])
    if answer.vectors and not found:
        raise ValueError(f"it has no vectors of kind {kinds[-1]}")
    return found


def best(answer: Ranking) -> list[Ranked]:
    """The places that the client wants, best first: some providers rank all there are, or tell them in another order."""
    results = sorted(answer.results, key=lambda ranked: -ranked.score)
    return results[: answer.asked.get("top")]


def repeated(ranked: Ranked, documents: list[Any] | None) -> str | Extra | None:
    """The document of a place: as the provider repeats it, or else as it was sent (`documents`, where the client wants it again)."""
    if ranked.document is not None or documents is None:
        return ranked.document
    found: str | Extra | None = documents[ranked.index] if 0 <= ranked.index < len(documents) else None
    return found
