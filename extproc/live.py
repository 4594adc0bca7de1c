"""An upgraded connection on its way: its frames pass as they are, and what the provider says of its use is added up.

Of OpenAI's realtime API the usage of each response (`response.done`), of Google's Live API that of each turn. What a session transcribes
on the side is paid for at another model's price, so it is not added.

https://platform.openai.com/docs/api-reference/realtime-server-events/response/done, https://ai.google.dev/api/live
"""

from collections.abc import Mapping

from extproc.answering import Answering, Terms
from extproc.crossing import KEY_PROTOCOL
from extproc.dialects.messages import Messages
from extproc.usage import COUNTS, Usage

_TELLING = (b'"response.done"', b'"usageMetadata"')
"""One of them stands in each message that tells usage. In a quoted text the quotes would have a backslash before them."""


class Live(Answering):
    """The provider's side of a WebSocket."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(101)
        self._dialect = terms.client
        self._messages = Messages()
        # It has no end of its own: whoever hangs up, hangs up.
        self.finished = True

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        """See `Answering.feed`; each piece of whatever frames is one."""
        for message in self._messages.feed(chunk):
            if any(message.find(word) >= 0 for word in _TELLING):
                self._add(message)
        return [chunk] if chunk else []

    def _add(self, message: bytes) -> None:
        usage, model = self._dialect.usage(message)
        self.answered = model or self.answered
        if usage is not None:
            before = self.usage or Usage()
            sums = {name: getattr(before, name) + getattr(usage, name) for name in COUNTS}
            self.usage = Usage(**sums, tier=usage.tier or before.tier)


def upgrade(seen: Mapping[str, str]) -> dict[str, str]:
    """The headers that ask a provider for one. `seen`: the client's; what is a key among the protocols that it offers stays here."""
    wanted = {"upgrade": seen["upgrade"], "connection": "upgrade"}
    offered = seen.get("sec-websocket-protocol", "").split(",")
    protocols = [protocol for protocol in map(str.strip, offered) if protocol and not protocol.startswith(KEY_PROTOCOL)]
    if protocols:
        wanted["sec-websocket-protocol"] = ", ".join(protocols)
    return wanted
