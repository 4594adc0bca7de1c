"""What a system under test is: something that is started in front of the mock provider, is sent chat completions, and is stopped."""

from pathlib import Path
from typing import Protocol

from msgspec import Struct

MODEL = "gpt-4o-mini"
"""What requests ask for, unless the system needs another name for it."""


class Target(Struct, frozen=True, kw_only=True):
    """Where a started system takes requests, and which processes it is made of."""

    host: str
    """An IP address: nobody resolves names in a benchmark."""
    port: int
    path: str = "/v1/chat/completions"
    """Where it takes OpenAI's chat completions."""
    model: str = MODEL
    """Value of `model` in the bodies."""
    headers: dict[str, str] = {}
    """More headers for every request, names in lower case: the caller's key above all. The load generator sends host, content-type,
    content-length and what an SDK sends by itself."""
    pids: dict[str, list[int]] = {}
    """Processes by the name of their part, such as `{"envoy": [12], "workers": [13, 14], "control": [11]}`. Children belong to the nearest
    ancestor that is named here, so a part that starts others may be named beside them. The whole of it is the system's process tree."""
    later: dict[str, float] = {}
    """Parts that work for a request after it was answered, and within how many seconds they have done that."""


class System(Protocol):
    """One system under test. Started once and kept while others are measured in turns with it, so at rest it should use no CPU."""

    @property
    def name(self) -> str:
        """Short, lower case, as the tables show it."""
        ...

    async def start(self, provider: str, folder: Path) -> Target:
        """Starts it in front of `provider` (`http://127.0.0.1:PORT`, which serves `/v1/chat/completions`) and returns once it answers.

        Whatever it writes belongs into `folder`, an empty one of its own. Ports are picked free. Raises `RuntimeError` that says why
        where it does not come up; what was started by then is stopped by `stop`, which is called in any case.
        """
        ...

    async def stop(self) -> None:
        """Ends every process of it and waits for them. May be called twice, or after a `start` that failed."""
        ...
