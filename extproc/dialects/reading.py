"""What the readers of providers' streams have in common: what cannot be read, or ends too soon, is one error and the end."""

from abc import ABC, abstractmethod

import msgspec

from extproc.dialects.fields import FieldError
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import Aside, Error, Extra, Finish, Ping, Start, StreamEvent
from extproc.errors import Fault

_decode = msgspec.json.Decoder().decode


def decoded(event: RawEvent) -> Extra:
    """The JSON object of an event. Raises `FieldError` if it is something else, and what `Reading.feed` catches if it is no JSON."""
    value = _decode(event.data)
    if type(value) is not dict:
        raise FieldError("$", "an object", value)
    return value


class Reading(ABC):
    """A stream being read: `dialect.StreamReader`. A dialect says what an event means, and when a stream was complete."""

    keeps_words: bool = False

    def __init__(self) -> None:
        self._ended = False
        self._begun = False

    def feed(self, event: RawEvent) -> list[StreamEvent]:
        """One event. After the end, nothing."""
        if self._ended:
            return []
        try:
            said = self._read(event)
        except FieldError as wrong:
            name = f"{event.event}: " if event.event else ""
            return self._fail(Fault(502, "bad_provider_event", f"the provider sent a stream event that cannot be read: {name}{wrong}"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            return self._fail(Fault(502, "bad_provider_event", f"the provider sent a stream event that is not JSON: {wrong}"))
        if said and not self._begun:
            self._begin_with(said)
        return said

    def end(self) -> list[StreamEvent]:
        """The connection closed. Without the stream's own end, that is one only if all is said that there was to say."""
        if self._ended:
            return []
        if self._is_complete():
            return self._finish()
        return self._fail(Fault(502, "stream_interrupted", "the provider closed the stream before its end"))

    def _begin_with(self, said: list[StreamEvent]) -> None:
        """What is said begins with a `Start`, also where the provider's own is missing; clients hear nothing without it."""
        first = next((one for one in said if type(one) not in (Aside, Ping)), None)
        if first is None or type(first) is Error:
            return
        self._begun = True
        if type(first) is not Start:
            said.insert(0, Start(id="", model=""))

    @abstractmethod
    def _read(self, event: RawEvent) -> list[StreamEvent]:
        """One event. Raises `FieldError` for one of a wrong shape."""

    def _is_complete(self) -> bool:
        """Whether the answer has been told to its end, although the stream's own end is missing."""
        return False

    def _finish(self) -> list[StreamEvent]:
        self._ended = True
        return [Finish()]

    def _fail(self, fault: Fault) -> list[StreamEvent]:
        self._ended = True
        return [Error(fault)]
