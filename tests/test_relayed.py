"""An answer that the adapter has made: its bytes pass, what it cost comes aside."""

from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.relayed import Relayed
from extproc.usage import Usage
from extproc.use import Use
from extproc.values import BodyMode

STREAM = (
    b'data: {"model":"m","choices":[{"delta":{"content":"Hello"}}]}\n\ndata: {"choices":[{"delta":{"content":"!"}}]}\n\ndata: [DONE]\n\n'
)
SSE = {"content-type": "text/event-stream"}


def relayed(headers: dict[str, str], *, raw: bool = False) -> Relayed:
    return Relayed(200, headers, DIALECTS["openai"], raw=raw)


@given(st.lists(st.integers(1, 40), max_size=10))
def test_a_stream_is_cut_into_events(cuts: list[int]) -> None:
    body, answering, events = STREAM, relayed(SSE), []
    for cut in cuts:
        events += answering.feed(body[:cut], False)
        body = body[cut:]
    events += answering.feed(body, True)
    assert events == [event + b"\n\n" for event in STREAM.split(b"\n\n")[:-1]]
    assert answering.text == 6


def test_the_end_without_a_blank_line() -> None:
    assert relayed(SSE).feed(STREAM[:-2], True)[-1] == b"data: [DONE]"


def test_other_bodies_pass_as_they_are() -> None:
    answering = relayed({"content-type": "application/json"})
    assert (answering.stream, answering.mode) == (False, BodyMode.STREAMED)
    assert answering.feed(b'{"a":', False) == [b'{"a":']
    assert relayed({}, raw=True).mode == BodyMode.NONE


def test_what_is_told_aside() -> None:
    answering = relayed(SSE)
    answering.feed(STREAM, False)
    assert (answering.usage, answering.finished) == (None, False)
    answering.tell(Use("provider_a", 1, answered="m-1", usage=Usage(input=1), text=2, finished=True, error="e"))
    # What passed was more than what the attempt had told by then.
    assert (answering.usage, answering.answered, answering.text, answering.finished, answering.error) == (
        Usage(input=1),
        "m-1",
        6,
        True,
        "e",
    )
