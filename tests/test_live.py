"""WebSockets on their way: nothing of them changes, and the use of all turns is added up."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from extproc.dialects import DIALECTS
from extproc.live import Live
from extproc.usage import Usage
from extproc.values import BodyMode
from tests.test_answering import terms

DONE = {
    "type": "response.done",
    "response": {
        "usage": {
            "input_tokens": 132,
            "output_tokens": 121,
            "input_token_details": {"cached_tokens": 64, "text_tokens": 119, "audio_tokens": 13},
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        }
    },
}
ASIDE = {
    "type": "conversation.item.input_audio_transcription.completed",
    "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 5},
}
SAID = {"type": "response.output_text.delta", "delta": '{"type":"response.done","response":{"usage":{"input_tokens":9}}}'}


def message(value: Any) -> bytes:
    """A message, as a server frames it."""
    return bytes(Frame(Opcode.TEXT, msgspec.json.encode(value)).serialize(mask=False))


@given(st.lists(st.integers(1, 200), max_size=40))
def test_the_realtime_api(cuts: list[int]) -> None:
    live, sent, out = Live(terms(kind="live")), message(DONE) + message(ASIDE) + message(SAID) + message(DONE), b""
    left = sent
    for cut in cuts:
        out += b"".join(live.feed(left[:cut], False))
        left = left[cut:]
    out += b"".join(live.feed(left, True))
    assert out == sent
    assert live.usage == Usage(input=264, output=242, cache_read=128, input_audio=26, output_audio=182)
    assert (live.finished, live.mode, live.status, live.text) == (True, BodyMode.STREAMED, 101, 0)


@pytest.mark.parametrize("value", [{"type": "response.done"}, {"type": "response.done", "response": 3}, ["response.done"]])
def test_what_tells_nothing(value: Any) -> None:
    live = Live(terms(kind="live"))
    live.feed(message(value), False)
    assert (live.usage, live.finished) == (None, True)


def test_the_live_api() -> None:
    live = Live(terms("gemini", "gemini", kind="live"))
    used = {"promptTokenCount": 40, "responseTokenCount": 60, "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}]}
    live.feed(message({"serverContent": {"turnComplete": True}, "usageMetadata": used}), False)
    assert live.usage == Usage(input=40, output=60, output_audio=60)
    assert live.answered == ""
    assert DIALECTS["gemini"].usage(b'{"usageMetadata":{"responseTokenCount":2}}')[0] == Usage(output=2)
