"""What the writers of clients' streams have in common: they tell what they could not."""


class Writing:
    """A stream being written: `dialect.StreamWriter`."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        """What could not be expressed, in the hub's words."""

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)
