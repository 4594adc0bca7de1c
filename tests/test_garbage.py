"""What is left of a request when its session has gone: no cycle, so the garbage collector may look rarely (`heap.spare_collector`)."""

import gc
import logging
from collections.abc import Iterator

import msgspec
import pytest

from extproc.gate import GateSession
from extproc.heap import spare_collector
from tests.playbook import request_body, request_headers, response_body, response_headers
from tests.scene import CHAT, Scene, head
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import STREAM
from tests.test_gate import JSON, SSE
from tests.test_gate_trouble import faulty

HEAD = request_headers(head(authorization="Bearer k"))
ASKED = [HEAD, request_body(msgspec.json.encode({**CHAT, "temperature": 0}))]
STREAMED = [HEAD, request_body(msgspec.json.encode({**CHAT, "stream": True}))]
WHOLE = [response_headers(JSON), response_body(msgspec.json.encode(ANSWER), end=True)]

KINDS = {
    "answered": [*ASKED, *WHOLE],
    "streamed": [*STREAMED, response_headers(SSE), response_body(STREAM), response_body(b"", end=True)],
    "given up before the answer": ASKED,
    "given up in mid-stream": [*STREAMED, response_headers(SSE), response_body(STREAM[:40])],
    "an error of the provider's": [*ASKED, response_headers({**JSON, ":status": "500"}), response_body(b"oops", end=True)],
    "an answer that is none": [*ASKED, response_headers(JSON), response_body(b"oops", end=True)],
    "for several": [HEAD, request_body(msgspec.json.encode({**CHAT, "model": "both"}))],
    "translated": [HEAD, request_body(msgspec.json.encode({**CHAT, "model": "claude-3"}))],
    "unknown model": [HEAD, request_body(msgspec.json.encode({**CHAT, "model": "none"}))],
    "not JSON": [HEAD, request_body(b"{")],
    "misplaced": [request_headers(head(method="PUT"))],
}


@pytest.fixture(autouse=True, scope="module")
def fresh() -> Iterator[None]:
    """What other tests have left is not looked at again and again: of that there may be millions."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def serve(scene: Scene, messages: list[bytes]) -> None:
    for _ in range(10):
        session = GateSession(scene.engine)
        for message in messages:
            session.receive(message)
        session.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_cycles_are_left(kind: str) -> None:
    scene = Scene()
    serve(scene, KINDS[kind])
    gc.collect()
    serve(scene, KINDS[kind])
    assert gc.collect() == 0


def test_nor_by_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    # What pytest catches of the log holds on to tracebacks.
    monkeypatch.setattr(logging.getLogger("extproc.gate"), "disabled", True)
    scene = faulty("request")
    serve(scene, ASKED)
    gc.collect()
    serve(scene, ASKED)
    assert gc.collect() == 0


def test_what_stands_at_the_start_is_never_looked_at_again_and_cycles_are_still_found() -> None:
    before = gc.get_threshold()
    try:
        spare_collector()
        assert gc.get_freeze_count() > 10_000
        gc.enable()
        made = gc.get_stats()[0]["collected"]
        for _ in range(2 * gc.get_threshold()[0]):
            cycle: list[object] = []
            cycle.append(cycle)
        assert gc.get_stats()[0]["collected"] > made
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
