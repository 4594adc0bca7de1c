"""Each of the times that may run out: whose it was, what the client is told of it, and what the ledger says and charges."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.books import entry
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo

HANGS, SILENT, SLOW = "[demo: hang]", "[demo: silent=20]", "[demo: tokens=200 gap=0.1]"
ONLY_A_HEAD = "[demo: silent=0]"
UNCONNECTED = "upstream_reset_before_response_started"
# One for all: each of its own would read the machine's certificates first.
CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))


@contextlib.contextmanager
def nobody_accepts() -> Iterator[int]:
    """A port where connections are neither taken nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", port))
        listening.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture(scope="module")
def config(openai_provider: Demo) -> Iterator[dict[str, Any]]:
    url = f"{openai_provider.url}/v1"
    with nobody_accepts() as port:
        yield {
            "providers": {
                "o": {"dialect": "openai", "base_url": url},
                "named": {
                    "dialect": "openai",
                    "base_url": url.replace("127.0.0.1", "localhost"),
                    "timeouts": {"first_byte": 0.4, "idle": 9},
                },
                "far": {"dialect": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "timeouts": {"connect": 0.3}},
            },
            "models": [
                {"name": "late", "targets": ["named/m"]},
                {"name": "late+late", "targets": ["named/m", "named/n"]},
                {"name": "far", "targets": ["far/m"]},
                {"name": "far+o", "targets": ["far/m", "o/m"]},
                {"name": "quiet", "targets": ["o/m"], "timeouts": {"first_byte": 2, "idle": 2}},
                {"name": "quiet+again", "targets": ["o/m"], "timeouts": {"first_byte": 2, "idle": 2}, "retries": {"again": 1}},
                {"name": "quick+quiet", "targets": [{"to": "o/m", "timeouts": {"first_byte": 1.5, "idle": 2.5}}]},
                {"name": "short", "targets": ["o/m"], "timeouts": {"total": 2}},
                {"name": "short+short", "targets": ["o/m", "o/n"], "timeouts": {"total": 0.6, "first_byte": 0.4}},
            ],
            "timeouts": {"most": 5},
            "prices": [{"model": "o/m", "input": "1000000", "output": "2000000"}],
        }


class Case(NamedTuple):
    model: str
    asked: str
    status: int
    says: str
    """Of the answer."""
    error: str
    """The ledger's."""
    least: float
    """Seconds that it takes."""
    header: str = ""


BEFORE = (
    Case("late", HANGS, 504, "provider named did not begin to answer in time. .* timeouts.first_byte", "upstream_per_try_timeout", 0.4),
    Case("late+late", HANGS, 504, "provider named did not begin", "upstream_per_try_timeout", 0.8),
    Case("far", "Hello", 504, "provider far could not be connected to in time", UNCONNECTED, 0.3),
    Case("far+o", "Hello", 200, "Hello", "", 0.3),
    Case("quiet", HANGS, 504, "provider o was silent for too long. .* timeouts.idle", "upstream_per_try_idle_timeout", 2),
    Case("short", HANGS, 504, "provider o did not answer within the time for the whole .* timeouts.total", "response_timeout", 2),
    Case("short+short", HANGS, 504, "provider o did not answer within the time for the whole", "response_timeout", 0.6),
    Case("quiet", "Hi [demo: delay=1.5]", 504, "x-headgate-timeout", "response_timeout", 0.2, "0.2"),
    Case("short", "Hi [demo: delay=2.5]", 200, "Hi", "", 2.5, "9"),
    Case("short", HANGS, 504, "provider o did not", "response_timeout", 5, "9"),
)  # fmt: skip
AFTER = (
    Case("quiet", SILENT, 200, "silent for too long. .* timeouts.idle", "stream_idle_timeout", 2),
    # The clock for the first byte, which came in time, has nothing to do with it.
    Case("quick+quiet", SILENT, 200, "silent for too long", "stream_idle_timeout", 2.5),
    Case("short", SLOW, 200, "within the time for the whole", "response_timeout", 2),
    Case("short", SLOW, 200, "x-headgate-timeout", "response_timeout", 1.5, "1.5"),
)


class Got(NamedTuple):
    id: str
    status: int
    text: str
    whole: bool
    took: float


def ask(gateway: Gateway, case: Case, dialect: str, *, stream: bool) -> Got:
    path, make = {"openai": ("/v1/chat/completions", chat), "anthropic": ("/v1/messages", message)}[dialect]
    headers = {"x-headgate-timeout": case.header} if case.header else {}
    began, text, whole = time.monotonic(), "", False
    with CLIENT.stream("POST", gateway.url + path, json=make(case.asked, case.model, stream=stream), headers=headers) as answer:
        with contextlib.suppress(httpx.RemoteProtocolError):
            for piece in answer.iter_text():
                text += piece
            whole = True
        return Got(answer.headers["x-request-id"], answer.status_code, text, whole, time.monotonic() - began)


def asked(gateway: Gateway, cases: tuple[Case, ...], dialect: str, *, stream: bool) -> list[tuple[Case, Got]]:
    with ThreadPoolExecutor(len(cases)) as threads:
        return list(zip(cases, threads.map(lambda case: ask(gateway, case, dialect, stream=stream), cases), strict=True))


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_before_the_head(gateway: Gateway, dialect: str) -> None:
    for case, got in asked(gateway, BEFORE, dialect, stream=False):
        assert (got.status, got.whole) == (case.status, True), (case, got)
        assert got.took >= case.least
        told = " ".join(got.text.split())
        assert all(part in told for part in case.says.split(" .* ")), (case, got)
        if got.status == 504:
            assert ('"provider_timeout"' in told) is (dialect == "openai"), got
            assert ('"timeout_error"' in told) is (dialect == "anthropic"), got
        found = entry(gateway, got.id)
        if got.status == 200:
            assert (found["outcome"], found["output"] > 0) == ("complete", True)
            continue
        assert (found["outcome"], found["error"], found["status"]) == ("error", case.error, 504)
        # Nothing was delivered, and nothing is charged.
        assert (found["input"], found["output"], found["partial"], found["cost"] or "0") == (0, 0, 0, "0")


def test_in_mid_stream(gateway: Gateway) -> None:
    """The client gets its dialect's error and the end; what was delivered is charged."""
    for case, got in asked(gateway, AFTER, "openai", stream=True):
        assert (got.status, got.whole) == (200, True), (case, got)
        before, _, told = got.text.removesuffix("\n\ndata: [DONE]\n\n").rpartition("\n\ndata: ")
        assert '"content"' in before
        error = json.loads(told)["error"]
        assert error["code"] == "provider_timeout"
        assert all(part in error["message"] for part in case.says.split(" .* ")), (case, got)
        assert got.took >= case.least
        found = entry(gateway, got.id)
        assert (found["outcome"], found["error"], found["partial"], found["estimated"]) == ("provider_broke", case.error, 1, 1)
        pieces = got.text.count('"content":"') - got.text.count('"content":""')
        assert 0 < found["output"] <= 2 * pieces
        assert float(found["cost"]) == found["input"] + 2 * found["output"]


def test_after_the_head_and_before_the_first_event(gateway: Gateway) -> None:
    """Envoy takes no last word there, so the answer is broken off; who may be asked again is waited for, and the client gets the error."""
    cases = (
        Case("quiet", ONLY_A_HEAD, 200, "", "stream_idle_timeout", 2),
        Case("quiet+again", ONLY_A_HEAD, 504, "provider o was silent for too long", "upstream_per_try_idle_timeout", 4),
    )
    for case, got in asked(gateway, cases, "openai", stream=True):
        assert (got.status, got.whole) == (case.status, case.status == 504), (case, got)
        assert case.says in got.text
        found = entry(gateway, got.id)
        assert (found["error"], found["output"], found["provider"]) == (case.error, 0, "o")
    log = gateway.log.read_text()
    assert "the stream of o/m is broken off before its first event: it fell silent (timeouts.idle)" in log
    assert "Spurious response message" not in log
