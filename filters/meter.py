"""Meters: whatever becomes of a request, one record of it goes to the journal when it has ended.

Stands first in the list, so that what later filters refuse, answer or change is in the record as the client saw it.
"""

from typing import ClassVar

from extproc import Environment, Filter, Handler, Request, Response, Tap


class Meter(Filter, frozen=True, kw_only=True):
    """Writes a usage record for every request."""

    early: ClassVar[bool] = True

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Meter(environment)


class _Meter:
    def __init__(self, environment: Environment) -> None:
        self._journal = environment.journal

    async def request(self, request: Request) -> Tap:
        return _Ending(self, request)

    def write(self, request: Request) -> None:
        self._journal.append(request.record)


class _Ending(Tap):
    passes = True

    def __init__(self, meter: _Meter, request: Request) -> None:
        self._meter = meter
        self._request = request

    async def end(self, response: Response) -> None:
        self._meter.write(self._request)
