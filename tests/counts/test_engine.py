"""What the gate does in Python for a request: how much, how much more with many keys and routes, and what it keeps and copies.

Bytecodes are counted, since they are the same in every run. Limits are what was measured with Python 3.11 and a quarter more: later
Pythons execute fewer. A limit that is passed means that requests have become dearer; one that is far from it may be lowered.
"""

import statistics
from collections.abc import Callable

import pytest

from bench import noop
from bench.counts import Question, key_state, route_names
from bench.engine import answered, chat, engine, streamed
from extproc.drive import Waiting
from extproc.engine import Engine
from extproc.gate import GateSession
from extproc.streaming import TOGETHER
from extproc.transport.seam import Opener, Session
from extproc.wire import incoming
from extproc.wire.layout import Layouts
from tests.counts.counting import Allocated, allocated, blocks, bytecodes

FEW, MANY = (10, 10), (100_000, 10_000)
"""Keys and routes."""
WARM = 5
ROUNDS = 9
NOBODY = 123_456_789
"""Whose key is none."""

MISS = Question(chat(10_000, temperature=0, stream=False))
PLAIN = Question(chat(10_000, temperature=None, stream=False))
STREAM = Question(chat(10_000, temperature=None, stream=True))


@pytest.fixture(scope="module", autouse=True)
def unused() -> None:
    """A process learns the layouts of a few kinds of heads, and other tests have shown this one all that there are."""
    incoming._layouts = Layouts()


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A worker with few keys and routes."""
    folder = tmp_path_factory.mktemp("few")
    return engine(folder, key_state(folder, FEW[0]), route_names(FEW[1]))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One with many: its keys are in a file."""
    folder = tmp_path_factory.mktemp("many")
    return engine(folder, key_state(folder, MANY[0]), route_names(MANY[1]))


def told(session: Session, message: bytes) -> None:
    assert not isinstance(session.receive(message), Waiting)


def feed(session: Session, messages: list[bytes]) -> None:
    for message in messages:
        told(session, message)


def exchange(session: Session, messages: list[bytes]) -> list[int]:
    """Bytecodes of each message, and of the end."""
    counts = [bytecodes(session.receive, message) for message in messages]
    return [*counts, bytecodes(session.close)]


def typical(rounds: list[list[int]]) -> list[int]:
    """The median of each phase: now and then something is worked out that is remembered from then on."""
    return [int(statistics.median(phase)) for phase in zip(*rounds[WARM:], strict=True)]


def counted(opener: Opener, ask: Callable[[int], list[bytes]], answer: list[bytes]) -> list[int]:
    """Bytecodes of each message of a request as usual."""
    return typical([exchange(opener(), [*ask(number), *answer]) for number in range(WARM + ROUNDS)])


def test_the_no_op() -> None:
    """It reads nothing: that much of the other counts is the call."""
    assert sum(counted(noop.Session, lambda _: MISS.asked(3, 4), answered())) <= 90


def test_a_request(few: Engine) -> None:
    """Key, route, header rules, a cache that misses, meter: head, body, the answer's head, its body, the end."""
    counts = counted(lambda: GateSession(few), lambda _: MISS.asked(3, 4), answered())
    limits = [2500, 2910, 2550, 1830, 60]
    assert all(count <= limit for count, limit in zip(counts, limits, strict=True)), counts


def test_a_request_with_many_keys_and_routes(few: Engine, many: Engine) -> None:
    """The same, to the bytecode, for callers that have called before; the first time, the key file is looked into."""
    small = counted(lambda: GateSession(few), lambda _: MISS.asked(3, 4), answered())
    large = counted(lambda: GateSession(many), lambda _: MISS.asked(77_777, 8_888), answered())
    assert sum(large) <= 1.01 * sum(small), (small, large)
    strangers = counted(lambda: GateSession(many), lambda number: MISS.asked(5_000 * number, 700 * number + 1), answered())
    assert sum(strangers) <= 1.10 * sum(small), (small, strangers)


def test_a_pattern_among_many(few: Engine, many: Engine) -> None:
    """Model names that only a pattern knows."""
    small = counted(lambda: GateSession(few), lambda _: MISS.asked(3, 0), answered())
    large = counted(lambda: GateSession(many), lambda _: MISS.asked(77_777, 7_770), answered())
    assert sum(large) <= 1.01 * sum(small), (small, large)


def test_an_event(few: Engine) -> None:
    """A token of a stream that passes through metered."""
    head, *events = streamed()
    session = GateSession(few)
    feed(session, [*STREAM.asked(3, 4), head, *events[:WARM]])
    counts = [bytecodes(session.receive, message) for message in events[WARM : WARM + 2 * TOGETHER]]
    session.close()
    assert statistics.median(counts) <= 150, counts
    # Now and then many are read together.
    assert statistics.fmean(counts) <= 170, counts


def test_an_event_late_in_a_stream(few: Engine) -> None:
    """The hundredth costs what the tenth does."""
    head, *events = streamed()
    session = GateSession(few)
    feed(session, [*STREAM.asked(3, 4), head, *events[:10]])
    early = statistics.median([bytecodes(session.receive, message) for message in events[10:20]])
    feed(session, events[20:180])
    late = statistics.median([bytecodes(session.receive, message) for message in events[180:190]])
    session.close()
    assert late == early


def body_of(engine: Engine, question: Question) -> tuple[Allocated, int]:
    """What a request's body takes while it is worked on, and its size."""
    found = []
    for _ in range(3):
        head, body = question.asked(3, 4)
        session = GateSession(engine)
        told(session, head)
        found.append(allocated(session.receive, body))
        session.close()
    return min(found), len(body)


@pytest.mark.parametrize("size", [10_000, 400_000])
def test_copies_of_a_body(few: Engine, size: int) -> None:
    """What is not cached is cut out of its message once. What has the rest told of it is some KB."""
    found, body = body_of(few, Question(chat(size, temperature=None, stream=False)))
    assert found.peak <= 1.02 * body + 8_000
    assert found.kept <= 1.02 * body + 6_000


@pytest.mark.parametrize("size", [10_000, 400_000])
def test_copies_of_a_body_that_may_be_cached(few: Engine, size: int) -> None:
    """It is parsed, and its canonical form is hashed: a copy each; and msgspec makes room for the form by doubling."""
    found, body = body_of(few, Question(chat(size, temperature=0, stream=False)))
    assert found.peak <= 3.6 * body + 16_000
    assert found.kept <= 2.1 * body + 16_000


def test_what_events_take(few: Engine) -> None:
    """Ten times as many take no more: what stays of events is what is going to be read together."""
    head, *events = streamed()
    session = GateSession(few)
    feed(session, [*STREAM.asked(3, 4), head, *events[:WARM]])
    found = [allocated(feed, session, part) for part in (events[10:30], events[30:190])]
    session.close()
    together = TOGETHER * (len(events[10]) + 50)
    assert all(one.peak <= 2.5 * together and one.kept <= together for one in found), found


def test_nothing_of_a_request_is_left(few: Engine) -> None:
    """Whole ones, refused ones, streams, and those whose client hangs up."""
    head, *events = streamed()
    answer = answered()

    def serve(count: int) -> None:
        for number in range(count):
            good, body = PLAIN.asked(number % 10, number % 10)
            bad, _ = PLAIN.asked(NOBODY, 0)
            stream = STREAM.asked(number % 10, number % 10)
            for messages in ([good, body, *answer], [bad], [*stream, head, *events[:10]], [*stream, head, *events], [good]):
                session = GateSession(few)
                feed(session, messages)
                session.close()

    serve(30)
    before = blocks()
    serve(30)
    assert blocks() - before <= 30
