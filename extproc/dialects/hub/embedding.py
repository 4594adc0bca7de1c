"""Vectors for texts and pictures."""

import sys
from array import array
from base64 import b64decode, b64encode

from msgspec import Struct

from extproc.dialects.hub.blocks import Extra, Image
from extproc.dialects.hub.question import Question
from extproc.usage import Usage


class Passage(Struct, kw_only=True):
    """One thing to make a vector of: words, a picture, both, or tokens that the client has made itself."""

    text: str = ""
    images: list[Image] = []
    tokens: list[int] | None = None


class Embedding(Question, kw_only=True):
    """A request for vectors, one for each passage."""

    passages: list[Passage]
    plain: bool = False
    """There is one passage, and it was no list."""
    dimensions: int | None = None
    encoding: str | None = None
    """`float` or `base64` (32-bit floats, little-endian)."""
    kinds: list[str] | None = None
    """Numbers that the vectors are to consist of, each a list of its own: `float`, `int8`, `uint8`, `binary`, `ubinary`, `base64`."""
    task: str | None = None
    """What the vectors are for: `query`, `document`, `similarity`, `classification`, `clustering`, `question_answering`,
    `fact_verification`, `code_query`."""
    title: str | None = None
    """Of a document."""
    truncate: str | None = None
    """What of a passage that is too long is left out: `none` (it is an error), `start`, `end`."""
    user: str | None = None


class Vector(Struct, kw_only=True):
    """One vector, as numbers or as base64 of 32-bit floats, little-endian."""

    values: list[float] | None = None
    packed: str = ""
    kind: str = "float"
    extra: Extra = {}

    def numbers(self) -> list[float]:
        """The vector as numbers. Raises `ValueError` for what is no base64 of floats."""
        if self.values is not None:
            return self.values
        floats = array("f")
        floats.frombytes(b64decode(self.packed, validate=True))
        if sys.byteorder == "big":
            floats.byteswap()
        return floats.tolist()

    def base64(self) -> str:
        """The vector as base64."""
        if self.values is None:
            return self.packed
        floats = array("f", self.values)
        if sys.byteorder == "big":
            floats.byteswap()
        return b64encode(floats.tobytes()).decode()


class Embedded(Struct, kw_only=True):
    """The vectors, in the order of the passages; several kinds of numbers follow one another."""

    dialect: str
    model: str = ""
    id: str = ""
    vectors: list[Vector]
    usage: Usage | None = None
    usage_raw: Extra | None = None
    extra: Extra = {}
    asked: Extra = {}
    """See `Question.asked`."""
