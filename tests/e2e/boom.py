"""Filters that fail on purpose, where the request's `x-boom` says: our own bugs, for tests."""

from typing import ClassVar

from extproc import Environment, Filter, Handler, Request, Response, Tap

SECRET = "a secret of the gateway's own"


class Boom(Filter, frozen=True, kw_only=True):
    """Fails after the body was read (`request`), or in its tap (`start`, `events`, `end`)."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Boom("request")


class EarlyBoom(Filter, frozen=True, kw_only=True):
    """Fails before the body is read (`early`)."""

    early: ClassVar[bool] = True

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Boom("early")


class _Boom:
    def __init__(self, place: str) -> None:
        self._place = place

    async def request(self, request: Request) -> Tap:
        wanted = request.headers.get("x-boom", "")
        _fail(wanted, self._place)
        return _Tap(wanted if self._place == "request" else "")


class _Tap(Tap):
    def __init__(self, wanted: str) -> None:
        self._wanted = wanted

    def start(self, response: Response) -> None:
        _fail(self._wanted, "start")

    def events(self, events: list[bytes]) -> list[bytes]:
        _fail(self._wanted, "events")
        return events

    async def end(self, response: Response) -> None:
        _fail(self._wanted, "end")


def _fail(wanted: str, here: str) -> None:
    if wanted == here:
        raise RuntimeError(SECRET)
