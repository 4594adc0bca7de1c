"""One request and its answer: which filter is asked when, what each way out does, and what the ledger is told."""

from typing import Any, TypeVar

import msgspec
import pytest

from extproc import Identity, Reject, Request, Response, StoredKey, Tap
from extproc.answering import BrokenAnswer
from extproc.aside import Here, Job
from extproc.config.model import Google, Limits, Model, Provider
from extproc.ending import fill
from extproc.engine import Engine
from extproc.exchange import Exchange
from extproc.keys import digest
from extproc.tried import attempts_told
from extproc.usage import Usage
from extproc.use import Use
from extproc.values import BodyMode, Target
from tests.scene import CHAT, CONFIG, Books, Scene, Shelf, head, message, run
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import DONE, MESSAGE, STREAM, USAGE_ONLY, delta

BODY = msgspec.json.encode(CHAT)
STREAMED = msgspec.json.encode({**CHAT, "stream": True})
JSON = {":status": "200", "content-type": "application/json"}
SSE = {":status": "200", "content-type": "text/event-stream"}

DIED = b'data: {"error":{"message":"died","type":"server_error"}}\n\n'

T = TypeVar("T")


class Told(Tap):
    """Writes down what it is told."""

    def __init__(self, name: str, log: list[str], *, passes: bool = False, whole: bool = True) -> None:
        self.name, self.log = name, log
        self.passes, self.whole = passes, whole
        self.seen: list[bytes] = []

    def start(self, response: Response) -> None:
        self.log.append(f"{self.name} start {response.status}")

    def events(self, events: list[bytes]) -> list[bytes]:
        self.seen += events
        self.log.append(f"{self.name} {len(events)}")
        return events

    async def end(self, response: Response) -> None:
        self.log.append(f"{self.name} end {response.ended}")


class Handler:
    """Does as it is told."""

    def __init__(self, outcome: Response | Tap | Exception | None) -> None:
        self.outcome = outcome

    async def request(self, request: Request) -> Response | Tap | None:
        request.targets = request.targets or (Target("openai", "gpt"),)
        request.record.model = "gpt"
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def exchange(*outcomes: Response | Tap | Exception | None, early: int = 0, **headers: str) -> Exchange:
    """An exchange whose filters do as they are told; the first `early` of them need no body."""
    made = Scene(filters=()).exchange(head(**headers))
    handlers = tuple(map(Handler, outcomes)) or (Handler(None),)
    made.snapshot.early, made.snapshot.filters = handlers[:early], handlers[early:] or (Handler(None),)
    return made


def started(made: Exchange, body: bytes = BODY) -> Exchange:
    """As far as the provider."""
    assert run(made.intake.begin()) is None
    assert run(made.intake.proceed(body)) is None
    made.intake.forward()
    return made


def answered(made: Exchange, headers: dict[str, str] = JSON, *pieces: bytes) -> bytes:
    """The answer passes, its last message empty; what the client gets of its body."""
    made.delivery.answer(headers, local="", cluster="provider_openai", attempts=1)
    out = b"".join(made.delivery.feed(piece, False) for piece in pieces)
    return out + made.delivery.feed(b"", True)


def ended(made: Exchange, *, whole: bool = True) -> Exchange:
    made.delivery.close(whole=whole)
    run(made.delivery.end())
    return made


def test_taps_hear_of_it_from_last_to_first() -> None:
    log: list[str] = []
    taps = (Told("a", log), Told("b", log, passes=True), None, Told("c", log))
    made = started(exchange(*taps, early=1), msgspec.json.encode({**CHAT, "stream": True}))
    assert log == []
    assert answered(made, SSE, *[event + b"\n\n" for event in STREAM.split(b"\n\n")[:-1]]) == STREAM.replace(USAGE_ONLY, b"")
    ended(made)
    # b wants no events, and what we made the provider tell of usage is nobody's event.
    assert log == ["c start 200", "b start 200", "a start 200", *["c 1", "a 1"] * 4, "c end complete", "b end complete", "a end complete"]


@pytest.mark.parametrize("early", [0, 3])
def test_a_refusal_reaches_the_taps_of_before(early: int) -> None:
    log: list[str] = []
    refusal = Reject(429, "too_many", "Slow down.", headers=(("retry-after", "3"),))
    made = exchange(Told("a", log), refusal, Told("never", log), early=early)
    response = run(made.intake.begin()) if early else run(made.intake.begin()) or run(made.intake.proceed(BODY))
    assert response is not None
    assert (response.status, response.headers) == (429, {"content-type": "application/json", "retry-after": "3"})
    assert msgspec.json.decode(response.body)["error"]["request_id"] == "r-1"
    record = ended(made).delivery.settle()
    assert (record.outcome, record.error, record.status, record.provider, record.bytes_out) == (
        "rejected",
        "too_many",
        429,
        "",
        len(response.body),
    )
    assert log == ["a start 429", "a 1", "a end complete"]


def test_a_refusal_has_the_clients_dialect() -> None:
    made = exchange(Reject(401, "missing_api_key", "No key."), early=1)
    made = Exchange(made.snapshot, head("/v1/messages"))
    response = run(made.intake.begin())
    assert response is not None
    assert msgspec.json.decode(response.body) == {
        "type": "error", "error": {"type": "authentication_error", "message": "No key."}, "request_id": "r-1",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/api/chat", "/v2/chat"])
@pytest.mark.parametrize(
    "body", [b'{"model":"gpt","Model":"big"}', b'{"model":"big","model":"gpt"}', b'{"model":"gpt","mod\\u0065l":"big"}']
)
def test_no_other_model_goes_on_than_the_one_judged(path: str, body: bytes) -> None:
    made = exchange(None)
    made = Exchange(made.snapshot, head(path))
    assert run(made.intake.begin()) is None
    with pytest.raises(Reject, match="names a model twice"):
        run(made.intake.proceed(body)) or made.intake.forward()


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_a_filters_own(stream: bool) -> None:
    log: list[str] = []
    tap = Told("a", log)
    body = STREAM if stream else b"{}"
    made = exchange(tap, Response(200, {"content-type": "x"}, body, origin="cache", stream=stream))
    response = run(made.intake.begin()) or run(made.intake.proceed(BODY))
    assert response is not None and response.body == body
    assert len(tap.seen) == (5 if stream else 1)
    record = ended(made).delivery.settle()
    assert (record.outcome, record.status, record.provider, record.attempts) == ("complete", 200, "", 0)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content_type": "text/plain"}, 415, "unsupported_media_type"),
        ({"content_type": ""}, 415, "unsupported_media_type"),
        ({"content_encoding": "gzip"}, 415, "unsupported_encoding"),
        ({"content_length": "33554433"}, 413, "request_too_large"),
    ],
)
def test_what_the_head_tells_of_a_body(headers: dict[str, str], status: int, code: str) -> None:
    made = Scene(filters=()).exchange(head(**headers))
    response = run(made.intake.begin())
    assert response is not None
    assert (response.status, msgspec.json.decode(response.body)["error"]["code"]) == (status, code)


def test_a_body_that_is_too_large_after_all() -> None:
    scene = Scene(msgspec.structs.replace(CONFIG, limits=Limits(request_body=10)), filters=())
    made = scene.exchange()
    assert run(made.intake.begin()) is None
    response = run(made.intake.proceed(BODY))
    assert response is not None and response.status == 413


def test_one_target_is_asked_from_here() -> None:
    made = started(exchange(authorization="Bearer hg-callers", content_length=str(len(BODY))))
    forward = made.intake.forward()
    assert forward.clusters == ("provider_openai",)
    assert forward.outgoing.headers == {":authority": "openai.test", "authorization": "Bearer sk-openai"}
    assert forward.outgoing.body is None


class Lanes(Here):
    """Writes down whose jobs are done."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def work(self, job: Job[T], body: bytes, lane: str = "") -> T:
        self.seen.append(lane)
        return await super().work(job, body, lane)


@pytest.mark.parametrize(
    ("path", "model"),
    [("/v1/messages/count_tokens", "gpt"), ("/v1/messages", "gpt"), ("/v1/messages", "both"), ("/v1/chat/completions", "claude-1")],
)
def test_bulky_bodies_wait_in_their_tenants_lane(path: str, model: str) -> None:
    shelf, lanes = Shelf(), Lanes()
    engine = Engine(Books(), shelf, lambda _: shelf, lanes)
    engine.load(message(keys=(StoredKey("one", digest("hg-1"), "acme"),)))
    made = Exchange(engine.current, head(path, authorization="Bearer hg-1"))
    assert run(made.intake.begin()) is None
    body = {"model": model, "max_tokens": 9, "temperature": 0, "messages": [{"role": "user", "content": "x" * 1_200_000}]}
    if run(made.intake.proceed(msgspec.json.encode(body))) is None:
        run(made.intake.prepare())
        lanes.seen += [made.intake.forward().call.lane] * (model == "both")
    assert lanes.seen
    assert set(lanes.seen) == {Identity("acme").lane}


def test_a_bulky_body_waits_for_whom_it_can_be_sent_to() -> None:
    """Of two targets one has no access token yet: the other one's body is made aside, as an only one's is."""
    vertex = Provider(dialect="openai", base_url="https://vertex.test/v1", google=Google())
    half = Model(name="half", targets=("vertex/gpt", "anthropic/claude"))
    config = msgspec.structs.replace(CONFIG, providers={**CONFIG.providers, "vertex": vertex}, models=(half,))
    shelf, lanes = Shelf(), Lanes()
    engine = Engine(Books(), shelf, lambda _: shelf, lanes)
    engine.load(message(config))
    made = Exchange(engine.current, head())
    assert run(made.intake.begin()) is None
    body = {"model": "half", "messages": [{"role": "user", "content": "x" * 1_200_000}]}
    assert run(made.intake.proceed(msgspec.json.encode(body))) is None
    run(made.intake.prepare())
    assert len(lanes.seen) == 1
    forward = made.intake.forward()
    assert forward.clusters == ("provider_anthropic",)
    assert forward.outgoing.body is not None
    assert msgspec.json.decode(forward.outgoing.body)["model"] == "claude"


def test_several_targets_are_the_adapters_business() -> None:
    made = exchange(authorization="Bearer hg-callers", x_title="app", x_api_key="hg-callers", x_headgate_strict="True")
    made.request.targets = (Target("openai", "gpt"), Target("anthropic", "claude"))
    made.request.set_headers = {"x-title": None, "x-token": "on purpose", "user-agent": "ours"}
    assert run(made.intake.begin()) is None
    assert run(made.intake.proceed(BODY)) is None
    forward = made.intake.forward()
    assert forward.clusters == ("provider_openai", "provider_anthropic")
    assert len(forward.timeouts) == 2
    assert forward.outgoing.headers == {"x-token": "on purpose", "user-agent": "ours", "content-length": str(len(BODY))}
    assert sorted(forward.outgoing.remove) == ["authorization", "x-api-key", "x-forwarded-for", "x-headgate-strict", "x-title"]
    assert forward.call.strict
    assert forward.call.headers == {"content-type": "application/json", "x-request-id": "r-1"}
    assert forward.call.rules == {"x-token": "on purpose", "user-agent": "ours"}


def test_a_whole_answer() -> None:
    made = started(exchange(Told("a", [])))
    body = msgspec.json.encode(ANSWER)
    assert answered(made, JSON, body[:10], body[10:]) == body
    record = ended(made).delivery.settle()
    assert (record.usage, record.estimated, record.answered, record.outcome) == (Usage(input=5, output=2), False, "gpt-1", "complete")
    assert (record.provider, record.target, record.attempts, record.status) == ("openai", "gpt", 1, 200)
    assert (record.bytes_in, record.bytes_out) == (len(BODY), len(body))


def test_bodies_are_held_only_for_taps_that_want_them_whole() -> None:
    pieces = [b'{"a":', b"1}"]
    whole, parts = Told("whole", []), Told("parts", [], whole=False)
    for taps, expected in (((whole, parts), [b'{"a":1}']), ((parts,), [*pieces, b""])):
        whole.seen.clear()
        parts.seen.clear()
        made = started(exchange(*taps))
        made.delivery.answer(JSON, local="", cluster="", attempts=1)
        out = [made.delivery.feed(piece, False) for piece in pieces] + [made.delivery.feed(b"", True)]
        assert b"".join(out) == b'{"a":1}'
        assert parts.seen == expected
        if whole in taps:
            assert whole.seen == expected


def test_the_announced_length_is_the_end() -> None:
    made = started(exchange())
    body = msgspec.json.encode(ANSWER)
    made.delivery.answer({**JSON, "content-length": str(len(body))}, local="", cluster="", attempts=1)
    assert made.delivery.feed(body, False) == body
    # A client that has all of it may hang up before the empty last message comes.
    record = ended(made, whole=False).delivery.settle()
    assert (record.outcome, record.partial, record.usage) == ("complete", False, Usage(input=5, output=2))
    assert made.delivery.feed(b"", True) == b""


@pytest.mark.parametrize(
    ("pieces", "whole", "outcome"),
    [
        ([STREAM], True, "complete"),
        ([STREAM], False, "complete"),
        ([delta("Hello!!!!"), DONE], True, "complete"),
        ([delta("Hello!!!!")], True, "provider_broke"),
        ([delta("Hello!!!!")], False, "client_closed"),
        ([], False, "client_closed"),
        ([delta("Hello!!!!"), DIED], True, "provider_broke"),
        ([delta("Hello!!!!"), DIED], False, "provider_broke"),
    ],
)
def test_how_a_stream_ends(pieces: list[bytes], whole: bool, outcome: str) -> None:
    log: list[str] = []
    made = started(exchange(Told("a", log)), STREAMED)
    made.delivery.answer(SSE, local="", cluster="provider_openai", attempts=1)
    for piece in pieces:
        made.delivery.feed(piece, False)
    record = ended(made, whole=whole).delivery.settle()
    assert (record.outcome, record.partial) == (outcome, outcome != "complete")
    assert log[-1] == f"a end {outcome}"
    if STREAM in pieces:
        assert (record.usage, record.estimated) == (Usage(input=5, output=2), False)
    else:
        # Nobody told: a token is taken for four bytes.
        assert (record.usage, record.estimated) == (Usage(input=-(-len(STREAMED) // 4), output=3 if pieces else 0), True)


def test_a_client_that_gives_up_before_the_answer() -> None:
    made = started(exchange())
    assert made.delivery.settle().provider == "openai"
    record = ended(made, whole=False).delivery.settle()
    assert (record.outcome, record.status, record.provider, record.partial, record.usage) == ("client_closed", 0, "openai", True, Usage())
    early = exchange(early=1)
    assert ended(early, whole=False).delivery.settle().outcome == "client_closed"


@pytest.mark.parametrize(
    ("local", "status"), [("no_healthy_upstream", "503"), ("upstream_per_try_timeout", "504"), ("cluster_not_found", "503")]
)
def test_envoys_own_replies_pass(local: str, status: str) -> None:
    made = started(exchange(Told("a", [])))
    found = made.delivery.answer(
        {":status": status, "content-type": "application/json", "content-length": "9"}, local=local, cluster="", attempts=0
    )
    assert (found.mode, found.headers, found.remove) == (BodyMode.NONE, {}, ())
    record = ended(made).delivery.settle()
    assert (record.outcome, record.error, record.status, record.usage, record.estimated) == ("error", local, int(status), Usage(), False)


def test_a_providers_error() -> None:
    made = started(exchange())
    answered(made, {**JSON, ":status": "429"}, b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}')
    record = ended(made).delivery.settle()
    assert (record.outcome, record.error, record.status, record.usage, record.estimated) == (
        "error",
        "rate_limit_exceeded",
        429,
        Usage(),
        False,
    )


def translated(*taps: Tap) -> Exchange:
    made = exchange(*taps)
    made.request.targets = (Target("anthropic", "claude"),)
    return started(made)


def test_the_status_can_change_while_the_body_is_buffered() -> None:
    made = translated()
    found = made.delivery.answer({**JSON, "content-length": "6"}, local="", cluster="provider_anthropic", attempts=1)
    assert found.mode == BodyMode.BUFFERED
    assert b"bad_provider_answer" in made.delivery.feed(b"<html>", True)
    assert made.delivery.status == 502
    record = ended(made).delivery.settle()
    assert (record.outcome, record.status, record.error) == ("error", 502, "bad_provider_answer")


def test_it_cannot_once_the_head_has_gone() -> None:
    log: list[str] = []
    made = translated(Told("a", log))
    made.delivery.answer(JSON, local="", cluster="provider_anthropic", attempts=1)
    assert made.delivery.feed(b"<html>", False) == b""
    with pytest.raises(BrokenAnswer, match="anthropic"):
        made.delivery.feed(b"", True)
    record = ended(made, whole=False).delivery.settle()
    assert (record.outcome, record.status, record.error, log[-1]) == ("provider_broke", 200, "bad_provider_answer", "a end provider_broke")


def test_a_translated_answer() -> None:
    made, body = translated(), msgspec.json.encode(MESSAGE)
    found = made.delivery.answer(
        {**JSON, "content-length": str(len(body)), "request-id": "q"}, local="", cluster="provider_anthropic", attempts=1
    )
    assert (found.headers, sorted(found.remove)) == ({}, ["content-length", "request-id"])
    assert msgspec.json.decode(made.delivery.feed(body, True))["object"] == "chat.completion"
    assert ended(made).delivery.settle().usage == Usage(input=5, output=2)


@pytest.mark.parametrize(
    ("status", "sent"), [("401", 502), ("500", 500), ("200", 502), ("202", 502), ("204", 502), ("205", 502), ("304", 502)]
)
def test_a_head_alone_gets_a_body(status: str, sent: int) -> None:
    for made in (started(exchange()), translated()):
        if status == "200" and made.request.targets[0].provider == "openai":
            continue
        made.delivery.answer({**JSON, ":status": status}, local="", cluster="", attempts=1, end=True)
        body = fill(made.delivery)
        assert msgspec.json.decode(body)["error"]["message"]
        record = ended(made).delivery.settle()
        assert (made.delivery.status, record.status, record.outcome, record.bytes_out) == (sent, sent, "error", len(body))


class Adding(Tap):
    passes = True

    def start(self, response: Response) -> None:
        response.headers["x-cache"] = "miss"
        response.headers["x-secret"] = None
        response.headers["content-type"] = "application/json"


def test_taps_change_the_head() -> None:
    made = started(exchange(Adding()))
    found = made.delivery.answer({**JSON, "x-secret": "s", "set-cookie": "a=b"}, local="", cluster="", attempts=1)
    assert (found.headers, sorted(found.remove)) == ({"x-cache": "miss"}, ["set-cookie", "x-secret"])


def relayed(attempts: int, cluster: str, headers: dict[str, str] = SSE) -> Exchange:
    made = exchange()
    made.request.targets = (Target("openai", "gpt"), Target("anthropic", "claude"))
    started(made)
    tried = attempts_told({}, made.delivery.planned, attempts)
    made.delivery.answer(headers, local="", cluster=cluster, attempts=attempts, tried=tried)
    return made


def test_what_the_adapter_tells() -> None:
    made = relayed(2, "provider_anthropic")
    assert made.delivery.relayed
    made.delivery.tell(
        Use("provider_anthropic", 2, answered="claude-1", usage=Usage(input=9, output=4, cache_read=3), text=5, finished=True)
    )
    assert made.delivery.feed(STREAM, True) == STREAM
    record = ended(made).delivery.settle()
    assert (record.provider, record.target, record.attempts, record.answered) == ("anthropic", "claude", 2, "claude-1")
    assert (record.usage, record.estimated, record.outcome) == (Usage(input=9, output=4, cache_read=3), False, "complete")


@pytest.mark.parametrize(("attempts", "cluster"), [(3, "provider_openai"), (1, "provider_anthropic"), (2, "provider_openai")])
def test_a_target_that_does_not_fit_is_not_named(attempts: int, cluster: str) -> None:
    made = relayed(attempts, cluster)
    assert made.delivery.response is not None and made.delivery.response.target is None


def test_a_bug_in_one_end_does_not_cost_the_others_theirs(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Tap):
        async def end(self, response: Response) -> None:
            raise ZeroDivisionError

    log: list[str] = []
    made = started(exchange(Told("meter", log), Broken(), Told("c", log)))
    answered(made, JSON, msgspec.json.encode(ANSWER))
    ended(made)
    assert log[-2:] == ["c end complete", "meter end complete"]
    assert "r-1" in caplog.text


def test_what_a_record_holds() -> None:
    made: Any = exchange(None)
    record = made.delivery.settle()
    assert (record.id, record.dialect, record.path, record.status, record.outcome) == (
        "r-1",
        "openai",
        "/v1/chat/completions",
        0,
        "complete",
    )
    started(made, msgspec.json.encode({**CHAT, "stream": True}))
    record = made.delivery.settle()
    assert (record.stream, record.provider, record.target, record.duration > 0) == (True, "openai", "gpt", True)


class Redact(Handler):
    """Edits the body, as a guardrail would."""

    async def request(self, request: Request) -> Response | Tap | None:
        request.edit()["messages"] = [{"role": "user", "content": "[redacted]"}]
        return await super().request(request)


@pytest.mark.parametrize("targets", [("openai",), ("openai", "anthropic")])
def test_an_edited_body_is_what_goes_on(targets: tuple[str, ...]) -> None:
    made = Scene(filters=()).exchange(head(content_length=str(len(BODY))))
    handler = Redact(None)
    made.snapshot.filters = (handler,)
    run(made.intake.begin())
    made.request.targets = tuple(Target(name, "gpt") for name in targets)
    run(made.intake.proceed(BODY))
    outgoing = made.intake.forward().outgoing
    assert outgoing.body is not None
    assert b"[redacted]" in outgoing.body
    assert outgoing.headers["content-length"] == str(len(outgoing.body))


@pytest.mark.parametrize("targets", [("openai",), ("openai", "anthropic")])
def test_an_untouched_body_is_never_sent_back(targets: tuple[str, ...]) -> None:
    made = Scene(filters=()).exchange(head(content_length=str(len(BODY))))
    made.snapshot.filters = (Handler(None),)
    run(made.intake.begin())
    made.request.targets = tuple(Target(name, "gpt") for name in targets)
    run(made.intake.proceed(BODY))
    assert made.intake.forward().outgoing.body is None


def test_what_nobody_answers_and_nobody_can_be_asked_for() -> None:
    made = Scene(filters=()).exchange(head("/v1/responses/resp_1", "GET"))
    assert run(made.intake.begin()) is None and run(made.intake.proceed(b"")) is None
    with pytest.raises(Reject) as raised:
        made.intake.forward()
    assert (raised.value.fault.status, raised.value.fault.code) == (404, "provider_not_found")
    assert "'responses'" in raised.value.fault.message and "/v1/responses/resp_1" in raised.value.fault.message


def test_what_an_answer_says_of_itself_goes_along_to_each_attempt() -> None:
    made = exchange(None)
    made.request.says = {"id": "resp_1"}
    started(made)
    assert made.delivery.call is not None and made.delivery.call.says == {"id": "resp_1"}
