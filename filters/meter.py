"""Meters: whatever becomes of a request, one record of it goes to the journal when it has ended.

Stands first in the list, so that what later filters refuse, answer or change is in the record as the client saw it.
"""

from typing import ClassVar, Protocol, runtime_checkable

from extproc import Environment, Filter, Handler, Request, Response, Tap


class Meter(Filter, frozen=True, kw_only=True):
    """Writes a usage record for every request."""

    early: ClassVar[bool] = True
    mirrored: ClassVar[bool] = True

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Meter(environment)


@runtime_checkable
class _Candid(Protocol):
    """A journal that says how it fares."""

    @property
    def on_disk(self) -> bool:
        """The record that was appended last is on disk."""


class _Meter:
    def __init__(self, environment: Environment) -> None:
        self._journal = environment.journal
        self._candid = environment.journal if isinstance(environment.journal, _Candid) else None

    async def request(self, request: Request) -> Tap:
        return _Ending(self, request)

    def write(self, request: Request) -> None:
        self._journal.append(request.record)
        request.journalled = self._candid is not None and self._candid.on_disk


class _Ending(Tap):
    passes = True

    def __init__(self, meter: _Meter, request: Request) -> None:
        self._meter = meter
        self._request = request

    async def end(self, response: Response) -> None:
        self._meter.write(self._request)
