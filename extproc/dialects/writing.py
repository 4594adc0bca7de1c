"""What the writers of clients' streams have in common: they tell what they could not."""

from typing import ClassVar


class Writing:
    """A stream being written: `dialect.StreamWriter`."""

    keeps_words: ClassVar[bool] = True

    def __init__(self) -> None:
        self.dropped: list[str] = []
        """What could not be expressed, in the hub's words."""

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)
