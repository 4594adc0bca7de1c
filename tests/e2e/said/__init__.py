"""What an answer says, read straight from its JSON: a file a dialect, which knows nothing of the gateway's own translation.

They read what was recorded and what an SDK has made of the answer alike, so that the two can be compared.
"""

import json
from typing import Any, Literal

from msgspec import Struct

from extproc.usage import Usage

Meaning = Literal["", "end", "length", "tool", "filter", "error"]
"""What a stop means. `end`: it was done, or came upon a stop sequence. `length`: it was long enough, or there was no more room. `tool`: the
client is to run one. `filter`: somebody refused. `error`: the model wrote what nobody can use. Empty: it has not stopped."""


class Said(Struct):
    """One answer, of no dialect."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = []
    """Name and decoded arguments, in order."""
    stop: Meaning = ""
    usage: Usage = Usage()
    refused: bool = False
    """Some of the text is a refusal."""

    def meant(self, stop: Meaning) -> "Said":
        """With its stop. Some say of an answer with calls, and OpenAI says of a refusal, that it just ended."""
        self.stop = stop if stop != "end" else "tool" if self.calls else "filter" if self.refused else "end"
        return self


def decoded(arguments: str) -> Any:
    """Arguments of a call; a call without any may be told as nothing at all."""
    return json.loads(arguments or "{}")
