"""A stream on its way through the gate: that most of it is read late, and many events together, shows in nothing but the time it takes."""

import itertools
import logging
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import Response, Tap, streaming
from extproc.envoy import names
from extproc.exchange import Exchange
from extproc.gate import GateSession
from extproc.ledger.record import Record
from extproc.streaming import TOGETHER
from extproc.usage import Usage
from extproc.wire.ext_proc_pb2 import HttpBody, ProcessingRequest
from filters.cache import Cache
from filters.meter import Meter
from filters.route import Route
from tests.cases import cases
from tests.dialects.traffic import STREAMS
from tests.examples import examples
from tests.playbook import one, request_body, request_headers, response_headers
from tests.scene import CHAT, CONFIG, Scene, head, run
from tests.test_answering import DONE, MESSAGE_STREAM, STREAM, USAGE_ONLY, delta, event

FILTERS = (("meter", Meter()), ("route", Route()), ("cache", Cache()))
SSE = {":status": "200", "content-type": "text/event-stream"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "responses": "/v1/responses"}
MODELS = {"openai": "gpt", "anthropic": "claude-1", "responses": "gpt"}
CLUSTERS = {"openai": "provider_openai", "anthropic": "provider_anthropic", "responses": "provider_openai"}
BOTH = msgspec.structs.replace(CONFIG.providers["openai"], also=("responses",))
_TIMES = ("time", "duration", "first_byte", "first_token", "queue", "ours")
SPOKEN = msgspec.structs.replace(CONFIG, providers={**CONFIG.providers, "openai": BOTH})


class Seen(NamedTuple):
    """What is left of a stream."""

    out: list[bytes]
    """What the client got, message by message."""
    record: dict[str, Any]
    kept: list[bytes]
    """Bodies in the cache."""


def asked(dialect: str, *, usage: bool) -> bytes:
    """`usage`: the client asks for it itself."""
    options = {"stream_options": {"include_usage": True}} if usage else {}
    return msgspec.json.encode({**CHAT, "model": MODELS[dialect], "stream": True, "temperature": 0, "max_tokens": 9, **options})


def seen(scene: Scene, out: list[bytes]) -> Seen:
    (record,) = scene.books
    told = {name: value for name, value in msgspec.structs.asdict(record).items() if name not in _TIMES}
    return Seen(out, told, [entry.body for entry in scene.shelf.kept.values()])


def piece_of(body: bytes, *, end: bool = False) -> bytes:
    """As Envoy sends it: with an empty `metadata_context`."""
    made = ProcessingRequest(response_body=HttpBody(body=body, end_of_stream=end))
    made.metadata_context.SetInParent()
    return made.SerializeToString()


def begun(scene: Scene, dialect: str, *, usage: bool) -> GateSession:
    """As far as the answer's head."""
    session = GateSession(scene.engine)
    one(session, request_headers(head(PATHS[dialect])))
    one(session, request_body(asked(dialect, usage=usage)))
    one(session, response_headers(SSE, cluster=CLUSTERS[dialect]))
    return session


def gated(dialect: str, pieces: list[bytes], *, usage: bool, end: bool) -> Seen:
    """Through the gate. `end`: else the client hangs up."""
    scene = Scene(SPOKEN, FILTERS)
    session = begun(scene, dialect, usage=usage)
    out = []
    for piece in pieces:
        told = one(session, piece_of(piece)).body
        out.append(piece if told is None else told)
    if end:
        out.append(one(session, piece_of(b"", end=True)).body or b"")
    session.close()
    return seen(scene, out)


def read_at_once(dialect: str, pieces: list[bytes], *, usage: bool, end: bool) -> Seen:
    """The same without the gate: each piece is read before it goes on."""
    scene = Scene(SPOKEN, FILTERS)
    made = scene.exchange(head(PATHS[dialect]))
    assert run(made.intake.begin()) is None
    assert run(made.intake.proceed(asked(dialect, usage=usage))) is None
    made.intake.forward()
    made.delivery.answer(SSE, local="", cluster=CLUSTERS[dialect], attempts=1)
    out = [made.delivery.feed(piece, False) for piece in pieces]
    if end:
        out.append(made.delivery.feed(b"", True))
    made.delivery.close(whole=end)
    run(made.delivery.end())
    return seen(scene, out)


def cut(events: list[bytes], sizes: list[int], cuts: list[int]) -> list[bytes]:
    """Events in groups of these sizes, over and over; then, where there are `cuts`, some of the pieces cut in two."""
    pieces, at, turn = [], 0, 0
    while at < len(events):
        size = sizes[turn % len(sizes)]
        pieces.append(b"".join(events[at : at + size]))
        at, turn = at + size, turn + 1
    for place in cuts:
        number = place % len(pieces)
        whole = pieces[number]
        pieces[number : number + 1] = [whole[: place % (len(whole) + 1)], whole[place % (len(whole) + 1) :]]
    return pieces


def data(*documents: Any) -> list[bytes]:
    return [b"data: " + msgspec.json.encode(document) + b"\n\n" for document in documents]


TEXTS = st.text(st.sampled_from('ab "\\\n\u00e9\U0001f600{},:'), max_size=8)
TOLD = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
ODD = [
    b": a comment\n\n", b"\n", b"\r\n", b"data: {}\n\n\n", b'data: {"content":"open\n\n', b'data: {"text": "x"}\r\n\r\n', b"data: {}\r\r",
    b'data: {"content" : "spaces"}\n\n', b'data: {"text""content":"x"}\n\n', b'data: {"text":"a{"content":"b"}\n\n',
    b'data: {"content":\ndata: "two lines"}\n\n', b'data: {"content":"\\ud83d"}\n\n', b'data: {"content":"\\ude00"}\n\n',
    b'data: {"usage":null,"usage": {"prompt_tokens":5}}\n\n', b'data: {"x":"[DONE]"}\n\n', b'data: {"max_tokens":1,"content":"x"}\n\n',
    b'data: {"error":{"message":"overloaded"}}\n\n', b'data: {"model":"other","choices":[]}\n\n', DONE, b"data: [DONE]", b"data: {",
]  # fmt: skip
DELTAS = TEXTS.map(delta)
OPENAI = st.one_of(
    DELTAS, DELTAS, DELTAS,
    TEXTS.map(lambda text: data({"model": "gpt-1", "usage": None, "choices": [{"delta": {"tool_calls": [{"arguments": text}]}}]})[0]),
    TEXTS.map(lambda text: event("response.output_text.delta", sequence_number=len(text), delta=text)),
    TEXTS.map(lambda text: event("response.output_text.done", text=text)),
    st.sampled_from([USAGE_ONLY, event("response.completed", response={"usage": {"input_tokens": 3, "output_tokens": 4}})]),
    st.sampled_from(data({"choices": [], "usage": {}}, {"choices": [{"text": "x"}], "usage": TOLD}, {"x_groq": {"usage": TOLD}})),
    st.sampled_from(ODD),
)  # fmt: skip
ANTHROPIC = st.one_of(
    *[TEXTS.map(lambda text: event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}))] * 3,
    TEXTS.map(lambda text: event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": text})),
    st.sampled_from([event("message_start", message={"model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}), event("ping")]),
    st.sampled_from([event("message_delta", delta={}, usage={"output_tokens": 2}), event("message_stop"), MESSAGE_STREAM]),
    st.sampled_from(ODD),
)
MADE = st.one_of(
    st.tuples(st.just("openai"), st.lists(OPENAI, max_size=12)), st.tuples(st.just("anthropic"), st.lists(ANTHROPIC, max_size=12))
)
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=4)
CUTS = st.lists(st.integers(0, 10_000), max_size=4)


@given(MADE, st.integers(1, 6), SIZES, CUTS, st.booleans(), st.booleans())
@settings(max_examples=examples(150), deadline=None)
def test_a_stream_that_was_made(
    made: tuple[str, list[bytes]], again: int, sizes: list[int], cuts: list[int], usage: bool, end: bool
) -> None:
    dialect, events = made
    opening = delta("Hel") if dialect == "openai" else event("ping")
    pieces = cut([opening, *events * again], sizes, cuts)
    assert gated(dialect, pieces, usage=usage, end=end) == read_at_once(dialect, pieces, usage=usage, end=end)


@cases("usage", [True, False])
@cases("recording", [one for one in STREAMS if one.dialect in PATHS], ids=lambda recording: recording.name)
def test_a_stream_that_was_recorded(recording: Any, usage: bool) -> None:
    events = [block + b"\n\n" for block in recording.text.encode().replace(b"\r\n", b"\n").split(b"\n\n") if block]
    for sizes, cuts in (([1, 3, 2], []), ([1], []), ([2], [1234, 77]), ([1], [5, 50, 500])):
        pieces = cut(events, sizes, cuts)
        # Where it ends has to do with what is kept, which is the same however the pieces were cut: everywhere for one cut, else twice.
        hang_ups = {0, 1, len(pieces) // 2, len(pieces) - 1, len(pieces)} if len(sizes) > 1 else {len(pieces)}
        for hang_up, end in itertools.product(hang_ups, (True, False)):
            given = pieces[:hang_up]
            assert gated(recording.dialect, given, usage=usage, end=end) == read_at_once(recording.dialect, given, usage=usage, end=end)


def test_hang_ups_everywhere() -> None:
    words = [delta(f"word {number}") for number in range(2 * TOGETHER + 3)]
    pieces = [*words, USAGE_ONLY, DONE]
    for hang_up in range(len(pieces) + 1):
        found = gated("openai", pieces[:hang_up], usage=False, end=False)
        assert found == read_at_once("openai", pieces[:hang_up], usage=False, end=False)
        assert found.record["outcome"] == ("complete" if hang_up == len(pieces) else "client_closed")
        assert found.record["bytes_out"] == sum(map(len, pieces[:hang_up])) - (len(USAGE_ONLY) if hang_up > len(words) else 0)


@given(st.integers(0, len(STREAM)), st.integers(0, len(STREAM)))
@settings(max_examples=examples(60), deadline=None)
def test_forced_usage_is_hidden_wherever_it_is_cut(one_cut: int, other: int) -> None:
    begin, end = sorted((one_cut, other))
    many = b"".join(delta(f"word {number}") for number in range(TOGETHER))
    found = gated("openai", [many, STREAM[:begin], STREAM[begin:end], STREAM[end:]], usage=False, end=True)
    assert b"".join(found.out) == many + STREAM.replace(USAGE_ONLY, b"")
    assert (found.record["usage"], found.kept) == (Usage(input=5, output=2), [many + STREAM.replace(USAGE_ONLY, b"")])


def record_of(metadata: dict[str, Any]) -> Record:
    return msgspec.json.decode(metadata[names.NAMESPACE][names.RECORD], type=Record)


def test_envoy_is_told_of_usage_at_once() -> None:
    session = begun(Scene(SPOKEN, FILTERS), "openai", usage=True)
    for number in range(TOGETHER // 2):
        assert one(session, piece_of(delta(f"word {number}"))).metadata == {}
    # Until the stream's own end has passed, what it told of its output is not taken for all of it.
    assert record_of(one(session, piece_of(USAGE_ONLY)).metadata).usage.input == 5


def test_an_account_that_is_due_has_all_that_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    session = begun(Scene(SPOKEN, FILTERS), "openai", usage=True)
    for _ in range(3):
        assert one(session, piece_of(delta("x" * 40))).metadata == {}
    monkeypatch.setattr(streaming, "TELL_EVERY", -1.0)
    told = record_of(one(session, piece_of(delta("x" * 40))).metadata)
    assert (told.usage.output, told.estimated, told.answered) == (40, True, "gpt-1")


class Watching(Tap):
    """Looks on."""

    def __init__(self, *, late: bool, bad: bool = False) -> None:
        self.late, self.bad = late, bad
        self.seen: list[bytes] = []
        self.ended = ""

    def events(self, events: list[bytes]) -> list[bytes]:
        if self.bad and self.seen:
            raise LookupError("a bug")
        self.seen += events
        return events

    async def end(self, response: Response) -> None:
        self.ended = response.ended


def watched(*taps: Tap) -> tuple[Scene, GateSession, Exchange]:
    """A stream that these follow."""
    scene = Scene(SPOKEN, FILTERS)
    session = GateSession(scene.engine)
    one(session, request_headers(head(PATHS["openai"])))
    one(session, request_body(asked("openai", usage=True)))
    made = session._begun
    made.delivery.taps[:0] = taps
    one(session, response_headers(SSE))
    return scene, session, made


@pytest.mark.parametrize("late", [True, False])
def test_when_a_tap_is_given_events(late: bool) -> None:
    tap, beside = Watching(late=late), Watching(late=True)
    _, session, _ = watched(tap, beside)
    events = [delta(f"word {number}") for number in range(TOGETHER * 2)]
    behind = []
    for number, one_event in enumerate(events, 1):
        one(session, piece_of(one_event))
        behind.append(number - b"".join(tap.seen).count(b"data: "))
    # One that may change events has each by itself, before the client; one that looks on is never behind by more than a few KB.
    assert (max(behind), len(tap.seen)) == ((TOGETHER - 1, 2) if late else (0, len(events)))
    session.close()
    for each in (tap, beside):
        assert (b"".join(each.seen), each.ended) == (b"".join(events), "client_closed")


def test_a_bug_in_a_late_tap(caplog: pytest.LogCaptureFixture) -> None:
    _, session, _ = watched(Watching(late=True, bad=True))
    for _ in range(TOGETHER):
        one(session, piece_of(delta("x")))
    with caplog.at_level(logging.ERROR), pytest.raises(LookupError):
        one(session, piece_of(delta("x")))
    assert "failed in its answer" in caplog.text


def test_a_bug_in_a_late_tap_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    scene, session, _ = watched(Watching(late=True, bad=True))
    for _ in range(3):
        one(session, piece_of(delta("x" * 40)))
    with caplog.at_level(logging.ERROR):
        session.close()
    assert "the last pieces of its answer" in caplog.text
    (record,) = scene.books
    assert (record.outcome, record.usage.output, record.bytes_out) == ("client_closed", 30, 3 * len(delta("x" * 40)))


def test_a_large_piece_is_read_at_once() -> None:
    _, session, made = watched()
    one(session, piece_of(delta("Hello")))
    one(session, piece_of(delta("x" * 2000)))
    assert made.delivery.kept == []
    one(session, piece_of(delta("x")))
    assert made.delivery.kept == [delta("x")]
