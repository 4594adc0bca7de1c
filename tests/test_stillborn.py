"""What is no answer though it came as one, in the adapter, which can still ask another target."""

import msgspec
import pytest

from extproc.envoy import names
from extproc.usage import Usage
from tests.scene import CHAT, Scene
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import delta
from tests.trying import CLEARED, JSON, SSE, Try, attempt, gated, use_of


def test_what_is_no_answer_is_a_bad_gateway_and_so_tried_elsewhere() -> None:
    made = attempt(second=True)
    made.answer({":status": "200", "content-type": "text/html"})
    replies = made.piece(b"<html>Log in</html>", end=True)
    assert replies[0].headers[":status"] == "502"
    made = attempt(second=True)
    made.answer(JSON)
    replies = made.piece(b"<html>", end=True)
    assert replies[0].headers[":status"] == "502"
    assert use_of(replies[0]).error == "bad_provider_answer"


OVERLOADED = b'{"error":{"message":"The server is overloaded","type":"server_error","param":null,"code":"overloaded"}}'
TOO_LONG = b'{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}'
SILENT = b'{"choices":[{"error":{"code":502,"message":"dead"},"message":{"role":"assistant","content":""},"finish_reason":"error"}]}'


@pytest.mark.parametrize("body", [b"<html>", b'{"id":"c"', b'"Hello"', OVERLOADED, SILENT, msgspec.json.encode(ANSWER)[:-1] + b",,"])
def test_a_bad_answer_of_the_clients_dialect_is_tried_elsewhere(body: bytes) -> None:
    made = attempt()
    assert made.answer({**JSON, "content-length": str(len(body))}) == []
    assert made.piece(body[:3]) == []
    replies = made.piece(body[3:], end=True)
    assert [reply.part for reply in replies] == ["response_headers", "response_body", "response_body"]
    assert replies[0].headers[":status"] == "502"
    assert b'"error"' in (replies[2].body or b"")
    assert use_of(replies[0]).error


def test_a_stream_that_nobody_asked_for_is_tried_elsewhere_at_its_head() -> None:
    made = attempt()
    (reply,) = made.answer(SSE)
    assert reply.headers[":status"] == "502"
    assert use_of(reply).error == "bad_provider_answer"
    assert [one.body for one in made.piece(b"data: {}\n\n")] == [CLEARED.body]


def test_nothing_at_all_is_tried_elsewhere() -> None:
    (reply,) = attempt().answer({**JSON, "content-length": "0"}, end=True)
    assert reply.headers[":status"] == "502"
    assert use_of(reply).error == "bad_provider_answer"


def test_a_bad_answer_of_the_clients_dialect_costs_what_it_costs() -> None:
    made = attempt()
    made.answer(JSON)
    replies = made.piece(
        OVERLOADED[:-1] + b',"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7},"model":"gpt-1"}', end=True
    )
    assert (use_of(replies[0]).usage, use_of(replies[0]).answered) == (Usage(input=5, output=2), "gpt-1")


def test_a_web_page_of_the_clients_dialect_is_tried_elsewhere() -> None:
    made = attempt()
    assert made.answer({":status": "200", "content-type": "text/html"}) == []
    replies = made.piece(b"<html>Log in</html>", end=True)
    assert replies[0].headers[":status"] == "502"
    assert b"text/html" in (replies[1].body or b"")


def alone() -> Try:
    """An attempt at the last target, which speaks the client's dialect."""
    scene = Scene()
    headers, question, metadata = gated(scene)
    call = msgspec.json.decode(metadata[names.NAMESPACE][names.CALL])
    call["targets"] = call["targets"][:1]
    metadata = {**metadata, names.NAMESPACE: {**metadata[names.NAMESPACE], names.CALL: msgspec.json.encode(call).decode()}}
    return Try(scene, (headers, question, metadata), 1, "provider_openai")


FAILED_IN_PART = msgspec.json.encode({**ANSWER, "error": {"code": 502, "message": "dead"}})


@pytest.mark.parametrize(
    ("body", "status", "kept"),
    [
        (OVERLOADED, "502", True),
        (OVERLOADED.replace(b'"overloaded"', b'"rate_limit_exceeded"'), "429", True),
        (b'{"error":"busy"}', "502", False),
        (b'{"id":"c"', "502", False),
        (msgspec.json.encode(ANSWER)[:-1] + b",,", "502", False),
        (b"", "502", False),
        (b"<html>", "502", False),
        (b'{"error":{"message":"Incorrect API key provided: sk-1","code":"invalid_api_key"}}', "502", False),
        (FAILED_IN_PART, None, True),
    ],
)
@pytest.mark.parametrize("length", [True, False])
def test_a_bad_answer_of_the_last_target_is_the_error_that_it_is(body: bytes, status: str | None, kept: bool, length: bool) -> None:
    made = alone()
    made.answer({**JSON, "content-length": str(len(body)), "x-ratelimit-reset-requests": "7s"} if length else JSON)
    replies = [*made.piece(body[:9]), *made.piece(body[9:], end=True)]
    assert replies[0].headers.get(":status") == status
    out = b"".join(reply.body or b"" for reply in replies[1:])
    if kept:
        assert out == body
    else:
        assert msgspec.json.decode(out)["error"]["message"]
        assert b"sk-1" not in out
    assert replies[0].headers.get("retry-after") == ("7" if status == "429" and length else None)
    assert use_of(replies[0]).error


def test_nothing_at_all_of_the_last_target_is_an_error() -> None:
    for head_ in ({**JSON, "content-length": "0"}, {":status": "200", "content-length": "0"}):
        (reply,) = alone().answer(head_, end=True)
        assert reply.headers[":status"] == "502"
        assert use_of(reply).error == "bad_provider_answer"


def test_a_web_page_of_the_last_target_is_an_error() -> None:
    made = alone()
    made.answer({":status": "200", "content-type": "text/html; charset=utf-8"})
    replies = made.piece(b"<html>Log in</html>", end=True)
    assert replies[0].headers[":status"] == "502"
    assert b"text/html" in (replies[1].body or b"")


NO_CHOICES = b'data: {"id":"c","object":"chat.completion.chunk","model":"gpt-1","choices":[],"prompt_filter_results":[{}]}\n\n'


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: <html>\n\n"],
        [b"data: [DONE]\n\n"],
        [NO_CHOICES, b"data: " + OVERLOADED + b"\n\n"],
        [NO_CHOICES + b"data: " + OVERLOADED + b"\n\n"],
        [NO_CHOICES, b"data: [DONE]\n\n"],
    ],
)
def test_a_stream_that_begins_with_no_answer_is_tried_elsewhere(pieces: list[bytes]) -> None:
    made = attempt({**CHAT, "model": "both", "stream": True})
    made.answer(SSE)
    replies = [reply for piece in pieces for reply in made.piece(piece)]
    assert replies[0].headers[":status"] == "502"
    assert use_of(replies[0]).error
    assert b'"error"' in (replies[-1].body or b"")


def test_a_chunk_without_choices_waits_for_the_next() -> None:
    """Azure's first one, which tells what its filters think of the prompt."""
    made = attempt({**CHAT, "model": "both", "stream": True})
    made.answer(SSE)
    assert made.piece(NO_CHOICES) == []
    replies = made.piece(delta("Hello"))
    assert ":status" not in replies[0].headers
    assert b"".join(reply.body or b"" for reply in replies[1:]) == NO_CHOICES + delta("Hello")


def test_what_is_the_requests_fault_is_told_as_that_and_not_tried_elsewhere() -> None:
    """Envoy asks nobody else after a 400."""
    made = attempt()
    made.answer(JSON)
    replies = made.piece(TOO_LONG, end=True)
    assert replies[0].headers[":status"] == "400"
    assert replies[-1].body in (None, TOO_LONG)


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("kind", "stream"), [(JSON, False), (SSE, True)])
def test_what_cannot_be_unpacked_is_tried_elsewhere(kind: dict[str, str], *, stream: bool, second: bool) -> None:
    made = attempt({**CHAT, "stream": stream}, second=second)
    made.answer({**kind, "content-encoding": "gzip"})
    head, told = made.piece(b'{"id":', end=False)
    assert (head.part, head.headers[":status"]) == ("response_headers", "502")
    assert use_of(head).error == "bad_provider_answer"
    assert b"cannot be decompressed" in (told.body or b"")
    # What it sends besides reaches nobody.
    assert made.piece(b'"c-1"}', end=True) == [CLEARED]
