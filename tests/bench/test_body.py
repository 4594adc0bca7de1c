"""The requests: of an exact size, like a chat, and each different if that is asked for."""

import json

import pytest

from bench.body import chat, payload
from bench.cells import KB, SIZES
from bench.system import Target

TARGET = Target(host="127.0.0.1", port=80, model="some-model", headers={"authorization": "Bearer mine"})


@pytest.mark.parametrize("kb", SIZES)
@pytest.mark.parametrize("events", [0, 210])
def test_sizes_are_exact(kb: int, events: int) -> None:
    body = chat("gpt-4o-mini", size=kb * KB, events=events)
    assert len(body) == kb * KB
    document = json.loads(body)
    assert document["temperature"] == 0
    assert document.get("stream", False) is bool(events)
    assert document["max_tokens"] == (events or 64)
    assert {message["role"] for message in document["messages"]} <= {"system", "user", "assistant"}


def test_what_is_too_short_for_a_chat() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        chat("gpt-4o-mini", size=20)


def test_numbers_change_nothing_but_the_number() -> None:
    made = payload(TARGET, size=KB)
    one, two = (b"".join(made.with_number(number)) for number in (7, 1_763_700_000_000_000))
    assert len(one) == len(two)
    assert one != two
    assert one.replace(b"#0000000000000007", b"#1763700000000000") == two


def test_a_request_is_what_an_sdk_sends() -> None:
    head, _, body = b"".join(payload(TARGET, size=10 * KB, events=3).with_number(1)).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert headers["content-length"] == str(len(body)) == str(10 * KB)
    assert headers["authorization"] == "Bearer mine"
    assert headers["accept"] == "text/event-stream"
    assert json.loads(body)["model"] == "some-model"
    assert len(headers) == len(lines) > 20
    assert 1_500 < len(head) < 2_500
