"""Trailers are the end of a body of which no piece was told as the last."""

import msgspec
import pytest

from extproc.usage import Usage
from tests.playbook import Reply, one, response_body, response_headers, say, trailers
from tests.scene import CHAT
from tests.test_adapter import attempt, use_of
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import MESSAGE, STREAM, delta
from tests.test_gate import JSON, PASSED, SSE, asked, gate, record_of

BODY = msgspec.json.encode(ANSWER)
DONE = Reply("response_trailers")


def test_an_answer_that_envoy_holds_is_whole_when_it_comes() -> None:
    scene, session = gate()
    asked(session)
    say(session, response_headers({**JSON, "content-length": str(len(BODY))}))
    say(session, response_body(BODY))
    assert scene.books[0].outcome == "complete"
    assert say(session, trailers()) == [DONE]


def test_an_answer_that_passes_ends_with_them() -> None:
    scene, session = gate()
    asked(session)
    say(session, response_headers(JSON))
    assert say(session, response_body(BODY)) == [PASSED]
    assert not scene.books
    assert record_of(one(session, trailers())).bytes_out
    assert (scene.books[0].outcome, scene.books[0].usage) == ("complete", Usage(input=5, output=2))
    session.close()
    assert len(scene.books) == 1


def test_a_stream_ends_with_them() -> None:
    scene, session = gate()
    asked(session, {**CHAT, "stream": True})
    say(session, response_headers(SSE))
    say(session, response_body(STREAM))
    assert say(session, trailers())[-1].part == "response_trailers"
    assert scene.books[0].outcome == "complete"


def test_a_stream_that_lacks_its_end() -> None:
    scene, session = gate()
    asked(session, {**CHAT, "stream": True})
    say(session, response_headers(SSE))
    say(session, response_body(delta("Hel")))
    assert say(session, trailers())[-1].part == "response_trailers"
    assert scene.books[0].outcome == "provider_broke"


def test_the_adapter_tells_the_gate_of_the_end() -> None:
    made = attempt({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    made.answer(SSE)
    made.piece(STREAM)
    (reply,) = say(made.session, trailers())
    assert reply.part == "response_trailers"
    made = attempt({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    made.answer(SSE)
    made.piece(STREAM[:-1])
    said, over = say(made.session, trailers())
    assert (said.body, said.end, use_of(said).finished, over) == (b"data: [DONE]\n", False, True, DONE)


@pytest.mark.parametrize("second", [False, True])
def test_what_the_adapter_holds_is_whole_with_them(second: bool) -> None:
    made = attempt(second=second)
    body = msgspec.json.encode(MESSAGE if second else ANSWER)
    assert (made.answer(JSON), made.piece(body)) == ([], [])
    head, said, over = say(made.session, trailers())
    # Only they end it.
    assert (head.headers["content-length"], said.end, over) == (str(len(said.body or b"")), False, DONE)
    assert b'"Hello"' in (said.body or b"")


def test_what_the_adapter_cannot_read_is_tried_elsewhere() -> None:
    made = attempt(second=True)
    assert (made.answer(JSON), made.piece(b'{"type":"mess')) == ([], [])
    head, said, over = say(made.session, trailers())
    assert (head.headers[":status"], said.part, over) == ("502", "response_body", DONE)


WHOLE = msgspec.json.encode(MESSAGE)


@pytest.mark.parametrize("cuts", [(len(WHOLE),), (9, len(WHOLE)), (9, len(WHOLE) - 1, len(WHOLE))])
def test_a_translated_answer_is_told_when_it_is_json_to_its_end(cuts: tuple[int, ...]) -> None:
    scene, session = gate()
    asked(session, {**CHAT, "model": "claude-1"})
    say(session, response_headers(JSON))
    begin, told = 0, Reply("")
    for end in cuts:
        told = one(session, response_body(WHOLE[begin:end]))
        assert (told.body == b"") == (end < len(WHOLE))
        begin = end
    assert msgspec.json.decode(told.body or b"")["object"] == "chat.completion"
    assert scene.books[0].outcome == "complete"
    # What follows is none of it.
    assert one(session, response_body(b"\n{}")).body == b""
    assert say(session, trailers()) == [DONE]


def test_one_that_is_not_is_broken_off() -> None:
    scene, session = gate()
    asked(session, {**CHAT, "model": "claude-1"})
    say(session, response_headers(JSON))
    assert one(session, response_body(WHOLE[:-1])).body == b""
    (told,) = say(session, trailers())
    assert told.part == "immediate_response"
    session.close()
    assert scene.books[0].outcome == "provider_broke"


@pytest.mark.parametrize("cut", [20, -3, -1])
def test_json_that_breaks_off_is_cut_where_its_end_seems_to_be_one(cut: int) -> None:
    scene, session = gate()
    asked(session)
    say(session, response_headers(JSON))
    assert say(session, response_body(BODY[:cut])) == [PASSED]
    (told,) = say(session, response_body(b"", end=True))
    assert told.part == "immediate_response"
    session.close()
    assert (scene.books[0].outcome, scene.books[0].error) == ("provider_broke", "bad_provider_answer")
