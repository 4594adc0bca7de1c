"""Vectors for texts and pictures."""

import sys
from array import array
from base64 import b64decode, b64encode
from typing import Final

from msgspec import Struct

from extproc.dialects.hub.blocks import Extra, Image
from extproc.dialects.hub.question import Question
from extproc.usage import Usage

TASKS: Final = (
    "query",
    "document",
    "similarity",
    "classification",
    "clustering",
    "question_answering",
    "fact_verification",
    "code_query",
)
"""What vectors may be for."""

_TYPECODES: Final = {"float": "f", "base64": "f", "int8": "b", "binary": "b", "uint8": "B", "ubinary": "B"}
"""Kinds of numbers, as `array` knows them: bits come eight to a number, signed or not."""


class Passage(Struct, kw_only=True):
    """One thing to make a vector of: words, a picture, both, or tokens that the client has made itself."""

    text: str = ""
    images: list[Image] = []
    tokens: list[int] | None = None
    title: str = ""
    """Of a document."""
    extra: Extra = {}
    local: Extra = {}
    """See `Question.local`."""


class Embedding(Question, kw_only=True):
    """A request for vectors, one for each passage."""

    passages: list[Passage]
    plain: bool = False
    """There is one passage, and it was no list."""
    dimensions: int | None = None
    encoding: str | None = None
    """`float` or `base64` (32-bit floats, little-endian)."""
    kinds: list[str] | None = None
    """Numbers that the vectors are to consist of, each a list of its own: `float`, `int8`, `uint8`, `binary`, `ubinary`; or `base64`, the
    floats packed."""
    task: str | None = None
    """What the vectors are for: one of `TASKS`."""
    truncate: str | None = None
    """What of a passage that is too long is left out: `none` (it is an error), `start`, `end`."""
    max_tokens: int | None = None
    """Tokens of a passage that count; what is beyond is left out."""
    user: str | None = None

    @property
    def numbers(self) -> list[str]:
        """The kinds that a provider has to make: floats, unless others are wanted. What is packed is packed here."""
        return list(dict.fromkeys("float" if kind == "base64" else kind for kind in self.kinds or ("float",))) or ["float"]

    @property
    def remembered(self) -> Extra:
        """With `inputs`: so many vectors belong in the answer."""
        return {**self.asked, "inputs": len(self.passages)}


class Vector(Struct, kw_only=True):
    """One vector, as numbers or as base64 of them: of 32-bit floats, little-endian, or of bytes where its kind has whole numbers."""

    values: list[float] | None = None
    packed: str = ""
    kind: str = "float"
    extra: Extra = {}

    def numbers(self) -> list[float]:
        """The vector as numbers. Raises `ValueError` for what is no base64 of such."""
        if self.values is not None:
            return self.values
        packed = array(_TYPECODES.get(self.kind, "f"))
        packed.frombytes(b64decode(self.packed, validate=True))
        if sys.byteorder == "big":
            packed.byteswap()
        return list(packed)

    def base64(self) -> str:
        """The vector as base64. Raises `ValueError` for numbers that its kind cannot hold."""
        if self.values is None:
            return self.packed
        try:
            packed = array(_TYPECODES.get(self.kind, "f"), self.values)
        except (OverflowError, TypeError):
            raise ValueError(f"a vector of {self.kind} holds other numbers") from None
        if sys.byteorder == "big":
            packed.byteswap()
        return b64encode(packed.tobytes()).decode()


class Embedded(Struct, kw_only=True):
    """The vectors, in the order of the passages; several kinds of numbers follow one another."""

    dialect: str
    model: str = ""
    id: str = ""
    vectors: list[Vector]
    usage: Usage | None = None
    usage_raw: Extra | None = None
    extra: Extra = {}
    local: Extra = {}
    """See `Question.local`."""
    asked: Extra = {}
    """See `Question.asked`."""
