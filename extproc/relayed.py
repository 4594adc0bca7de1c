"""An answer that the adapter has already brought into the client's dialect, as the gate sees it pass."""

from collections.abc import Mapping

from extproc.answering import Answering
from extproc.answering.untouched import told_instead
from extproc.dialects.dialect import Dialect
from extproc.errors import Fault
from extproc.use import Use
from extproc.values import BodyMode


class Relayed(Answering):
    """Follows an answer whose attempt ran elsewhere: the bytes are the client's already, the usage comes aside (`tell`)."""

    def __init__(self, status: int, headers: Mapping[str, str], client: Dialect, *, raw: bool) -> None:
        super().__init__(status)
        self.stream = headers.get("content-type", "").startswith(client.framing.media_type)
        self.mode = BodyMode.NONE if raw else BodyMode.STREAMED
        self._client = client
        self._split = client.framing.splitter()
        self._watch = client.stream_usage()
        self.body = b""
        """See `Use.body`."""
        self._rest = b""
        """See `Use.rest`."""

    def tell(self, use: Use) -> None:
        """The attempt's account, as far as it has got."""
        self.usage, self.answered, self.finished, self.error = use.usage, use.answered, use.finished, use.error
        self.amount, self.body, self._rest = use.amount, use.body.encode(), use.rest
        self.text = max(self.text, use.text)

    def break_off(self, fault: Fault, request_id: str) -> list[bytes]:
        """See `Answering`."""
        return [] if self.error else [told_instead(self._client, fault, request_id, begun=True)]

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        """Bytes of the client's dialect, cut into events where they are a stream."""
        if not self.stream:
            return [chunk or self.body] if end else [chunk]
        events = self._split.feed(chunk + self._rest if end else chunk)
        for event in events:
            self._watch.feed(event)
        # A provider that breaks off leaves the attempt no chance to tell how far it had got.
        self.text = max(self.text, self._watch.text)
        if end and self._split.pending:
            events.append(self._split.pending)
        return events
