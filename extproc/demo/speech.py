"""What `openai.py` and `anthropic.py` have in common: each is one `Speech`, the module itself."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from extproc.demo.prompt import DemoError, Prompt
from extproc.demo.reply import Reply


class Speech(Protocol):
    """A dialect of the demo provider. Knows neither sockets nor scripts."""

    @property
    def NAME(self) -> str:
        """As directives name it: `openai`."""

    @property
    def MALFORMED(self) -> bytes:
        """A stream event that is not JSON."""

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Prompt:
        """A request; `headers` are found whatever their case. Raises `DemoError`."""

    def whole(self, reply: Reply) -> dict[str, Any]:
        """The answer to a request that is not streamed."""

    def events(self, prompt: Prompt, reply: Reply) -> Iterator[bytes]:
        """The answer as a stream, an event an item."""

    def error(self, fault: DemoError, request_id: str) -> dict[str, Any]:
        """An error's body."""

    def error_event(self, request_id: str) -> bytes:
        """An error in mid-stream."""
