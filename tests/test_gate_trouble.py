"""The gate where filters have bugs, wait, or answer themselves."""

import asyncio
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import Environment, Filter, Handler, Lead, Request, Response, Tap
from extproc.aside import Job, Undone
from extproc.gate import GateSession
from extproc.usage import Usage
from filters.auth import Auth
from filters.meter import Meter
from filters.route import Route
from tests.playbook import later, one, request_body, request_headers, response_body, response_headers, say
from tests.scene import CHAT, Scene, Shelf, head
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import MESSAGE, MESSAGE_STREAM, STREAM, USAGE_ONLY
from tests.test_gate import JSON, SSE, asked, gate, record_of


class Faulty(Filter, frozen=True, kw_only=True):
    """A filter with a bug."""

    early: ClassVar[bool] = False
    where: str = "request"

    def open(self, environment: Environment) -> Handler:
        return _Faulty(self.where)


class _Faulty(Tap):
    def __init__(self, where: str) -> None:
        self.where = where

    async def request(self, request: Request) -> Response | Tap | None:
        if self.where == "request":
            raise ZeroDivisionError
        return self

    def events(self, events: list[bytes]) -> list[bytes]:
        raise ZeroDivisionError


def faulty(where: str) -> Scene:
    return Scene(
        filters=(("meter", Meter()), ("auth", Auth()), ("route", Route()), ("tests.test_gate_trouble:Faulty", Faulty(where=where)))
    )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_bug_of_ours_is_a_500_in_the_clients_dialect(path: str, caplog: pytest.LogCaptureFixture) -> None:
    scene, session = gate(faulty("request"))
    reply = asked(session, path=path)
    assert (reply.part, reply.status, reply.details) == ("immediate_response", 500, "headgate_internal_error")
    document = msgspec.json.decode(reply.body or b"")
    assert ("type" in document) == (path == "/v1/messages")
    assert "r-1" in caplog.text and "ZeroDivisionError" in caplog.text
    assert "ZeroDivision" not in (reply.body or b"").decode()
    session.close()
    assert (scene.books[0].status, scene.books[0].error) == (500, "internal_error")


def test_a_bug_in_an_answer_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    scene, session = gate(faulty("events"))
    asked(session, {**CHAT, "stream": True})
    one(session, response_headers(SSE))
    with pytest.raises(ZeroDivisionError):
        say(session, response_body(STREAM))
    session.close()
    assert "r-1" in caplog.text
    assert len(scene.books) == 1


def test_a_body_without_a_head(caplog: pytest.LogCaptureFixture) -> None:
    _, session = gate()
    reply = one(session, request_body(b"{}"))
    assert (reply.part, reply.status, reply.headers["content-type"]) == ("immediate_response", 500, "text/plain")
    assert "could not even be read" in caplog.text
    assert session.close() is None


@given(st.lists(st.integers(0, 300), max_size=20))
@settings(max_examples=40, deadline=None)
def test_one_reply_a_message_and_no_byte_lost(cuts: list[int]) -> None:
    _, session = gate()
    asked(session, {**CHAT, "stream": True})
    one(session, response_headers(SSE))
    body, out = STREAM, b""
    for cut in [*cuts, len(body)]:
        piece, body = body[:cut], body[cut:]
        reply = one(session, response_body(piece))
        out += piece if reply.body is None else reply.body
    last = one(session, response_body(b"", end=True))
    assert out + (last.body or b"") == STREAM.replace(USAGE_ONLY, b"")


class Slow(Shelf):
    """A store whose answers take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.given_up = 0

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Any:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return await super().begin(key, lead=lead, wait=wait)


def slow() -> tuple[Scene, GateSession, Slow]:
    shelf = Slow()
    scene, session = gate(Scene(shelf=shelf))
    one(session, request_headers(head()))
    return scene, session, shelf


async def test_a_filter_that_waits() -> None:
    _, session, shelf = slow()
    task = await later(session, request_body(msgspec.json.encode({**CHAT, "temperature": 0})))
    shelf.gate.set()
    (reply,) = await task
    assert (reply.part, reply.clear_route) == ("request_body", True)


async def test_a_client_that_goes_while_a_filter_waits() -> None:
    scene, session, shelf = slow()
    task = await later(session, request_body(msgspec.json.encode({**CHAT, "temperature": 0})))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert session.close() is None
    assert (shelf.given_up, shelf.leads) == (1, {})
    assert [(record.outcome, record.status, record.provider) for record in scene.books] == [("client_closed", 0, "")]


async def test_an_end_that_waits() -> None:
    class Kept(Shelf):
        async def put(self, *args: Any) -> None:
            await asyncio.sleep(0)
            await super().put(*args)

    scene, session = gate(Scene(shelf=Kept()))
    asked(session, {**CHAT, "temperature": 0})
    one(session, response_headers(JSON))
    one(session, response_body(msgspec.json.encode(ANSWER), end=True))
    rest = session.close()
    assert rest is not None and scene.books == []
    await rest
    assert (len(scene.shelf.kept), scene.shelf.leads, len(scene.books)) == (1, {}, 1)


def test_a_repeated_request_is_answered_from_the_cache() -> None:
    scene, session = gate()
    body = {**CHAT, "temperature": 0}
    asked(session, body)
    assert any(isinstance(lead, Lead) for lead in scene.shelf.leads.values())
    reply = one(session, response_headers(JSON))
    assert reply.headers["x-headgate-cache"] == "miss"
    one(session, response_body(msgspec.json.encode(ANSWER), end=True))
    session.close()
    _, session = gate(scene)
    hit = asked(session, body)
    assert (hit.part, hit.status, hit.body, hit.details) == ("immediate_response", 200, msgspec.json.encode(ANSWER), "headgate_hit")
    assert (hit.headers["x-headgate-cache"], hit.headers["content-type"]) == ("hit", "application/json")
    assert (record_of(hit).cache, record_of(hit).usage) == ("hit", Usage(input=5, output=2))
    session.close()
    assert [record.cache for record in scene.books] == ["miss", "hit"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_bad_answer_is_not_kept(streamed: bool) -> None:
    scene, session = gate()
    asked(session, {**CHAT, "model": "claude-1", "temperature": 0})
    one(session, response_headers(JSON if streamed else {**JSON, "content-length": "6"}, cluster="provider_anthropic"))
    one(session, response_body(b"<html>", end=True))
    session.close()
    assert (scene.shelf.kept, scene.shelf.leads, len(scene.shelf.abandoned)) == ({}, {}, 1)


class Full:
    """Has no room for any job."""

    async def work(self, job: Job[Any], body: bytes, lane: str = "") -> Any:
        raise Undone(503, "overloaded", "Try again in a moment.")


@pytest.mark.parametrize(("size", "status"), [(2, 200), (5, 503)])
def test_an_answer_that_there_is_no_room_for(size: int, status: int) -> None:
    scene, session = gate()
    scene.engine.aside = Full()
    asked(session, {**CHAT, "model": "claude-1"})
    body = msgspec.json.encode({**MESSAGE, "content": [{"type": "text", "text": "x" * (size << 20)}]})
    one(session, response_headers(JSON, cluster="provider_anthropic"))
    reply = one(session, response_body(body, end=True))
    session.close()
    (record,) = scene.books
    assert (reply.status or 200, record.status, record.usage) == (status, status, Usage(input=5, output=2))
    assert (record.outcome, record.error) == (("complete", "") if status == 200 else ("error", "overloaded"))


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_lost_is_named_again_from_the_cache(stream: bool) -> None:
    scene, session = gate()
    question = {**CHAT, "model": "claude-1", "temperature": 0, "seed": 5, "stream": stream}
    asked(session, question)
    first = one(session, response_headers(SSE if stream else JSON, cluster="provider_anthropic"))
    one(session, response_body(MESSAGE_STREAM if stream else msgspec.json.encode(MESSAGE), end=True))
    session.close()
    again = GateSession(scene.engine)
    one(again, request_headers(head()))
    hit = one(again, request_body(msgspec.json.encode(question)))
    assert (hit.headers["x-headgate-cache"], hit.headers["x-headgate-dropped"]) == ("hit", first.headers["x-headgate-dropped"])
