"""What a worker says of its load: once when it begins to refuse, once when it ends, and to the control process."""

import logging

import msgspec
import pytest

from extproc.lookout import Load, Lookout
from extproc.pressure import LOOK_EVERY
from extproc.slots.slot import Count, Line, Want
from tests.scene import Scene, run


class Guest:
    caller = "noisy"
    counted = False


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    engine, clock = Scene().engine, Clock()
    lookout = Lookout(engine, clock=clock, resident=lambda: 0)
    engine.pressure.guests |= {Guest() for _ in range(50)}
    with caplog.at_level(logging.WARNING, logger="headgate.load"):
        for late in [0.0] * 3 + [1.0] * 9:
            lookout.step()
            clock.now += LOOK_EVERY + late
        (began,) = (record.getMessage() for record in caplog.records)
        assert began.startswith("this worker does not keep up: what it has to do waits too long (shedding.lag); of new requests")
        assert not engine.pressure.admits("noisy")
        assert lookout.load() == Load(refused={"pressure": 1}, limit=45)
        engine.pressure.guests.clear()
        for _ in range(60):
            lookout.step()
            clock.now += LOOK_EVERY
    assert [record.getMessage() for record in caplog.records][1:] == ["this worker keeps up again; it has refused 1 requests meanwhile"]
    assert lookout.load().limit == 0


def test_what_waits_in_sockets_counts(caplog: pytest.LogCaptureFixture) -> None:
    engine, waits = Scene().engine, iter([9.0] * 5 + [0.0])
    lookout = Lookout(engine, lambda: next(waits), clock=Clock(), resident=lambda: 0)
    for _ in range(5):
        lookout.step()
    assert engine.pressure.limit == 16
    lookout.step()
    assert engine.pressure.limit == 17
    assert "what it has to do waits too long (shedding.lag)" in caplog.text


def test_what_takes_too_much_memory_is_given_back(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    lookout = Lookout(scene.engine, clock=Clock(), resident=lambda: 1 << 60)
    with caplog.at_level(logging.WARNING, logger="headgate.load"):
        lookout.step()
    assert "it takes too much memory (shedding.memory)" in caplog.text
    assert scene.engine.leftovers.large > 0


def test_the_load_travels() -> None:
    engine = Scene().engine
    run(engine.slots.take(((Want("tenant:a", 9), Want("target:b", 9)),), Line()))
    engine.room.enter("a", "5000000")
    load = Lookout(engine).load()
    assert load == Load({"tenant": Count(1), "target": Count(1)}, {}, 0, 5_000_000)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(load), type=Load) == load
