"""Many cases as one test: an item costs pytest and pytest-xdist several milliseconds, which is more than most cases do.

`@cases(...)` takes what `@pytest.mark.parametrize(...)` takes. All cases run, whichever of them fail, and the failure names each that did.
It is for cases that share nothing but their fixtures; what Hypothesis draws for, and what is long, has an item of its own.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

_SHOWN = 10
"""Cases that fail with their traces; the others are named."""


def cases(names: str | tuple[str, ...], values: Iterable[Any], ids: Callable[[Any], str] = repr) -> Callable[[Callable[..., None]], Any]:
    """A decorator of a test, which calls it once for each of `values`.

    `names` are those of its parameters that a value is given to; of several, each has its part of the value. Raises a group of whatever
    the cases have raised.
    """
    values = list(values)
    assert values, "no cases"

    def fold(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def folded(**fixtures: Any) -> None:
            failed: dict[str, BaseException] = {}
            for value in values:
                given = {names: value} if isinstance(names, str) else dict(zip(names, value, strict=True))
                try:
                    test(**fixtures, **given)
                except (Exception, pytest.fail.Exception) as error:
                    if str(error).startswith("Timeout"):
                        raise  # pytest-timeout's, which will not come again
                    # Two cases of one name are two.
                    named = f"[{len(failed)}] {ids(value)}"
                    error.add_note(f"the case: {ids(value)}")
                    failed[named] = error
            if failed:
                raise BaseExceptionGroup(
                    f"{len(failed)} of {len(values)} cases failed: " + ", ".join(failed), list(failed.values())[:_SHOWN]
                )

        taken = {names} if isinstance(names, str) else set(names)
        whole = inspect.signature(test)
        left = [parameter for name, parameter in whole.parameters.items() if name not in taken]
        assert len(left) + len(taken) == len(whole.parameters), f"{test.__name__} has not all of {sorted(taken)}"
        folded.__signature__ = whole.replace(parameters=left)  # type: ignore[attr-defined]
        return folded

    return fold
