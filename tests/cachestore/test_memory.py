"""The memory cache against a model that is too simple to be wrong."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from extproc.cachestore.memory import OVERHEAD, MemoryCache
from tests.examples import examples

KEYS = st.sampled_from([bytes([number]) * 32 for number in range(8)])
ROOM = 4 * (32 + 40 + OVERHEAD)
LARGEST = 60


class Model(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cache = MemoryCache(ROOM, LARGEST)
        self.model: list[tuple[bytes, bytes, float]] = []
        """Key, value and end of life; least recently used first."""
        self.now = 1000.0

    @rule(key=KEYS, size=st.integers(0, 70), ttl=st.integers(-1, 20))
    def put(self, key: bytes, size: int, ttl: int) -> None:
        value = bytes(size)
        self.model = [kept for kept in self.model if kept[0] != key]
        fits = size <= LARGEST and ttl > 0
        if fits:
            self.model.append((key, value, self.now + ttl))
            while self.used() > ROOM:
                self.model.pop(0)
        assert self.cache.put(key, value, ttl, self.now) == fits

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        found = next((kept for kept in self.model if kept[0] == key), None)
        if found is not None:
            self.model.remove(found)
            if found[2] > self.now:
                self.model.append(found)
            else:
                found = None
        assert self.cache.get(key, self.now) == (found[1] if found else None)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.model = [kept for kept in self.model if kept[0] != key]
        self.cache.delete(key)

    @rule(seconds=st.integers(0, 10))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    def used(self) -> int:
        return sum(len(key) + len(value) + OVERHEAD for key, value, _ in self.model)

    @invariant()
    def agrees(self) -> None:
        assert self.cache.bytes == self.used() <= ROOM
        assert len(self.cache) == len(self.model)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=examples(60), deadline=None)


def test_counts_and_clears() -> None:
    cache = MemoryCache(2 * (34 + OVERHEAD), 99)
    for number in range(5):
        cache.put(bytes([number]) * 32, b"xx", 9, 0.0)
    assert (len(cache), cache.evicted) == (2, 3)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)
    assert not MemoryCache(10, 99).put(bytes(32), b"xx", 9, 0.0)
