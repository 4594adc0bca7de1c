"""The adapter's promises to Envoy: a playbook of messages in, replies out."""

from base64 import b64encode
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from extproc.adapter import AdapterSession
from extproc.aside import Here, Job
from extproc.config.model import Limits, Model
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.transport.seam import Refused
from extproc.usage import Usage
from extproc.use import Use
from tests.playbook import Reply, one, request_body, request_headers, say, trailers
from tests.scene import CHAT, CONFIG, Scene, head
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import DONE, MESSAGE, MESSAGE_STREAM, STREAM, delta
from tests.trying import CLEARED, JSON, KIB, PASSED, SSE, Try, attempt, gated, use_of


def test_a_first_attempt() -> None:
    made = attempt()
    assert made.first == Reply("request_headers")
    headers, body = made.sent()
    assert (headers[":authority"], headers[":path"], headers["authorization"]) == (
        "openai.test",
        "/v1/chat/completions",
        "Bearer sk-openai",
    )
    assert body == CHAT
    assert headers["content-length"] == str(len(made.second.body or b""))
    assert not any("hg-callers" in value for value in headers.values())


def test_attempts_at_providers_of_several_dialects() -> None:
    also = {name: msgspec.structs.replace(provider, also=("responses",)) for name, provider in CONFIG.providers.items()}
    scene = Scene(msgspec.structs.replace(CONFIG, providers=also))
    given = gated(scene, {"model": "both", "input": "Hi"}, path="/v1/responses")
    for number, (name, model) in enumerate((("openai", "gpt"), ("anthropic", "claude")), 1):
        headers, body = Try(scene, given, number, f"provider_{name}").sent()
        assert (headers[":authority"], headers[":path"]) == (f"{name}.test", "/v1/responses")
        assert body == {"model": model, "input": "Hi"}


def test_a_second_attempt_after_a_first_of_another_dialect() -> None:
    scene = Scene()
    given = gated(scene, x_title="app")
    first = Try(scene, given, 1, "provider_openai")
    headers, _ = first.sent()
    # Envoy restores the body, but keeps the headers.
    second = Try(scene, (headers, given[1], given[2]), 2, "provider_anthropic")
    after, body = second.sent()
    assert (after[":authority"], after[":path"], after["x-api-key"]) == ("anthropic.test", "/v1/messages", "sk-anthropic")
    assert "authorization" not in after and "x-title" not in after
    assert (body["model"], body["messages"][0]["role"]) == ("claude", "user")
    assert after["content-length"] == str(len(second.second.body or b""))
    assert not any("openai" in value for value in after.values())


def test_a_request_without_a_body() -> None:
    scene = Scene()
    headers, _, metadata = gated(scene)
    session = AdapterSession(scene.engine)
    attributes = {names.CLUSTER_ATTRIBUTE: "provider_openai", names.ATTEMPT_ATTRIBUTE: 1}
    reply = one(session, request_headers(headers, end=True, attributes=attributes, metadata=metadata))
    assert (reply.part, reply.status) == ("immediate_response", 400)


@pytest.mark.parametrize(("number", "cluster"), [(1, "provider_anthropic"), (2, "provider_openai"), (1, ""), (2, "provider_gone")])
def test_another_cluster_than_was_due(number: int, cluster: str, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    made = Try(scene, gated(scene), number, cluster)
    assert (made.first.part, made.first.status, made.first.details) == ("immediate_response", 500, "headgate_internal_error")
    assert msgspec.json.decode(made.first.body or b"")["error"]["request_id"] == "r-1"
    assert "r-1" in caplog.text


def test_without_a_call_nothing_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    reply = one(AdapterSession(Scene().engine), request_headers(head()))
    assert (reply.part, reply.status) == ("immediate_response", 500)
    assert caplog.text


def test_a_request_keeps_its_snapshot() -> None:
    scene = Scene()
    given = gated(scene)
    providers = {**CONFIG.providers, "openai": msgspec.structs.replace(CONFIG.providers["openai"], key="sk-new")}
    scene.load(msgspec.structs.replace(CONFIG, providers=providers))
    assert Try(scene, given, 1, "provider_openai").sent()[0]["authorization"] == "Bearer sk-openai"


def test_the_head_is_held_until_the_first_event() -> None:
    made = attempt({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    assert made.answer({**SSE, "set-cookie": "a=b", "content-length": "9999"}) == []
    first = delta("Hello")
    assert made.piece(first[:20]) == []
    assert made.piece(first[20:40]) == []
    replies = made.piece(first[40:])
    # The head first, then one reply for each piece.
    assert [reply.part for reply in replies] == ["response_headers", *["response_body"] * 3]
    assert replies[0].remove == ["set-cookie", "content-length"]
    assert replies[1:3] == [CLEARED] * 2
    assert replies[3].body == first
    assert made.piece(delta("!")) == [PASSED]
    last = made.piece(STREAM[len(delta("Hel") + delta("lo")) :], end=True)
    assert use_of(last[0]) == Use("provider_openai", 1, "openai", "gpt", "gpt-1", Usage(input=5, output=2), 6, True)
    assert say(made.session, trailers()) == [Reply("response_trailers")]


def test_json_is_held_to_its_end() -> None:
    made = attempt()
    body = msgspec.json.encode(ANSWER)
    assert made.answer({**JSON, "content-length": str(len(body))}) == []
    assert made.piece(body[:30]) == []
    replies = made.piece(body[30:], end=True)
    assert [reply.part for reply in replies] == ["response_headers", "response_body", "response_body"]
    # Its length is what it was.
    assert (replies[0].headers, replies[0].remove) == ({}, [])
    assert (replies[1].body, replies[2].body) == (b"", body)
    assert use_of(replies[0]).usage == Usage(input=5, output=2)


def test_a_translated_answer_has_its_own_length() -> None:
    made = attempt(second=True)
    body = msgspec.json.encode(MESSAGE)
    made.answer({**JSON, "content-length": str(len(body)), "request-id": "q"})
    replies = made.piece(body, end=True)
    assert replies[0].headers == {"content-length": str(len(replies[1].body or b""))}
    assert replies[0].remove == ["request-id"]
    assert msgspec.json.decode(replies[1].body or b"")["object"] == "chat.completion"


@pytest.mark.parametrize("second", [False, True])
def test_beyond_256_kib_the_head_goes_out(second: bool) -> None:
    made = attempt(second=second)
    text = "x" * (800 * KIB)
    answer = {**MESSAGE, "content": [{"type": "text", "text": text}]} if second else {**ANSWER, "x": text}
    body = msgspec.json.encode(answer)
    made.answer({**JSON, "content-length": str(len(body))})
    replies: list[Reply] = []
    out = b""
    for at in range(0, len(body) + 1, 100 * KIB):
        piece = body[at : at + 100 * KIB]
        told = made.piece(piece, end=at + 100 * KIB > len(body))
        out += b"".join(piece if reply.body is None else reply.body for reply in told if reply.part == "response_body")
        assert bool(replies or told) == (at >= 200 * KIB)
        replies += told
    assert replies[0].part == "response_headers"
    assert "content-length" in replies[0].remove
    if second:
        assert msgspec.json.decode(out)["choices"][0]["message"]["content"] == text
    else:
        assert out == body
    assert use_of(replies[-1]).usage == Usage(input=5, output=2)


def test_a_stream_without_an_event_does_not_fill_envoys_buffer() -> None:
    made = attempt({**CHAT, "stream": True})
    made.answer(SSE)
    assert made.piece(b"data: " + b"x" * (200 * KIB)) == []
    replies = made.piece(b"x" * (100 * KIB))
    assert [reply.part for reply in replies] == ["response_headers", "response_body", "response_body"]
    # The event is not whole, so nothing of it has passed; it does when it is.
    assert replies[1:] == [CLEARED] * 2
    assert len(made.piece(b"\n\n")[0].body or b"") == 300 * KIB + 8


@pytest.mark.parametrize(("status", "sent"), [("429", None), ("503", None), ("401", "502")])
def test_an_error_is_held_and_its_status_told(status: str, sent: str | None) -> None:
    made = attempt()
    made.answer({**JSON, ":status": status})
    assert made.piece(b'{"error":') == []
    replies = made.piece(b'{"message":"no"}}', end=True)
    assert replies[0].headers.get(":status") == sent
    assert b'"message"' in (replies[-1].body or b"")
    assert use_of(replies[0]).error


def test_an_error_of_another_dialect() -> None:
    made = attempt(second=True)
    made.answer({**JSON, ":status": "529"})
    replies = made.piece(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', end=True)
    document = msgspec.json.decode(replies[1].body or b"")
    assert (document["error"]["message"], document["error"]["request_id"]) == ("busy", "r-1")
    assert ":status" not in replies[0].headers


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("status", "sent"), [("503", None), ("401", "502"), ("202", "502"), ("204", "502"), ("304", "502")])
def test_a_head_alone_is_answered_at_once(status: str, sent: str | None, second: bool) -> None:
    made = attempt(second=second)
    (reply,) = made.answer({":status": status, "content-length": "0"}, end=True)
    assert reply.part == "response_headers"
    assert reply.headers.get(":status") == sent
    assert use_of(reply).error
    assert use_of(reply).finished


def test_what_is_too_large_is_refused_or_broken_off() -> None:
    scene = Scene(msgspec.structs.replace(CONFIG, limits=Limits(response_body=300 * KIB)))
    made = attempt(scene=scene)
    made.answer({**JSON, "content-length": str(400 * KIB)})
    assert made.piece(b"{}", end=True)[0].headers[":status"] == "502"
    made = attempt(scene=scene)
    made.answer(JSON)
    assert made.piece(b"x" * (270 * KIB))[0].part == "response_headers"
    # Envoy keeps what it is told before, and its log has it; nothing more of the answer goes on.
    (told,) = made.piece(b"x" * (40 * KIB))
    assert (use_of(told).error, told.body or b"") == ("bad_provider_answer", b"")
    with pytest.raises(Refused, match=names.UNUSABLE):
        made.piece(b"x")
    made = attempt(scene=scene)
    made.answer(JSON)
    # A head that Envoy retries, and no reply of ours, which it would not.
    head, told = made.piece(b"x" * (310 * KIB))
    assert (head.part, head.headers[":status"], told.part) == ("response_headers", "502", "response_body")
    assert b"limits.response_body" in (told.body or b"")
    assert [reply for piece in (b"x" * KIB, b"x") for reply in made.piece(piece)] == [CLEARED] * 2


def test_of_an_event_that_is_too_large_the_client_is_told_before_its_stream_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    made = attempt({**CHAT, "stream": True}, Scene(msgspec.structs.replace(CONFIG, limits=Limits(response_body=300 * KIB))))
    made.answer(SSE)
    assert made.piece(delta("Hello"))[0].part == "response_headers"
    (told,) = made.piece(b"data: " + b"x" * (310 * KIB))
    assert use_of(told).error == "bad_provider_answer"
    assert (told.body or b"").startswith(b'data: {"error":')
    with pytest.raises(Refused, match=names.UNUSABLE):
        made.piece(b"x")
    # The log says it once.
    assert caplog.text.count("limits.response_body") == 1


def test_a_bug_before_the_head_has_gone_is_a_500(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    made = attempt(second=True)
    made.answer(JSON)
    # What a later version of a dialect might do wrong.
    del made.session._answering
    (reply,) = made.piece(b"{}", end=True)
    assert (reply.part, reply.status, reply.details) == ("immediate_response", 500, "headgate_internal_error")
    assert "r-1" in caplog.text


def test_a_bug_afterwards_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    made = attempt({**CHAT, "stream": True})
    made.answer(SSE)
    assert made.piece(delta("Hello"))
    del made.session._answering
    with pytest.raises(AttributeError):
        made.piece(DONE)
    made.session.close()
    assert "r-1" in caplog.text


T = TypeVar("T")


class Beside(Here):
    """Writes down what is done aside."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def work(self, job: Job[T], body: bytes, lane: str = "") -> T:
        self.done.append(type(job).__name__)
        return await super().work(job, body, lane)


@pytest.mark.parametrize(("many", "done"), [(2500, ["Rewrite"]), (2, [])])
def test_what_is_bulky_in_base64_is_rewritten_aside(many: int, done: list[str]) -> None:
    models = (Model(name="two", targets=("anthropic/claude-1", "anthropic/claude-2")),)
    scene = Scene(replace(CONFIG, models=models))
    scene.engine.aside = beside = Beside()
    said = {"anthropic_version": "x", "messages": [{"role": "user", "content": "x" * 80}] * many, "max_tokens": 9}
    body = msgspec.json.encode({"input": {"invokeModel": {"body": b64encode(msgspec.json.encode(said)).decode()}}})
    session, sent = GateSession(scene.engine), head("/model/two/count-tokens")
    one(session, request_headers(sent))
    reply = one(session, request_body(body))
    held = {name: value for name, value in sent.items() if name not in reply.remove} | reply.headers
    made = Try(scene, (held, body, reply.metadata), 1, "provider_anthropic")
    headers, asked = made.sent()
    assert (headers[":path"], len(asked["messages"]), "max_tokens" in asked) == ("/v1/messages/count_tokens", many, False)
    assert beside.done == done


@given(st.lists(st.integers(0, 400), max_size=25), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_byte_is_lost(cuts: list[int], second: bool) -> None:
    made = attempt({**CHAT, "stream": True, "stream_options": {"include_usage": True}}, second=second)
    body = MESSAGE_STREAM if second else STREAM
    replies, out = made.answer(SSE), b""
    for cut in [*cuts, len(body), None]:
        # What is empty is the end.
        piece, body = (body[:cut], body[cut:]) if cut is not None else (b"", b"")
        told = made.piece(piece, end=cut is None)
        out += b"".join(piece if reply.body is None else reply.body for reply in told if reply.part == "response_body")
        replies += told
    assert [reply.part for reply in replies] == ["response_headers", *["response_body"] * (len(replies) - 1)]
    if second:
        assert out.endswith(DONE) and b'"content":"Hello"' in out
    else:
        assert out == STREAM
    last = [reply for reply in replies if reply.metadata][-1]
    assert (use_of(last).usage, use_of(last).finished) == (Usage(input=5, output=2), True)
