"""Lists in pages: `limit` things at once, and a cursor to what comes after them."""

from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from msgspec import Struct

T = TypeVar("T")
MOST = 200


class Paging(Struct, frozen=True):
    """Which part of a list is asked for."""

    limit: int
    cursor: str
    deleted: bool
    """With what is gone."""


class Page(Struct, Generic[T], frozen=True):
    """A part of a list."""

    data: list[T]
    next_cursor: str | None
    """What to ask for to get the next part; null: this was the last one."""


def paging(
    limit: Annotated[int, Query(ge=1, le=MOST, description="Things in a page.")] = 50,
    cursor: Annotated[str, Query(max_length=64, pattern=r"^[a-z0-9_-]*$", description="`next_cursor` of the page before.")] = "",
    *,
    deleted: Annotated[bool, Query(description="With what has been deleted.")] = False,
) -> Paging:
    """What the query says."""
    return Paging(limit, cursor, deleted)


Paged = Annotated[Paging, Depends(paging)]
"""A parameter of an endpoint that lists."""
