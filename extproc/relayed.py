"""An answer that the adapter has already brought into the client's dialect, as the gate sees it pass."""

from collections.abc import Mapping

from extproc.answering import Answering
from extproc.dialects.sse import Splitter
from extproc.use import Use
from extproc.values import BodyMode


class Relayed(Answering):
    """Follows an answer whose attempt ran elsewhere: the bytes are the client's already, the usage comes aside (`tell`)."""

    def __init__(self, status: int, headers: Mapping[str, str], *, raw: bool) -> None:
        super().__init__(status)
        self.stream = headers.get("content-type", "").startswith("text/event-stream")
        self.mode = BodyMode.NONE if raw else BodyMode.STREAMED
        self._split = Splitter()

    def tell(self, use: Use) -> None:
        """The attempt's account, as far as it has got."""
        self.usage, self.answered, self.text, self.finished, self.error = use.usage, use.answered, use.text, use.finished, use.error

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        """Bytes of the client's dialect, cut into events where they are a stream."""
        if not self.stream:
            return [chunk]
        events = self._split.feed(chunk)
        if end and self._split.pending:
            events.append(self._split.pending)
        return events
