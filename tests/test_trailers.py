"""Trailers are the end of a body of which no piece was told as the last."""

import msgspec
import pytest

from extproc import adapter
from extproc.envoy import names
from extproc.envoy.names import UNUSABLE
from extproc.transport.seam import Refused
from extproc.usage import Usage
from extproc.use import USE_KEY, Use
from tests.playbook import Reply, one, response_body, response_headers, say, trailers
from tests.scene import CHAT
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import MESSAGE, MESSAGE_STREAM, STREAM, delta
from tests.test_gate import JSON, PASSED, SSE, asked, gate, record_of
from tests.test_gate_endings import begun
from tests.trying import attempt, use_of

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


COUNTED = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(("second", "body"), [(False, STREAM), (True, MESSAGE_STREAM)])
def test_a_stream_at_the_adapter_has_said_its_end_before(second: bool, body: bytes) -> None:
    made = attempt(COUNTED, second=second)
    made.answer(SSE)
    head, last = made.piece(body)
    assert use_of(head).finished
    assert (last.body or body).endswith(b"data: [DONE]\n\n")
    assert say(made.session, trailers()) == [DONE]


@pytest.mark.parametrize(("second", "body"), [(False, delta("Hel")), (True, MESSAGE_STREAM[:-60])])
def test_the_last_words_of_a_stream_are_left_to_the_gate(second: bool, body: bytes) -> None:
    """With the trailers nothing can be added to it where the attempt runs."""
    made = attempt(COUNTED, second=second)
    made.answer(SSE)
    made.piece(body)
    (over,) = say(made.session, trailers())
    assert (over.part, over.body) == ("response_trailers", None)
    use = use_of(over)
    assert (use.finished, b"error" in use.rest, use.rest.endswith(b"data: [DONE]\n\n")) == (False, True, True)


def test_more_than_a_few_words_break_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_REST", 9)
    made = attempt(COUNTED)
    made.answer(SSE)
    made.piece(STREAM[:-1])
    with pytest.raises(Refused, match=UNUSABLE):
        say(made.session, trailers())


def test_the_gate_says_what_is_left_to_it() -> None:
    stream = begun("both")
    one(stream.session, response_body(delta("Hel")))
    rest = b'data: {"error":{"message":"broke off"}}\n\ndata: [DONE]\n\n'
    use = Use("provider_openai", 1, "openai", "m", error="bad_provider_answer", rest=rest).encode()
    said, over = say(stream.session, trailers(metadata={names.USE_NAMESPACE: {USE_KEY: use}}))
    assert (said.part, said.body, over.part) == ("response_body", rest, "response_trailers")
    stream.session.close()
    assert (stream.record.outcome, stream.record.error) == ("provider_broke", "bad_provider_answer")


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("second", [False, True])
def test_what_the_adapter_holds_is_told_as_soon_as_it_is_whole(second: bool, length: bool) -> None:
    """Trailers come when it is answered, and so too late for it."""
    made = attempt(second=second)
    body = msgspec.json.encode(MESSAGE if second else ANSWER)
    assert made.answer({**JSON, "content-length": str(len(body))} if length else JSON) == []
    assert made.piece(body[:-1]) == []
    head, cleared, said = made.piece(body[-1:])
    told = said.body or b""
    assert (head.headers.get("content-length", str(len(body))), cleared.body) == (str(len(told)), b"")
    assert b'"Hello"' in told
    assert use_of(head).finished
    # What follows is none of it.
    assert made.piece(b"\n{}")[0].body == b""
    assert say(made.session, trailers()) == [DONE]


@pytest.mark.parametrize("second", [False, True])
def test_an_error_is_told_as_soon_as_it_is_whole(second: bool) -> None:
    made = attempt(second=second)
    made.answer({**JSON, ":status": "503"})
    head, said = made.piece(b'{"error":{"message":"no"}}')
    assert (use_of(head).finished, b'"no"' in (said.body or b'"no"')) == (True, True)
    assert say(made.session, trailers()) == [DONE]


def test_trailers_without_a_body_are_tried_elsewhere() -> None:
    made = attempt(second=True)
    assert made.answer(JSON) == []
    head, over = say(made.session, trailers())
    assert (head.headers[":status"], over) == ("502", DONE)


@pytest.mark.parametrize(("many", "told"), [(10, True), (10_000, False)])
def test_json_that_seems_to_end_with_each_piece_is_not_looked_at_for_ever(many: int, told: bool) -> None:
    """Each look is at all that there is: with 10,000 of these pieces, at 50 MB."""
    made = attempt(second=True)
    made.answer(JSON)
    assert made.piece(b'{"x":"') == []
    for _ in range(many):
        assert made.piece(b"}") == []
    assert len(made.piece(b'"}')) == (1 + many + 2 if told else 0)


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
