"""What the gate takes hold of for a request, it gives back, whichever way the request ends; and whom it refuses at the headers."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from extproc.config.concurrency import Queue
from extproc.config.model import Aim, Config, Model
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.keys import StoredKey, digest
from extproc.mirrored import Mirrored
from extproc.slots.local import LocalSlots
from extproc.values import Identity, Target
from filters.load import Load
from tests.playbook import Reply, later, one, request_body, request_headers, response_body, response_headers
from tests.scene import CHAT, CONFIG, DEFAULT, Scene, head
from tests.test_answering import CHAT as REPLY

BODY, ANSWER = msgspec.json.encode(CHAT), msgspec.json.encode(REPLY)
JSON = {":status": "200", "content-type": "application/json", "content-length": str(len(ANSWER))}
KEYS = tuple(StoredKey(name, digest(name), name) for name in ("red", "blue"))
BOUNDED: Config = msgspec.structs.replace(CONFIG, models=(Model(name="gpt", targets=(Aim(to="openai/gpt", concurrency=1),)),))
LARGE = "30000000"


def with_load(**settings: object) -> tuple[tuple[str, msgspec.Struct], ...]:
    return (*DEFAULT[:2], ("load", msgspec.convert(settings, Load)), *DEFAULT[2:])


def scene(config: Config = BOUNDED, **settings: object) -> Scene:
    return Scene(config, with_load(**({"concurrency": 1} | settings)), KEYS)


def headers(tenant: str = "red", **more: str) -> bytes:
    return request_headers(head(authorization=f"Bearer {tenant}", **more))


def refused(reply: Reply, status: int, code: str) -> bool:
    return (reply.part, reply.status) == ("immediate_response", status) and code.encode() in (reply.body or b"")


def answered(session: GateSession) -> None:
    one(session, headers())
    assert one(session, request_body(BODY)).status == 0
    one(session, response_headers(JSON))
    one(session, response_body(ANSWER, end=True))


def hung_up_before_its_body(session: GateSession) -> None:
    one(session, headers())


def hung_up_while_it_waited(session: GateSession) -> None:
    one(session, headers())
    one(session, request_body(BODY))


def hung_up_in_its_answer(session: GateSession) -> None:
    hung_up_while_it_waited(session)
    one(session, response_headers({":status": "200", "content-type": "text/event-stream"}))
    one(session, response_body(b"data: {}\n\n"))


def refused_for_its_body(session: GateSession) -> None:
    one(session, headers())
    assert one(session, request_body(b"{")).status == 400


def refused_for_its_head(session: GateSession) -> None:
    assert one(session, headers(content_encoding="gzip")).status == 415


def failed(session: GateSession) -> None:
    one(session, headers())
    one(session, request_body(BODY))
    one(session, response_headers({":status": "503"}, end=True))


@pytest.mark.parametrize(
    "way",
    [answered, hung_up_before_its_body, hung_up_while_it_waited, hung_up_in_its_answer, refused_for_its_body, refused_for_its_head, failed],
    ids=lambda way: way.__name__,
)
def test_all_is_given_back(way: Callable[[GateSession], None]) -> None:
    made = scene()
    engine = made.engine
    for _ in range(3):
        session = GateSession(engine)
        way(session)
        session.close()
    assert engine.slots.counts() == {} and not engine.pressure.guests
    assert engine.slots.refusals() == {}


def test_a_tenant_beyond_its_bound_is_refused_at_the_headers_in_its_dialect() -> None:
    made = scene()
    first = GateSession(made.engine)
    one(first, headers(content_length=str(len(BODY))))
    reply = one(GateSession(made.engine), headers(path="/v1/messages", content_length=LARGE))
    assert refused(reply, 429, "rate_limit_error") and reply.headers["retry-after"] == "1"
    assert made.engine.room.held == 0, "nobody made room for what is not read"
    blue = GateSession(made.engine)
    one(blue, headers("blue"))
    reply = one(blue, request_body(BODY))
    assert reply.part == "request_body"
    one(first, request_body(b"{"))
    assert made.books == []


def test_a_target_that_is_full_is_503_and_a_cached_answer_takes_no_slot() -> None:
    made = scene(concurrency=9)
    body = msgspec.json.encode({**CHAT, "temperature": 0})
    first = GateSession(made.engine)
    one(first, headers())
    one(first, request_body(body))
    one(first, response_headers(JSON))
    one(first, response_body(ANSWER, end=True))
    busy = GateSession(made.engine)
    one(busy, headers())
    one(busy, request_body(BODY))
    other = GateSession(made.engine)
    one(other, headers())
    reply = one(other, request_body(BODY))
    assert refused(reply, 503, "concurrency_limit") and reply.headers["retry-after"] == "1"
    cached = GateSession(made.engine)
    one(cached, headers())
    reply = one(cached, request_body(body))
    assert reply.headers["x-headgate-cache"] == "hit"


@pytest.mark.asyncio
async def test_who_waits_is_served_or_gives_up() -> None:
    made = scene()
    made.engine.slots = slots = LocalSlots()
    made.load(BOUNDED, with_load(concurrency=1, queue={"wait": 9}), KEYS)
    first, second, third = (GateSession(made.engine) for _ in range(3))
    one(first, headers())
    waiting = await later(second, headers())
    gone = await later(third, headers())
    assert slots.counts()["tenant"].waiting == 2
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    third.close()
    first.close()
    (reply,) = await waiting
    assert reply.part == "request_headers"
    second.close()
    assert slots.table.scopes == 0


def test_under_pressure_who_has_most_is_refused_and_no_body_is_read() -> None:
    made = scene(concurrency=99)
    pressure = made.engine.pressure
    pressure.follow(enabled=True, lag=0.1, memory=0)
    for _ in range(20):
        one(GateSession(made.engine), headers("red"))
    for _ in range(5):
        pressure.look(9.0, lambda: 0)
    assert pressure.limit == 18
    reply = one(GateSession(made.engine), headers("red", content_length=LARGE))
    assert refused(reply, 503, "overloaded") and reply.headers["retry-after"] == "1"
    assert one(GateSession(made.engine), headers("blue")).part == "request_headers"
    session = next(iter(pressure.guests))
    assert isinstance(session, GateSession)
    session.close()
    assert session not in pressure.guests


def test_under_pressure_copies_are_refused_first() -> None:
    made = scene(concurrency=99)
    pressure = made.engine.pressure
    pressure.follow(enabled=True, lag=0.1, memory=0)
    copy = Mirrored("of-this", made.generation, Target("openai", "gpt"), Identity("red", "red"), "gpt", "gpt").encode()
    attributes = {names.FILTER_CHAIN_ATTRIBUTE: names.MIRRORS}

    def copied() -> Reply:
        session = GateSession(made.engine)
        reply = one(session, request_headers(head(x_headgate_mirror=copy), attributes=attributes))
        session.close()
        return reply

    assert copied().part == "request_headers"
    for _ in range(5):
        pressure.look(9.0, lambda: 0)
    assert pressure.limit and refused(copied(), 503, "overloaded")
    session = GateSession(made.engine)
    assert one(session, headers("red")).part == "request_headers", "there is room for clients"
    assert one(session, request_body(BODY)).status == 0, "the copy has given back what it took"
    record = made.books[-1]
    assert (record.mirror_of, record.outcome, record.error) == ("of-this", "rejected", "overloaded")
    assert pressure.refused == 0


def test_a_flood_of_large_bodies_is_refused_before_they_are_read() -> None:
    made = scene(concurrency=99)
    made.engine.room.whole = 100_000_000
    sessions = [GateSession(made.engine) for _ in range(9)]
    replies = [one(session, headers("red", content_length=LARGE)) for session in sessions]
    assert [reply.part for reply in replies].count("request_headers") == 1
    assert refused(replies[-1], 503, "overloaded") and replies[-1].headers["retry-after"] == "1"
    assert one(GateSession(made.engine), headers("blue", content_length=LARGE)).part == "request_headers"
    assert one(GateSession(made.engine), headers("red", content_length="99999")).part == "request_headers"
    for session in sessions:
        session.close()
    assert made.engine.room.held == int(LARGE), "blue's"


def test_a_queue_has_its_bounds() -> None:
    assert Queue().wait + 10 < 30, "beside the cache's wait, within Envoy's patience"


def test_who_was_answered_before_the_bound_was_looked_at_is_not_counted_out_again() -> None:
    made = scene(CONFIG, concurrency=100)
    pressure = made.engine.pressure
    pressure.follow(enabled=True, lag=0.1, memory=0)
    sessions = [GateSession(made.engine) for _ in range(20)]
    for session in sessions:
        one(session, headers("red"))
    done = [GateSession(made.engine) for _ in range(3)]
    for session in done:
        answered(session)
    for _ in range(5):
        pressure.look(9.0, lambda: 0)
    assert pressure.limit == 18
    assert (done[0].counted, sessions[0].counted) == (False, True)
    for session in done:
        session.close()
    assert refused(one(GateSession(made.engine), headers("red")), 503, "overloaded"), "20 are under way still"
    for session in sessions[:3]:
        session.close()
    assert one(GateSession(made.engine), headers("red")).part == "request_headers", "one of 18 is free"
    assert refused(one(GateSession(made.engine), headers("red")), 503, "overloaded")
