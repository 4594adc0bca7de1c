"""The official SDKs as clients of a gateway, a file each, with one interface. Nothing is tried twice, so that what fails is seen.

They talk plain text and read no certificates: that would take longer than most requests.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from tests.e2e.said import Said

QUESTION: Any = [{"role": "user", "content": "Hi"}]
SECONDS = 60.0
"""An answer's time; a machine that does much else needs some of it."""


class Sdk(Protocol):
    """A client that asks one simple question of a model and tells what it was answered.

    `ours` says that the gateway has written the answer, which then is held to the SDK's types also where the SDK lets anything pass. Where
    the provider has, its words are its own affair.
    """

    async def whole(self, model: str, *, ours: bool) -> Said:
        """Asks for an answer as one."""

    async def streamed(self, model: str, *, ours: bool) -> Said:
        """Asks for a stream."""


Open = Callable[[str], AbstractAsyncContextManager[Sdk]]
"""Makes a client of the gateway at a URL."""
