"""The benchmark of the engine measures what it says: the no-op does nothing, and the engine serves all that it is sent."""

from pathlib import Path

import msgspec

from bench import engine, noop
from extproc.gate import GateSession
from extproc.ledger.record import Record
from tests.playbook import one


def test_a_round() -> None:
    found = engine.rounds(1, 1, noop.Session)
    assert list(found) == ["no-op", "cache miss", "not cacheable", "400 KB, miss", "no-op, event", "event"]
    assert [len(row) for (row,) in found.values()] == [len(engine.PHASES)] * 4 + [1, 1]
    assert all(value >= 0 for (row,) in found.values() for value in row)
    assert "the real pipeline adds" in engine.report(found)


def test_what_is_measured_is_a_miss_that_is_metered(tmp_path: Path) -> None:
    gate = engine.usual(tmp_path)
    document = engine.chat(10_000, temperature=0, stream=False)
    head, body = engine.asked(document)
    assert 9_500 < len(body) < 11_500
    session = GateSession(gate)
    replies = [one(session, message) for message in (head, body, *engine.answered())]
    session.close()
    assert [reply.part for reply in replies] == ["request_headers", "request_body", "response_headers", "response_body"]
    assert replies[2].headers["x-headgate-cache"] == "miss"
    (segment,) = tmp_path.iterdir()
    record = msgspec.json.decode(segment.read_bytes(), type=Record)
    assert (record.cache, record.key, record.outcome, record.usage.input) == ("miss", "alice", "complete", 2310)


def test_a_stream_passes_as_it_is(tmp_path: Path) -> None:
    session = GateSession(engine.usual(tmp_path))
    document = engine.chat(10_000, temperature=None, stream=True)
    replies = [one(session, message) for message in (*engine.asked(document), *engine.streamed())]
    assert len(replies) == 3 + engine.EVENTS + 3
    assert all(reply.body is None for reply in replies)
    session.close()
