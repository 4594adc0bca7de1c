"""Documents in the order of how well they answer a query."""

from msgspec import Struct

from extproc.dialects.hub.blocks import Extra
from extproc.dialects.hub.question import Question
from extproc.usage import Usage


class Rerank(Question, kw_only=True):
    """A request for an order."""

    query: str
    documents: list[str | Extra]
    """Texts, or objects with fields."""
    top: int | None = None
    """How many of the best are wanted; all, unless given."""
    echo: bool | None = None
    """The answer repeats the documents."""
    max_tokens: int | None = None
    """Tokens of a document that count; what is beyond is left out."""
    truncate: bool | None = None
    """Leave out what is beyond the model's limit; False: it is an error."""

    @property
    def remembered(self) -> Extra:
        """With `inputs`, of which there are places, and how many of them belong in the answer, `places`."""
        inputs = len(self.documents)
        return {**self.asked, "inputs": inputs, "places": inputs if self.top is None else min(self.top, inputs)}


class Ranked(Struct, kw_only=True):
    """One document's place."""

    index: int
    """In the request."""
    score: float
    """Higher is better; what it is a measure of is the model's own."""
    document: str | Extra | None = None
    extra: Extra = {}


class Ranking(Struct, kw_only=True):
    """The order, best first."""

    dialect: str
    model: str = ""
    id: str = ""
    results: list[Ranked]
    usage: Usage | None = None
    searches: int | None = None
    """What Cohere bills: up to 100 documents with one query."""
    extra: Extra = {}
    local: Extra = {}
    """See `Question.local`."""
    asked: Extra = {}
    """See `Question.asked`."""
