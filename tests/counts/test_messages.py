"""How many messages and streams each kind of request costs, as Envoy counts them: one less is worth more than anything done in Python.

A number that changes here is a change in what every request costs: Envoy pays some 25 us for a message, and 100 to 150 us for a stream.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from aiohttp import web

from extproc.control.run_dir import sockets_folder
from extproc.envoy import names
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Scripted

KEY = "sk-of-alice"
AUTH = {"authorization": f"Bearer {KEY}"}
CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
EVENTS = 7
COUNTERS = {
    "gate": "http.headgate.ext_proc.gate.",
    "adapter": "http.headgateext_proc.adapter.",  # Envoy leaves out a dot where a filter is upstream
}


class Cost(NamedTuple):
    """What a request costs."""

    gate_streams: int
    gate_messages: int
    adapter_streams: int = 0
    adapter_messages: int = 0


def _chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


class Provider(Scripted):
    """Answers in OpenAI's dialect. An event of a stream goes out when it is let go, so no two of them travel together."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self._may = asyncio.Semaphore(0)
        self.fails = False

    def let_go(self) -> None:
        """Of the next event; the last one is the end of the body."""
        self.do(self._release())

    async def _release(self) -> None:
        self._may.release()

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        if self.fails:
            # Without a body, whose messages Envoy may or may not have sent when the adapter has seen enough.
            return web.Response(status=503)
        if b'"stream":true' in self.bodies[-1].replace(b" ", b""):
            return await self._stream(request)
        told = {"role": "assistant", "content": "Hello"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        choices = [{"index": 0, "message": told, "finish_reason": "stop"}]
        return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(EVENTS):
            await self._may.acquire()
            data = "[DONE]" if number == EVENTS - 1 else json.dumps(_chunk(f"word {number}"))
            await response.write(f"data: {data}\n\n".encode())
        await self._may.acquire()
        await response.write_eof()
        return response


@pytest.fixture(scope="module")
def first() -> Iterator[Provider]:
    """The provider of most requests."""
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def second() -> Iterator[Provider]:
    """The one to fall back to."""
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(first: Provider, second: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """All filters; a key is asked for."""
    key = {"name": "alice", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    providers = {name: {"dialect": "openai", "base_url": f"{one.url}/v1", "key": "sk"} for name, one in (("p", first), ("q", second))}
    config = {
        "providers": providers,
        "models": [{"name": "m", "targets": ["p/m"]}, {"name": "two", "targets": ["p/m", "q/m"]}],
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}, {"headers": {}}, {"cache": {}}],
    }
    with Gateway(tmp_path_factory.mktemp("gateway"), config) as running:
        yield running


class Counters:
    """Envoy's own counters of its ext_proc filters."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._path = names.admin_socket(str(sockets_folder(gateway.state)))

    def read(self) -> dict[str, int]:
        """All of them, by name, once no stream is open."""
        found: dict[str, int] = {}

        def quiet() -> bool:
            with httpx.Client(transport=httpx.HTTPTransport(uds=self._path, verify=False)) as client:
                lines = client.get("http://envoy/stats?filter=ext_proc").text.splitlines()
            found.update((name, int(value)) for name, _, value in (line.partition(": ") for line in lines))
            return all(found[f"{one}streams_started"] == found[f"{one}streams_closed"] for one in COUNTERS.values())

        self._gateway.until(quiet, "Envoy has closed all streams to the workers")
        return found

    def of(self, ask: Callable[[], object]) -> Cost:
        """What a request costs; each message is answered once, and none fails."""
        before = self.read()
        ask()
        after = self.read()
        more = {name: after[name] - before[name] for name in after}
        for one in COUNTERS.values():
            assert more[f"{one}stream_msgs_received"] == more[f"{one}stream_msgs_sent"]
            assert not any(more[one + name] for name in ("streams_failed", "spurious_msgs_received", "rejected_header_mutations"))
        return Cost(*(more[one + name] for one in COUNTERS.values() for name in ("streams_started", "stream_msgs_sent")))


@pytest.fixture
def counters(gateway: Gateway, first: Provider) -> Iterator[Counters]:
    """Envoy's, with providers in good health."""
    yield Counters(gateway)
    first.fails = False


def _post(gateway: Gateway, body: dict[str, Any], path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return CLIENT.post(gateway.url + path, json=body, headers={**AUTH, **headers})


def _streamed(gateway: Gateway, provider: Provider, model: str) -> int:
    """Asks for a stream and lets every event go once the one before has come; how many have come."""
    body = chat("Hello", model, stream=True, stream_options={"include_usage": True})
    seen = b""
    # With several targets, the head comes with the first event.
    provider.let_go()
    with CLIENT.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, headers=AUTH) as answer:
        assert answer.status_code == 200
        come = 0
        for piece in answer.iter_raw():
            seen += piece
            while come < seen.count(b"\n\n"):
                come += 1
                provider.let_go()
    return come


def test_an_answer(gateway: Gateway, counters: Counters) -> None:
    """Request: head, body. Answer: head, body (buffered, since it announces that it is small)."""
    assert counters.of(lambda: _post(gateway, chat("Hello", "m")).raise_for_status()) == Cost(1, 4)


def test_an_answer_that_is_kept_and_one_from_the_cache(gateway: Gateway, counters: Counters) -> None:
    """The same for a miss as without a cache; a hit is the gate's reply to the body."""
    body = chat("What is kept?", "m", temperature=0)
    assert counters.of(lambda: _post(gateway, body).raise_for_status()) == Cost(1, 4)
    answers = []
    assert counters.of(lambda: answers.append(_post(gateway, body))) == Cost(1, 2)
    assert answers[0].headers["x-headgate-cache"] == "hit"


def test_a_translated_answer(gateway: Gateway, counters: Counters) -> None:
    """A client of another dialect costs no message more."""
    assert counters.of(lambda: _post(gateway, message("Hello", "m"), "/v1/messages").raise_for_status()) == Cost(1, 4)


def test_a_stream(gateway: Gateway, counters: Counters, first: Provider) -> None:
    """Two for the request, one for the answer's head, one an event, one for the end."""
    come = []
    assert counters.of(lambda: come.append(_streamed(gateway, first, "m"))) == Cost(1, 2 + 1 + EVENTS + 1)
    assert come == [EVENTS]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nobody"}])
def test_a_request_refused_for_its_key(gateway: Gateway, counters: Counters, headers: dict[str, str]) -> None:
    """Its body is never read."""
    answers = []
    url = f"{gateway.url}/v1/chat/completions"
    assert counters.of(lambda: answers.append(CLIENT.post(url, json=chat("Hello", "m"), headers=headers))) == Cost(1, 1)
    assert answers[0].status_code == 401


def test_a_request_refused_for_its_model(gateway: Gateway, counters: Counters) -> None:
    """It takes the body to know."""
    answers = []
    assert counters.of(lambda: answers.append(_post(gateway, chat("Hello", "nobody")))) == Cost(1, 2)
    assert answers[0].status_code == 404


def test_the_list_of_models(gateway: Gateway, counters: Counters) -> None:
    """One message, and no provider."""
    assert counters.of(lambda: CLIENT.get(f"{gateway.url}/v1/models", headers=AUTH).raise_for_status()) == Cost(1, 1)


def test_a_path_that_nobody_reads(gateway: Gateway, counters: Counters) -> None:
    """An upload: two heads. Of the bodies nothing, however long they are."""

    def ask() -> None:
        form = {"content-type": "multipart/form-data; boundary=edge"}
        CLIENT.post(f"{gateway.url}/v1/files", content=b"x" * 300_000, headers={**AUTH, **form}).raise_for_status()

    assert counters.of(ask) == Cost(1, 2)


def test_two_targets(gateway: Gateway, counters: Counters) -> None:
    """The adapter sees what the gate sees; but to it nothing comes buffered, so that the end is a message of its own."""
    assert counters.of(lambda: _post(gateway, chat("Hello", "two")).raise_for_status()) == Cost(1, 4, 1, 5)


def test_a_stream_with_two_targets(gateway: Gateway, counters: Counters, first: Provider) -> None:
    """Likewise."""
    assert counters.of(lambda: _streamed(gateway, first, "two")) == Cost(1, 2 + 1 + EVENTS + 1, 1, 2 + 1 + EVENTS + 1)


def test_a_fallback(gateway: Gateway, counters: Counters, first: Provider, second: Provider) -> None:
    """A stream of the adapter's for each attempt; the gate notices nothing of the first."""
    first.fails = True
    asked = len(second.bodies)
    assert counters.of(lambda: _post(gateway, chat("Hello", "two")).raise_for_status()) == Cost(1, 4, 2, 3 + 5)
    assert len(second.bodies) == asked + 1
