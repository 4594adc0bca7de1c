"""Trailers are the end of a body of which no piece was told as the last."""

import msgspec

from extproc.usage import Usage
from tests.playbook import Reply, one, response_body, response_headers, say, trailers
from tests.scene import CHAT
from tests.test_adapter import attempt, use_of
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import STREAM
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
    say(session, response_body(STREAM[:-1]))
    assert record_of(one(session, trailers())).bytes_out
    assert scene.books[0].outcome == "complete"


def test_a_stream_that_lacks_its_end() -> None:
    scene, session = gate()
    asked(session, {**CHAT, "stream": True})
    say(session, response_headers(SSE))
    say(session, response_body(STREAM[:50]))
    assert record_of(one(session, trailers())).bytes_out
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
    (reply,) = say(made.session, trailers())
    assert (reply.part, use_of(reply).finished) == ("response_trailers", True)
