"""The gate's promises to Envoy: a playbook of messages in, replies out."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from extproc.config.timeouts import Timeouts
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.ledger.journal import Journal
from extproc.ledger.record import Record
from extproc.usage import Usage
from extproc.use import USE_KEY, Use
from extproc.values import BodyMode
from filters.cache import Cache
from tests.playbook import (
    Reply,
    one,
    request_body,
    request_headers,
    response_body,
    response_headers,
    trailers,
)
from tests.scene import CHAT, CONFIG, DEFAULT, Scene, head
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import DONE, MESSAGE, STREAM, USAGE_ONLY, delta

BODY = msgspec.json.encode(CHAT)
JSON = {":status": "200", "content-type": "application/json"}
SSE = {":status": "200", "content-type": "text/event-stream"}
PASSED = Reply("response_body")


def gate(scene: Scene | None = None) -> tuple[Scene, GateSession]:
    scene = scene or Scene()
    return scene, GateSession(scene.engine)


def asked(session: GateSession, body: Any = CHAT, path: str = "/v1/chat/completions", **headers: str) -> Reply:
    """As far as the provider: the reply to the body."""
    told = one(session, request_headers(head(path, **headers)))
    assert told.mode == (BodyMode.BUFFERED, BodyMode.NONE)
    return one(session, request_body(msgspec.json.encode(body)))


def record_of(reply: Reply) -> Record:
    return msgspec.json.decode(reply.metadata[names.NAMESPACE][names.RECORD], type=Record)


def test_the_head_of_a_json_request() -> None:
    _, session = gate()
    for path, dialect in (("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")):
        _, session = gate()
        reply = one(session, request_headers(head(path)))
        # An unset request_body_mode means NONE, and without the override the gate never sees the response.
        assert reply == Reply("request_headers", mode=(BodyMode.BUFFERED, BodyMode.NONE), metadata={"headgate": {"dialect": dialect}})


def test_one_target() -> None:
    _, session = gate()
    reply = asked(session, content_length=str(len(BODY)), authorization="Bearer whatever")
    assert (reply.part, reply.body, reply.mode) == ("request_body", None, None)
    # A change of route is ignored without a header mutation.
    assert reply.clear_route and reply.headers
    assert reply.headers == {":authority": "openai.test", "authorization": "Bearer sk-openai", "x-headgate-cluster": "provider_openai"}
    assert reply.remove == ["x-forwarded-for"]
    own = reply.metadata["headgate"]
    assert (own["dialect"], own["idle"], "adapter" in own, "call" in own) == ("openai", "120", False, False)
    assert "headgate.targets" not in reply.metadata
    record = record_of(reply)
    assert (record.id, record.model, record.route, record.provider, record.target) == ("r-1", "gpt", "gpt", "openai", "gpt")
    # What an answer costs at least, if this worker dies in the middle of it.
    assert (record.usage, record.estimated, record.metered) == (Usage(input=-(-len(BODY) // 4)), True, True)


def test_several_targets() -> None:
    _, session = gate()
    reply = asked(session, {**CHAT, "model": "both"}, authorization="Bearer whatever", x_title="caf\xe9")
    assert reply.headers["x-envoy-max-retries"] == "1"
    assert {"5xx", "reset", "connect-failure", "retriable-status-codes"} <= set(reply.headers["x-envoy-retry-on"].split(","))
    assert "authorization" in reply.remove
    own = reply.metadata["headgate"]
    assert own["adapter"] == "1"
    # Only what goes to one target is named by a header: what follows that goes untranslated.
    assert "x-headgate-cluster" not in reply.headers
    call = msgspec.json.decode(own["call"])
    assert [target["provider"] for target in call["targets"]] == ["openai", "anthropic"]
    assert "whatever" not in own["call"]
    # What an answer costs is for the attempts to tell.
    assert record_of(reply).usage == Usage()
    groups = reply.metadata["headgate.targets"]["priority_groups"]
    assert groups == [
        {"name": "0", "clusters": [{"cluster_name": "provider_openai", "weight": 1}]},
        {"name": "1", "clusters": [{"cluster_name": "provider_anthropic", "weight": 1}]},
    ]


@pytest.mark.parametrize(("model", "idle", "first_byte"), [("gpt", "30", "5000"), ("claude-1", "60", None), ("both", "60", None)])
def test_patience(model: str, idle: str, first_byte: str | None) -> None:
    quick, slow = Timeouts(first_byte=5, idle=30), Timeouts(first_byte=60, idle=30)
    providers = {name: msgspec.structs.replace(CONFIG.providers[name], timeouts=t) for name, t in (("openai", quick), ("anthropic", slow))}
    _, session = gate(Scene(msgspec.structs.replace(CONFIG, providers=providers)))
    reply = asked(session, {**CHAT, "model": model})
    # Envoy's clock for silence runs before the first byte, too, so it is never shorter than that.
    assert (reply.metadata["headgate"]["idle"], reply.headers.get("x-envoy-upstream-rq-per-try-timeout-ms")) == (idle, first_byte)


def test_an_upgrade_may_be_silent() -> None:
    quick = {
        name: msgspec.structs.replace(provider, timeouts=Timeouts(first_byte=5, idle=30)) for name, provider in CONFIG.providers.items()
    }
    _, session = gate(Scene(msgspec.structs.replace(CONFIG, providers=quick)))
    reply = one(session, request_headers(head("/v1/realtime", "GET", content_type="", upgrade="websocket")))
    assert "x-envoy-upstream-rq-per-try-timeout-ms" not in reply.headers
    assert reply.clear_route and reply.headers
    assert reply.metadata["headgate"]["idle"] == "upgrade"


def test_a_changed_body_has_its_length_in_the_same_reply() -> None:
    _, session = gate()
    reply = asked(session, {**CHAT, "model": "quick", "stream": True})
    assert reply.body is not None
    assert msgspec.json.decode(reply.body)["model"] == "gpt-fast"
    assert reply.headers["content-length"] == str(len(reply.body))


def test_headers_that_are_not_utf_8_do_no_harm() -> None:
    scene, session = gate()
    headers: dict[str, str | bytes] = {**head(), "x-title": b"caf\xe9", ":path": b"/v1/chat/completions?q=\xff"}
    assert one(session, request_headers(headers)).mode
    reply = one(session, request_body(msgspec.json.encode({**CHAT, "model": "both"})))
    assert msgspec.json.decode(reply.metadata["headgate"]["call"])["headers"]["x-title"] == "caf\xe9"
    session.close()
    assert scene.books[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("headers", "end"),
    [
        (head("/v1/files", content_type="multipart/form-data; boundary=b"), False),
        (head("/v1/unknown", "GET", content_type=""), True),
        (head("/v1/unknown", "PUT"), False),
        (head("/v1/realtime", "GET", content_type="", upgrade="websocket"), False),
        (head("/v1/chat/completions", "DELETE"), True),
    ],
)
def test_what_is_not_read_passes_without_its_body(headers: dict[str, str], end: bool) -> None:
    _, session = gate()
    reply = one(session, request_headers(headers, end=end))
    assert (reply.part, reply.mode, reply.body) == ("request_headers", (BodyMode.NONE, BodyMode.NONE), None)
    assert reply.clear_route and reply.headers
    # An upgrade is silent for as long as it likes.
    assert (reply.metadata["headgate"]["idle"] == "upgrade") == ("upgrade" in headers)
    assert one(session, response_headers({":status": "200"})).mode is None


def test_json_without_a_body() -> None:
    _, session = gate()
    reply = one(session, request_headers(head(), end=True))
    assert (reply.part, reply.status) == ("immediate_response", 400)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "invalid_request_error"),
        ("/v1/messages", "invalid_request_error"),
        ("/openai/deployments/gpt/chat/completions?api-version=2024-10-21", "invalid_request_error"),
        ("/v1beta/models/m:generateContent", "INVALID_ARGUMENT"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_method(path: str, kind: str, method: str) -> None:
    _, session = gate()
    reply = one(session, request_headers(head(path, method)))
    assert (reply.part, reply.status, reply.headers["allow"]) == ("immediate_response", 405, "POST")
    error = msgspec.json.decode(reply.body or b"")["error"]
    assert error.get("status") or error["type"] == kind
    assert "POST" in error["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/?a=b"])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_list_is_asked_for_in_one_way(path: str, method: str) -> None:
    _, session = gate()
    reply = one(session, request_headers(head(path, method)))
    assert (reply.part, reply.status, reply.headers["allow"]) == ("immediate_response", 405, "GET")
    assert b"takes a GET" in (reply.body or b"")


@pytest.mark.parametrize(("path", "dialect"), [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")])
@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"model": 7}', b'{"model": "nothing-like-it"}', b'{"messages": []}'])
def test_a_refusal(path: str, dialect: str, body: bytes) -> None:
    scene, session = gate()
    assert one(session, request_headers(head(path))).mode
    reply = one(session, request_body(body))
    assert (reply.part, reply.status, reply.headers["content-type"]) == (
        "immediate_response",
        404 if b"nothing" in body else 400,
        "application/json",
    )
    document = msgspec.json.decode(reply.body or b"")
    assert (document.get("request_id") or document["error"].get("request_id")) == "r-1"
    assert ("type" in document) == (dialect == "anthropic")
    # Anything that begins otherwise is rewritten by Envoy.
    assert reply.details == f"headgate_{record_of(reply).error}"
    assert (reply.metadata["headgate"]["dialect"], record_of(reply).outcome) == (dialect, "rejected")
    session.close()
    assert [(record.status, record.outcome) for record in scene.books] == [(reply.status, "rejected")]


def test_models() -> None:
    scene, session = gate()
    reply = one(session, request_headers(head("/v1/models", "GET", content_type=""), end=True))
    assert (reply.status, reply.details) == (200, "headgate_gateway")
    assert "gpt" in [entry["id"] for entry in msgspec.json.decode(reply.body or b"")["data"]]
    session.close()
    assert scene.books[0].outcome == "complete"


def test_an_answer_of_the_same_dialect() -> None:
    scene, session = gate()
    asked(session)
    body = msgspec.json.encode(ANSWER)
    reply = one(session, response_headers({**JSON, "content-length": str(len(body)), "set-cookie": "a=b"}))
    assert (reply.mode, reply.headers, reply.remove) == ((BodyMode.NONE, BodyMode.BUFFERED), {}, ["set-cookie"])
    last = one(session, response_body(body, end=True))
    assert (last.body, last.headers) == (None, {})
    assert record_of(last).usage == Usage(input=5, output=2)
    # Both ends are normal, and either may come first.
    assert session.close() is None
    assert [(record.outcome, record.usage) for record in scene.books] == [("complete", Usage(input=5, output=2))]


def test_an_answer_of_the_same_dialect_that_tells_no_length() -> None:
    scene, session = gate()
    asked(session)
    body = msgspec.json.encode(ANSWER)
    reply = one(session, response_headers(JSON))
    assert (reply.mode, reply.headers, reply.remove) == ((BodyMode.NONE, BodyMode.STREAMED), {}, [])
    assert one(session, response_body(body[:20])) == PASSED
    assert record_of(one(session, response_body(body[20:], end=True))).usage == Usage(input=5, output=2)
    session.close()
    assert [(record.outcome, record.usage) for record in scene.books] == [("complete", Usage(input=5, output=2))]


LIMITED = b'{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}'


@pytest.mark.parametrize(
    ("body", "status", "kept"),
    [(LIMITED, 429, True), (b'{"error":"busy"}', 502, False), (b'{"id":"c"', 502, False), (b"null", 502, False)],
)
def test_an_error_in_place_of_a_small_answer_has_its_own_status(body: bytes, status: int, kept: bool) -> None:
    scene, session = gate()
    asked(session)
    one(session, response_headers({**JSON, "content-length": str(len(body)), "x-ratelimit-reset-requests": "7s"}))
    told = one(session, response_body(body, end=True))
    out = body if told.body is None else told.body
    assert (told.headers[":status"], told.headers["content-length"]) == (str(status), str(len(out)))
    assert told.headers.get("retry-after") == ("7" if status == 429 else None)
    assert (out == body) == kept
    assert msgspec.json.decode(out)["error"]["message"]
    session.close()
    assert [(record.status, record.outcome) for record in scene.books] == [(status, "error")]


def test_an_error_in_place_of_an_answer_that_tells_no_length_passes() -> None:
    """Envoy has sent the head: what is known of it then is in the ledger."""
    scene, session = gate()
    asked(session)
    one(session, response_headers(JSON))
    assert one(session, response_body(LIMITED, end=True)).body is None
    session.close()
    assert [(record.status, record.outcome, record.error) for record in scene.books] == [(200, "provider_broke", "rate_limit_exceeded")]


@pytest.mark.parametrize("head_", [{**JSON, "content-length": "0"}, JSON, {":status": "200", "content-length": "0"}])
def test_nothing_at_all_is_an_error(head_: dict[str, str]) -> None:
    scene, session = gate()
    asked(session)
    told = one(session, response_headers(head_, end=True))
    assert told.status == 502
    assert msgspec.json.decode(told.body or b"")["error"]["message"]
    session.close()
    assert [record.status for record in scene.books] == [502]


@pytest.mark.parametrize("works", [True, False])
def test_what_is_in_the_journal_envoy_need_not_hear(tmp_path: Path, works: bool) -> None:
    (tmp_path / "file").write_text("")
    scene = Scene()
    scene.engine._journal = Journal(tmp_path / ("journal" if works else "file"), "w")
    scene.load(CONFIG, (*DEFAULT[:-1], ("cache", Cache(ttl=1))))
    _, session = gate(scene)
    asked(session)
    body = msgspec.json.encode(ANSWER)
    assert one(session, response_headers({**JSON, "content-length": str(len(body))})).metadata == {}
    last = one(session, response_body(body))
    if works:
        # And what it has heard, it need not write down.
        assert last == Reply("response_body", metadata={"headgate": {"record": ""}})
        assert len(list((tmp_path / "journal").iterdir())) == 1
    else:
        # The disk refuses it, so it is all the more needed there.
        assert record_of(last).usage == Usage(input=5, output=2)


def test_a_stream_of_the_same_dialect() -> None:
    scene, session = gate()
    asked(session, {**CHAT, "stream": True})
    reply = one(session, response_headers(SSE))
    assert reply.mode == (BodyMode.NONE, BodyMode.FULL_DUPLEX_STREAMED)
    replies = [one(session, response_body(piece)) for piece in (delta("Hel"), delta("lo")[:9], delta("lo")[9:] + USAGE_ONLY, DONE)]
    assert [told.body for told in replies] == [None, b"", delta("lo"), None]
    assert record_of(replies[2]).usage == Usage(input=5, output=2)
    assert one(session, response_body(b"", end=True)) == PASSED
    session.close()
    assert scene.books[0].outcome == "complete"


def translated(headers: dict[str, str]) -> tuple[Scene, GateSession, Reply]:
    scene, session = gate()
    asked(session, {**CHAT, "model": "claude-1"})
    return scene, session, one(session, response_headers(headers, cluster="provider_anthropic"))


def test_a_small_answer_of_another_dialect_is_buffered() -> None:
    body = msgspec.json.encode(MESSAGE)
    _, session, reply = translated({**JSON, "content-length": str(len(body))})
    assert (reply.mode, reply.remove) == ((BodyMode.NONE, BodyMode.BUFFERED), ["content-length"])
    told = one(session, response_body(body, end=True))
    assert told.body is not None
    assert (told.headers["content-length"], told.headers[":status"]) == (str(len(told.body)), "200")
    assert msgspec.json.decode(told.body)["object"] == "chat.completion"


def test_a_long_answer_of_another_dialect_is_never_buffered() -> None:
    long = {**MESSAGE, "content": [{"type": "text", "text": "x" * 600_000}]}
    body = msgspec.json.encode(long)
    _, session, reply = translated({**JSON, "content-length": str(len(body))})
    assert (reply.mode, reply.remove) == ((BodyMode.NONE, BodyMode.STREAMED), ["content-length"])
    pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
    replies = [one(session, response_body(piece)) for piece in pieces]
    assert [told.body for told in replies[:-1]] == [b""] * (len(pieces) - 1)
    assert msgspec.json.decode(replies[-1].body or b"")["choices"][0]["message"]["content"] == "x" * 600_000
    assert one(session, response_body(b"", end=True)) == PASSED


def test_an_answer_that_is_none() -> None:
    scene, session, _ = translated({**JSON, "content-length": "6"})
    told = one(session, response_body(b"<html>", end=True))
    assert (told.headers[":status"], b"bad_provider_answer" in (told.body or b"")) == ("502", True)
    session.close()
    assert (scene.books[0].status, scene.books[0].outcome) == (502, "error")
    # Where the head has gone, Envoy breaks the response off.
    scene, session, _ = translated(JSON)
    told = one(session, response_body(b"<html>", end=True))
    assert (told.part, told.status, told.details) == ("immediate_response", 502, "headgate_bad_provider_answer")
    assert record_of(told).outcome == "provider_broke"
    session.close()
    assert (scene.books[0].error, scene.books[0].outcome) == ("bad_provider_answer", "provider_broke")


def test_a_provider_that_refuses_our_key() -> None:
    _, session = gate()
    asked(session)
    reply = one(session, response_headers({**JSON, ":status": "401", "content-length": "9", "www-authenticate": "Bearer"}))
    assert reply.headers == {":status": "502", "content-type": "application/json"}
    assert sorted(reply.remove) == ["content-length", "www-authenticate"]
    assert b"provider_authentication" in (one(session, response_body(b'{"a":"b"}', end=True)).body or b"")


@pytest.mark.parametrize(
    ("model", "cluster"), [("gpt", "provider_openai"), ("claude-1", "provider_anthropic"), ("both", "provider_openai")]
)
def test_an_error_without_a_body_gets_one(model: str, cluster: str) -> None:
    scene, session = gate()
    asked(session, {**CHAT, "model": model})
    headers = {":status": "503", "retry-after": "7", "set-cookie": "a=b", "content-length": "0"}
    reply = one(session, response_headers(headers, cluster=cluster, end=True))
    # Of several targets, the adapter has seen to what may cross.
    crossed = {"set-cookie": "a=b", "x-headgate-attempts": 'openai/gpt;reason="no_answer"'} if model == "both" else {}
    assert (reply.part, reply.status) == ("immediate_response", 503)
    assert reply.headers == {"content-type": "application/json", "retry-after": "7", **crossed}
    assert msgspec.json.decode(reply.body or b"")["error"]["request_id"] == "r-1"
    assert reply.details.startswith("headgate_")
    session.close()
    assert (scene.books[0].status, scene.books[0].provider) == (503, cluster.removeprefix("provider_"))


@pytest.mark.parametrize("details", ["no_healthy_upstream", "upstream_reset_before_response_started{remote_connection_failure|x}", ""])
def test_envoys_own_replies(details: str) -> None:
    scene, session = gate()
    asked(session)
    reply = one(session, response_headers({**JSON, ":status": "503"}, cluster="", attempt=0, details=details))
    assert (reply.mode, reply.headers, reply.remove, reply.body) == (None, {}, [], None)
    session.close()
    assert (scene.books[0].error, scene.books[0].outcome) == (details.partition("{")[0] or "local_reply", "error")


ABSENT = "upstream_reset_before_response_started{remote_connection_failure|immediate_connect_error:_No_such_file_or_directory|"
ABSENT += "remote_address:/run/headgate/no-address.sock}"
KILLED = "ext_proc_error_gRPC_error_14{upstream_connect_error}"


@pytest.mark.parametrize(
    ("attempt", "details", "said"),
    [
        (1, "upstream_per_try_timeout", "no answer from openai: it did not begin to answer in time (timeouts.first_byte)"),
        (2, ABSENT, "no answer from anthropic: its name cannot be resolved (before that: openai)"),
        (0, "cluster_not_found", "no answer from openai: Envoy does not know it (cluster_not_found)"),
        (2, KILLED, f"a worker of ours ended or failed while it was under way; the providers have nothing to do with that ({KILLED})"),
    ],
)
def test_only_who_was_asked_is_blamed(attempt: int, details: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    scene, session = gate()
    asked(session, {**CHAT, "model": "both"})
    one(session, response_headers({**JSON, ":status": "503"}, cluster="", attempt=attempt, details=details))
    assert [record.getMessage() for record in caplog.records] == [f"request r-1: {said}"]
    session.close()
    assert scene.books[0].error == ("no_address" if details == ABSENT else details.partition("{")[0])


def told_aside(use: Use) -> dict[str, Any]:
    return {names.USE_NAMESPACE: {USE_KEY: use.encode()}}


def test_what_the_adapter_tells_is_believed_of_the_attempt_that_answered() -> None:
    scene, session = gate()
    asked(session, {**CHAT, "model": "both", "stream": True})
    first = Use("provider_openai", 1, usage=Usage(input=1000), finished=True, error="overloaded")
    second = Use("provider_anthropic", 2, answered="claude-1", usage=Usage(input=9, output=4, cache_read=3), finished=True)
    reply = one(session, response_headers(SSE, cluster="provider_anthropic", attempt=2, metadata=told_aside(first)))
    assert (reply.mode, reply.remove) == ((BodyMode.NONE, BodyMode.FULL_DUPLEX_STREAMED), [])
    assert record_of(reply).usage == Usage(input=-(-len(msgspec.json.encode({**CHAT, "model": "both", "stream": True})) // 4))
    assert one(session, response_body(STREAM, metadata=told_aside(first))).body is None
    last = one(session, response_body(b"", end=True, metadata=told_aside(second)))
    assert (last.body, record_of(last).usage) == (None, Usage(input=9, output=4, cache_read=3))
    session.close()
    record = scene.books[0]
    assert (record.provider, record.target, record.attempts, record.error, record.outcome) == ("anthropic", "claude", 2, "", "complete")


def test_other_parts_go_on() -> None:
    _, session = gate()
    assert one(session, trailers()) == Reply("response_trailers")
    # A stream that begins with a response is none of ours.
    assert one(session, response_headers(JSON)) == Reply("response_headers")
    assert one(session, response_body(b"x", end=True)) == PASSED
    assert session.close() is None


def test_nonsense_is_no_message() -> None:
    _, session = gate()
    with pytest.raises(ValueError, match="ProcessingRequest"):
        session.receive(b"\xff\xff")
    assert session.close() is None
