"""What everybody who watches a stream has found out by then. Each dialect's `watch.py` derives its `StreamUsage` from it."""

from typing import ClassVar

from extproc.usage import Usage


class Watching:
    """See `dialect.StreamUsage`, which says what each of these is."""

    __slots__ = ("finished", "model", "text", "usage")

    trouble: ClassVar[bytes] = b'error"'

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.model = ""
        self.finished = False
        self.text = 0
