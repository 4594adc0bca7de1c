"""Heads of a kind that was seen before: what is the same each time is compared in one piece, and only the rest is read.

A client sends the same headers in the same order with every request, and nearly all of them with the same values; so do a provider's
answers. A `Layout` is such a head with holes for what differs. It takes a seventh of the time that reading every header takes.
"""

from extproc.wire.encode import field, tag
from extproc.wire.scan import Pair, joint, length, text

_SHORT = 48
"""Bytes of a header whose value may be part of a layout: versions, languages, but no key of a usual length, and no request id."""
_MOST = 32
"""Layouts that are remembered. They are tried one after the other."""
_LEARN_ONE_IN = 4
"""Heads of no known layout from which one is learnt: a caller who makes names up should not cost much more than others."""

_NAME, _VALUE = tag(1), tag(3)


class Layout:
    """The heads with certain names in a certain order."""

    __slots__ = ("_end", "_fixed", "_holes", "loose", "names")

    def __init__(self, data: bytes, at: int, pairs: list[Pair], loose: frozenset[str]) -> None:
        """Learns from a head that begins at `at`. `loose`: names whose values are known to differ, and those that come twice."""
        self.names = tuple(name for name, _ in pairs)
        self.loose = loose
        """Names of what has holes; those of what is too long to be kept are added."""
        self._fixed = dict(pairs)
        self._holes: list[tuple[bytes, str, bytes, str]] = []
        """What is the same, up to the length of an entry; that entry's name; the bytes before the length of its value; the comma before
        it, if the name has come before."""
        same = at
        for name, value in pairs:
            begin = at
            size, at = length(data, at + 1)
            at += size
            if value and (name in loose or at - begin > _SHORT):
                again = joint(name) if any(name == hole[1] for hole in self._holes) else ""
                self._holes.append((data[same : begin + 1], name, field(_NAME, name.encode()) + _VALUE, again))
                self.loose |= {name}
                self._fixed[name] = ""
                same = at
        self._end = data[same:at]

    def read(self, data: bytes, at: int, stop: int) -> dict[str, str] | None:
        """The headers between `at` and `stop`; None if they are not of this layout. May raise `Unusual` or `IndexError`."""
        headers: dict[str, str] = {}
        for same, name, mark, comma in self._holes:
            if not data.startswith(same, at):
                return None
            # Made late: most layouts are told apart by their first bytes.
            headers = headers or self._fixed.copy()
            at += len(same)
            size, at = (data[at], at + 1) if data[at] < 128 else length(data, at)
            end = at + size
            if not data.startswith(mark, at):
                return None
            at += len(mark)
            size, at = (data[at], at + 1) if data[at] < 128 else length(data, at)
            if at + size != end:
                return None
            value = text(data[at:end])
            headers[name] = headers[name] + comma + value if comma else value
            at = end
        return (headers or self._fixed.copy()) if at + len(self._end) == stop and data.startswith(self._end, at) else None

    def differing(self, pairs: list[Pair]) -> frozenset[str]:
        """Names whose values differ, when `pairs`, a head with the same names, is looked at as well."""
        fixed = self._fixed
        return self.loose.union(name for name, value in pairs if name not in self.loose and fixed[name] != value)


class Layouts:
    """The layouts of the heads that come most often."""

    def __init__(self) -> None:
        self._known: list[Layout] = []
        self._strange = 0

    def __len__(self) -> int:
        return len(self._known)

    def read(self, data: bytes, at: int, stop: int) -> dict[str, str] | None:
        """The headers between `at` and `stop`; None if they are of no known layout. May raise `Unusual` or `IndexError`."""
        known = self._known
        for place, layout in enumerate(known):
            headers = layout.read(data, at, stop)
            if headers is not None:
                if place:
                    # What comes often is tried early, and what nobody sends again stays at the end, where it is the next to be forgotten.
                    known[place - 1], known[place] = layout, known[place - 1]
                return headers
        return None

    def meet(self, data: bytes, at: int, pairs: list[Pair]) -> None:
        """A head of no known layout, read otherwise, that begins at `at`."""
        self._strange += 1
        if self._strange % _LEARN_ONE_IN:
            return
        names = tuple(name for name, _ in pairs)
        twice = frozenset(name for name in names if names.count(name) > 1) if len(set(names)) < len(names) else frozenset()
        if not all(value for name, value in pairs if name in twice):
            return  # what is empty makes no hole, and a comma would be missing
        for place, layout in enumerate(self._known):
            if layout.names == names:
                self._known[place] = Layout(data, at, pairs, twice | layout.differing(pairs))
                return
        del self._known[_MOST - 1 :]
        self._known.append(Layout(data, at, pairs, twice))
