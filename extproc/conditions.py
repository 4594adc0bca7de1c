"""Which requests a target is for, as `when` says."""

import re
from collections.abc import Iterable

from extproc.config.model import When
from extproc.globs import regex
from extproc.values import Request


class Conditions:
    """What must hold of a request, all of it."""

    __slots__ = ("_headers", "_tenants")

    def __init__(self, when: When) -> None:
        self._headers = tuple((name, _pattern([wanted])) for name, wanted in when.headers.items())
        self._tenants = _pattern(when.tenants) if when.tenants else None

    def hold(self, request: Request) -> bool:
        """Whether the target is for this request."""
        if self._tenants is not None and not self._tenants.fullmatch(request.identity.tenant):
            return False
        headers = request.headers
        return all(name in headers and wanted.fullmatch(headers[name]) for name, wanted in self._headers)


def conditions(when: When) -> Conditions | None:
    """The conditions that `when` makes; None where it makes none."""
    return Conditions(when) if when.headers or when.tenants else None


def _pattern(globs: Iterable[str]) -> re.Pattern[str]:
    """Any of them."""
    return re.compile("|".join(map(regex, globs)), re.DOTALL)
