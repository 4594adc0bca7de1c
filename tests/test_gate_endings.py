"""Streams that the gate ends before their providers do: in which words, what the ledger says of it, and whom it counts against."""

import time
from typing import Any, NamedTuple

import msgspec
import pytest

from extproc import streaming
from extproc.clock import TICK, Clock
from extproc.config.model import Config, Limits, Model, Provider
from extproc.config.timeouts import Timeouts
from extproc.dialects import DIALECTS, heard
from extproc.dialects.framing import split
from extproc.dialects.hub import BlockStart, Error, Start, StreamEvent, Text, TextDelta
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.standing.verdict import meaning
from extproc.tried import Tried
from extproc.usage import Usage
from extproc.use import USE_KEY, Use
from extproc.values import BodyMode
from tests.playbook import Reply, one, read, request_body, request_headers, response_body, response_headers, say, trailers
from tests.scene import Scene, head
from tests.test_answering import DONE, USAGE_ONLY, delta

IDLE, TOTAL = 7.0, 30.0
TIMES = Timeouts(first_byte=20, idle=IDLE, total=TOTAL)


def provider(dialect: Any) -> Provider:
    return Provider(dialect=dialect, base_url=f"https://{dialect}.test", key="k", timeouts=TIMES)


CONFIG = Config(
    providers={name: provider(name) for name in DIALECTS},
    models=(
        *(Model(name=f"own-{name}", targets=(f"{name}/m",)) for name in DIALECTS),
        Model(name="gpt", targets=("openai/m",)),
        Model(name="both", targets=("openai/m", "anthropic/m")),
    ),
    limits=Limits(response_body=10_000),
)
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
SAID: dict[str, dict[str, Any]] = {
    "openai": {"messages": HELLO},
    "anthropic": {"messages": HELLO, "max_tokens": 9},
    "responses": {"input": "Hello"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    "cohere": {"messages": HELLO},
    "ollama": {"messages": HELLO},
    "bedrock": {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]},
}
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/{}:streamGenerateContent?alt=sse",
    "array": "/v1beta/models/{}:streamGenerateContent",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
    "bedrock": "/model/{}/converse-stream",
}
BEGINNING: tuple[StreamEvent, ...] = (Start(id="s-1", model="m"), BlockStart(0, Text("")), TextDelta(0, "Hel"))


class Stream(NamedTuple):
    """One under way, and what is heard of it."""

    scene: Scene
    session: GateSession
    said: list[bytes]
    heard: list[Tried]
    opened: float
    """When it is to be looked at first."""

    def until(self, seconds: float = 0.0) -> list[Reply]:
        """Looks so long after its time is over. What is said then."""
        self.under_way.look(self.under_way.due + seconds)
        return [read(one) for one in self.said]

    @property
    def under_way(self) -> streaming.Stream:
        """The same as the gate has it."""
        made = self.session._stream
        assert made is not None
        return made

    @property
    def record(self) -> Any:
        (record,) = self.scene.books
        return record


def begun(model: str, way: str = "openai", config: Config = CONFIG, **headers: str) -> Stream:
    """As far as the answer's head."""
    scene = Scene(config)
    session = GateSession(scene.engine)
    said: list[bytes] = []
    session.say = said.extend
    told: list[Tried] = []
    scene.engine.ears.append(told.append)
    dialect = "gemini" if way == "array" else way
    one(session, request_headers(head(PATHS[way].format(model), **headers)))
    one(session, request_body(msgspec.json.encode({"model": model, "stream": True, **SAID[dialect]})))
    several, own = model == "both", model.startswith("own-")
    framing = DIALECTS[dialect if several or own else "openai"].framing
    metadata = {}
    if several:
        first = Tried("openai", "m", 200, first=0.5)
        metadata = {names.USE_NAMESPACE: {"tried-1": msgspec.json.encode(first).decode()}}
    cluster = f"provider_{dialect if own else 'openai'}"
    reply = one(session, response_headers({":status": "200", "content-type": framing.media_type}, cluster=cluster, metadata=metadata))
    assert reply.mode == (BodyMode.NONE, BodyMode.FULL_DUPLEX_STREAMED)
    (opened,) = scene.engine.clock._due.values()
    return Stream(scene, session, said, told, opened)


def written(way: str) -> bytes:
    """The beginning of a stream, as its provider's dialect has it."""
    # Gemini is asked for events, whatever its client wants.
    writer = DIALECTS["gemini" if way == "array" else way].stream_writer(include_usage=False)
    return b"".join(map(writer.write, BEGINNING))


def read_by(way: str, told: bytes) -> list[StreamEvent]:
    """What a client reads, which is the whole of a stream."""
    dialect = heard("gemini" if way == "array" else way, PATHS[way], "chat")
    reader = dialect.stream_reader()
    events = [dialect.framing.parse(block) for block in split(dialect.framing, told)]
    return [read for event in events if event is not None for read in reader.feed(event)]


@pytest.mark.parametrize("model", ["own", "gpt", "both"])
@pytest.mark.parametrize("way", PATHS)
def test_the_last_word_is_the_dialects_error(way: str, model: str) -> None:
    """Of a stream that passes as it is, of a translated one, and of one that the adapter has translated."""
    if way == "array" and model == "both":
        return  # the gate takes it for no stream: it says of itself that it is JSON
    stream = begun(f"own-{'gemini' if way == 'array' else way}" if model == "own" else model, way)
    came = [delta("Hel")] if model == "gpt" else [written(way)]
    told = b""
    for piece in came:
        given = one(stream.session, response_body(piece)).body
        told += piece if given is None else given
    (last,) = stream.until()
    assert (last.part, last.end) == ("response_body", True)
    events = read_by(way, told + (last.body or b""))
    (fault,) = [event.fault for event in events if isinstance(event, Error)]
    assert "silent for too long" in fault.message
    assert b"r-1" in (last.body or b""), "the request has an id, which helps whoever asks about it"
    assert any(isinstance(event, TextDelta) for event in events)
    if way == "array":
        assert msgspec.json.decode(told + (last.body or b""))[-1]["error"]["code"] == 504
    # What still comes of it is for nobody, and the stream is over for everybody.
    assert say(stream.session, response_body(delta("lo"))) == say(stream.session, trailers()) == []
    assert len(stream.scene.engine.clock) == 0
    stream.session.close()
    record = stream.record
    assert (record.outcome, record.error, record.status, record.partial) == ("provider_broke", names.SILENT, 200, True)
    assert (record.estimated, record.usage.output) == (True, 1)
    assert record.bytes_out == len(told) + len(last.body or b"")


@pytest.mark.parametrize(("way", "model"), [("openai", "gpt"), ("anthropic", "gpt"), ("openai", "both"), ("bedrock", "own-bedrock")])
def test_a_gateway_that_ends_says_so(way: str, model: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is nobody's fault, and what was delivered is charged."""
    stream = begun(model, way)
    told = one(stream.session, response_body(delta("Hel") if model == "gpt" else written(way)))
    stream.scene.engine.clock.finish()
    (last,) = (read(each) for each in stream.said)
    assert (last.part, last.end) == ("response_body", True)
    events = read_by(way, (written(way) if told.body is None else told.body) + (last.body or b""))
    (fault,) = [event.fault for event in events if isinstance(event, Error)]
    assert "The gateway is being stopped" in fault.message
    assert "is ended: the time is over that is left for what is under way" in caplog.text
    stream.session.close()
    record = stream.record
    assert (record.outcome, record.error, record.partial, record.usage.output) == ("killed", names.ENDING, True, 1)
    assert {meaning(each.status, each.reason) for each in stream.heard} == {"nothing"}
    assert len(stream.scene.engine.clock) == 0


def test_the_log_names_whose_stream_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    stream = begun("gpt")
    one(stream.session, response_body(delta("Hel")))
    stream.until()
    assert "the stream of openai/m is ended: it fell silent (timeouts.idle)" in caplog.text


def test_nobody_is_ended_who_speaks() -> None:
    stream, now = begun("gpt"), time.monotonic()
    # What comes first may take as long as a first byte.
    assert now + 19 < stream.under_way.due < now + 21
    # It may be quicker, and then has less time from then on.
    assert stream.opened < now + 8
    assert stream.under_way.look(stream.opened) < now + 15
    one(stream.session, response_body(delta("Hel")))
    assert now + 6 < stream.under_way.due < now + 8
    for _ in range(3):
        due = stream.under_way.due
        one(stream.session, response_body(delta("lo")))
        assert stream.under_way.due > due
        assert stream.under_way.look(due) == stream.under_way.due
    assert stream.said == []


@pytest.mark.parametrize(("way", "model"), [("openai", "gpt"), ("anthropic", "gpt"), ("openai", "both")])
def test_nothing_has_come_but_the_head(way: str, model: str, caplog: pytest.LogCaptureFixture) -> None:
    """Envoy takes no piece of a body before it has shown one itself: it would call that spurious."""
    stream = begun(model, way)
    (last,) = stream.until()
    assert (last.part, last.status, last.details) == ("immediate_response", 504, "headgate_provider_timeout")
    assert "the stream of openai/m is broken off before its first event: it fell silent (timeouts.idle)" in caplog.text
    assert say(stream.session, response_body(delta("Hel"))) == []
    # Nothing was delivered that the client could read.
    stream.session.close()
    record = stream.record
    assert (record.outcome, record.error, record.usage.output, record.bytes_out) == ("provider_broke", names.SILENT, 0, 0)
    (tried,) = stream.heard
    assert (tried.provider, tried.reason) == ("openai", names.SILENT)


@pytest.mark.parametrize("model", ["own-openai", "gpt"])
def test_an_error_that_was_told_is_what_became_of_it(model: str) -> None:
    """Though the stream then stays open: a refusal of what was asked is nobody's time-out."""
    stream = begun(model, "openai" if model == "own-openai" else "anthropic")
    one(stream.session, response_body(delta("Hel")))
    fault = {"error": {"message": "no", "type": "invalid_request_error", "code": "content_policy_violation"}}
    one(stream.session, response_body(b"data: " + msgspec.json.encode(fault) + b"\n\n"))
    stream.until()
    (tried,) = stream.heard
    assert (tried.reason, stream.record.outcome, stream.record.error) == (
        "content_policy_violation",
        "provider_broke",
        "content_policy_violation",
    )
    assert meaning(tried.status, tried.reason) == "request"


@pytest.mark.parametrize(("header", "seconds", "counts"), [("", TOTAL, names.WHOLE_OVER), ("3", 3.0, "deadline_exceeded")])
def test_the_whole_is_over(header: str, seconds: float, counts: str) -> None:
    began = time.monotonic()
    stream = begun("gpt", x_headgate_timeout=header)
    one(stream.session, response_body(delta("Hel")))
    limits = stream.under_way.waits
    stream.under_way._heard = limits.total
    assert 0 <= limits.total - seconds - began < 1
    (last,) = stream.until()
    assert b"within the time for the whole request" in (last.body or b"")
    assert (stream.record.outcome, stream.record.error) == ("provider_broke", names.WHOLE_OVER)
    (tried,) = stream.heard
    assert (tried.provider, tried.reason, tried.status) == ("openai", counts, 200)


def test_of_several_the_one_that_answered_is_told_of_again() -> None:
    stream = begun("both")
    one(stream.session, response_body(delta("Hel")))
    stream.until()
    (tried,) = stream.heard
    assert (tried.provider, tried.reason, tried.again, tried.whole >= tried.first) == ("openai", names.SILENT, True, True)
    assert [(one.provider, one.reason, one.again) for one in stream.record.tried] == [("openai", names.SILENT, False)]


@pytest.mark.parametrize("model", ["gpt", "own-openai", "both"])
def test_what_was_said_to_its_end_is_complete(model: str) -> None:
    """Its provider has not closed it, and nothing is missing."""
    stream = begun(model)
    use = Use("provider_openai", 1, usage=Usage(input=5, output=2), finished=True).encode()
    aside = {names.USE_NAMESPACE: {USE_KEY: use}} if model == "both" else None
    for piece in (delta("Hello"), delta(None, "stop"), USAGE_ONLY, DONE):
        one(stream.session, response_body(piece, metadata=aside))
    (last,) = stream.until()
    assert (last.end, last.body) == (True, b"")
    assert (stream.record.outcome, stream.record.error, stream.record.usage) == ("complete", "", Usage(input=5, output=2))


def test_one_that_cannot_be_read_ends_as_well() -> None:
    """More of one event has come than is taken."""
    stream = begun("own-openai")
    one(stream.session, response_body(delta("Hel")))
    last = one(stream.session, response_body(b"data: " + b"x" * 20_000))
    assert last.end
    assert last.body is not None and b"bad_provider_answer" in last.body and last.body.endswith(DONE)
    assert say(stream.session, response_body(b"x")) == []
    stream.session.close()
    assert (stream.record.outcome, stream.record.error) == ("provider_broke", "bad_provider_answer")


@pytest.mark.parametrize(("fastest", "ends"), [(1, True), (1 << 40, False)])
@pytest.mark.parametrize("model", ["own-openai", "both"])
def test_a_flood_is_ended(model: str, fastest: int, ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FLOOD", 30_000)
    monkeypatch.setattr(streaming, "FASTEST", fastest)
    stream = begun(model)
    replies = [one(stream.session, response_body(delta("x" * 2000) * 3)) for _ in range(4)]
    assert not any(one.end for one in replies)
    last = one(stream.session, response_body(delta("x" * 2000) * 3))
    assert last.end is ends
    assert (b"faster than it can be passed on" in (last.body or b"")) is ends


@pytest.mark.parametrize(("model", "piece"), [("gpt", b": nothing\n\n"), ("own-openai", delta("x"))])
def test_a_flood_of_small_pieces_is_ended(model: str, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of comments nothing goes on; and events that need no change are read some time later, all together."""
    monkeypatch.setattr(streaming, "FLOOD", 2_000)
    monkeypatch.setattr(streaming, "FASTEST", 1)
    stream = begun(model, "anthropic" if model == "gpt" else "openai")
    one(stream.session, response_body(delta("Hel")))
    last, pieces = Reply(""), 0
    while not last.end:
        *_, last = say(stream.session, response_body(piece))
        pieces += 1
        assert pieces * len(piece) < 10_000
    assert pieces * len(piece) > 1_000
    assert b"faster than it can be passed on" in (last.body or b"")
    assert say(stream.session, response_body(piece)) == []
    assert (stream.record.outcome, stream.record.error) == ("provider_broke", "bad_provider_answer")


def test_trailers_are_its_end() -> None:
    stream = begun("gpt", "anthropic")
    for event in (delta("Hel"), delta(None, "stop"), USAGE_ONLY):
        one(stream.session, response_body(event))
    replies = say(stream.session, trailers())
    assert [(one.part, one.end) for one in replies] == [("response_body", False), ("response_trailers", False)]
    assert b"message_stop" in (replies[0].body or b"")
    assert (stream.record.outcome, len(stream.scene.engine.clock)) == ("complete", 0)


def test_a_client_that_hangs_up_stops_the_clock() -> None:
    stream = begun("gpt")
    assert len(stream.scene.engine.clock) == 1
    stream.session.close()
    assert (len(stream.scene.engine.clock), stream.record.outcome) == (0, "client_closed")


def test_what_is_no_stream_has_no_clock() -> None:
    scene = Scene(CONFIG)
    session = GateSession(scene.engine)
    one(session, request_headers(head()))
    one(session, request_body(msgspec.json.encode({"model": "gpt", **SAID["openai"]})))
    one(session, response_headers({":status": "200", "content-type": "application/json"}))
    assert len(scene.engine.clock) == 0


class Watch:
    """Looked at, again and again."""

    def __init__(self, *again: float) -> None:
        self.again = list(again)
        self.looks: list[float] = []

    def look(self, now: float) -> float:
        self.looks.append(now)
        if not self.again:
            raise LookupError("a bug")
        return self.again.pop(0)

    def finish(self) -> None:
        self.looks.append(0.0)
        if not self.again:
            raise LookupError("a bug")


def test_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    clock = Clock(lambda: now)
    twice, once, bad, stopped = Watch(101.0, 0.0), Watch(0.0), Watch(), Watch(0.0)
    for watch in (twice, once, bad, stopped):
        clock.wind(watch, 100.4)
    clock.stop(stopped)
    for _ in range(8):
        now += TICK
        clock.step()
    assert (twice.looks, once.looks, bad.looks, stopped.looks) == ([100.5, 101.0], [100.5], [100.5], [])
    assert len(clock) == 0
    assert "a stream could not be ended" in caplog.text


def test_a_clock_that_finishes_ends_all(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(lambda: 100.0)
    watches = Watch(1.0), Watch(), Watch(1.0)
    for watch in watches:
        clock.wind(watch, 200.0)
    clock.finish()
    assert [watch.looks for watch in watches] == [[0.0]] * 3
    assert len(clock) == 0
    assert "a stream could not be ended" in caplog.text


def test_a_clock_that_was_stopped_itself_ends_nobody_at_once() -> None:
    """What has come while the worker could not look is still to be read."""
    now = 100.0
    clock = Clock(lambda: now)
    watch = Watch(0.0)
    clock.wind(watch, 100.5)
    now = 130.0
    clock.step()
    assert watch.looks == []
    now += TICK
    clock.step()
    assert watch.looks == [130.25]
