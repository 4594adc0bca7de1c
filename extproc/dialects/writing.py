"""What the writers of clients' streams have in common: they tell what they could not, and some have their blocks one after another."""

from abc import ABC, abstractmethod

from extproc.dialects.hub import BlockStart, BlockStop, StreamEvent, ToolCall


class Writing:
    """A stream being written: `dialect.StreamWriter`."""

    keeps_words: bool = True

    def __init__(self) -> None:
        self.dropped: list[str] = []
        """What could not be expressed, in the hub's words."""

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)


class Serial(Writing, ABC):
    """A stream whose blocks stand one after another, as clients take a block for complete at its end, and know of one at a time.

    Providers of other dialects tell calls side by side. Only the first of them is written as it comes; what is told of the blocks that have
    begun since waits for its end.
    """

    keeps_words = False
    """True while something waits."""

    def __init__(self) -> None:
        super().__init__()
        self._current: int | None = None
        """The block that others wait for: a call that is open, or what is told of those that waited."""
        self._waiting: dict[int, list[StreamEvent]] = {}
        """What is told of others, by block, in the order in which they began."""
        self._over: set[int] = set()
        """Those of them that have ended."""

    @abstractmethod
    def write(self, event: StreamEvent) -> bytes: ...

    @abstractmethod
    def _block(self, event: BlockStart) -> bytes: ...

    @abstractmethod
    def _stop_block(self, index: int) -> bytes: ...

    def _waits(self, event: StreamEvent) -> bool:
        """Whether an event is told of a block that waits, and now waits with it."""
        index = getattr(event, "index", None)
        if index not in self._waiting:
            return False
        if type(event) is BlockStop:
            self._over.add(index)
        else:
            self._waiting[index].append(event)
        return True

    def _begin_block(self, event: BlockStart) -> bytes:
        """A block, if it is its turn. Blocks of other choices are not written at all."""
        if self._current is not None and not event.choice:
            self._waiting[event.index] = [event]
            self.keeps_words = True
            return b""
        if type(event.block) is ToolCall and not event.choice:
            self._current = event.index
        return self._block(event)

    def _end_block(self, index: int) -> bytes:
        """The end of a block, and those whose turn it is then."""
        stopped = self._stop_block(index)
        if index != self._current:
            return stopped
        self._current = None
        written = [stopped]
        while self._waiting and self._current is None:
            following = next(iter(self._waiting))
            written += map(self.write, self._waiting.pop(following))
            self._current = following
            if following in self._over:
                written.append(self._stop_block(following))
                self._current = None
        self.keeps_words = bool(self._waiting)
        return b"".join(written)

    def _all_stopped(self) -> bytes:
        """What still waits, as nothing more can come."""
        if self._current is None or not self._waiting:
            return b""
        self._over.update(self._waiting)
        return self._end_block(self._current)
