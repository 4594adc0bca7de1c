"""Answers that count the tokens of a conversation, where they are called `input_tokens`."""

from extproc.dialects.fields import obj, take_int
from extproc.dialects.hub import Count, Extra


def read_count(body: Extra, dialect: str) -> Count:
    """A count. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    tokens = take_int(rest, "input_tokens")
    if tokens is None:
        raise ValueError("input_tokens: expected an integer, got none")
    return Count(dialect=dialect, input=tokens, extra=rest)
