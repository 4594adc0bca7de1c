"""Runs a coroutine to its end without a task, as far as it does not wait; only one that really waits is handed on.

Most requests need nothing that is not in memory. For them `begin` returns the result at once, inside the caller's own turn of the loop.
"""

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """A coroutine that has begun and waits for something. Await it, in a task, to have the rest of it."""

    __slots__ = ("_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, T], first: object) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, T]:
        wanted: Any = self._first
        while True:
            sent, thrown = None, None
            try:
                sent = yield wanted
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - whatever the loop throws in (cancellation, above all) belongs to the coroutine
                thrown = error
            try:
                wanted = self._coroutine.send(sent) if thrown is None else self._coroutine.throw(thrown)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Gives it up."""
        self._coroutine.close()


def begin(coroutine: Coroutine[Any, Any, T]) -> T | Waiting[T]:
    """The result, or, if the coroutine waits, what is left of it. Exceptions of the first part are raised here."""
    try:
        first = coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    return Waiting(coroutine, first)
