"""Who is asked to end, finishes what it has: one worker, and the whole gateway.

A machine that is busy makes all of it slower. So there are two lengths of answers, and nothing between them is told apart: those that are
to be whole take seconds, those that are to be cut, and what there is to wait for otherwise (`drain`), twice `SOON`.
"""

import asyncio
import os
import signal
import threading
import time
from typing import Any

import httpx
import pytest

from tests.e2e.books import entries
from tests.e2e.conftest import folder
from tests.e2e.crowd import Client
from tests.e2e.gateway import BRIDGED, Gateway, chat
from tests.e2e.upstream import Demo

SOON = 30.0
"""What is not waited for takes less than this, however busy the machine is."""
DRAIN = 2 * SOON
SHORT, LONG = 8.0, 2 * SOON
"""Seconds that an answer takes."""


class Slow(threading.Thread):
    """One request that takes its time."""

    def __init__(self, gateway: Gateway, model: str, seconds: float, *, stream: bool) -> None:
        super().__init__(daemon=True)
        self.status = 0
        self.text = ""
        self.whole = False
        self._url = f"{gateway.url}/v1/chat/completions"
        script = f"tokens={seconds * 10:.0f} gap=0.1" if stream else f"delay={seconds:g}"
        self._body = chat(f"Hi [demo: {script}]", model, stream=stream)
        self.start()

    def run(self) -> None:
        try:
            with httpx.stream("POST", self._url, json=self._body, timeout=2 * LONG, verify=False) as answer:
                self.status = answer.status_code
                for piece in answer.iter_text():
                    self.text += piece
            self.whole = not self.ended and ("[DONE]" in self.text or '"usage"' in self.text)
        except httpx.HTTPError:
            self.text += " (cut)"

    @property
    def ended(self) -> bool:
        """It is a stream that was told why it ends here, and has a proper end."""
        return "The gateway is being stopped" in self.text and self.text.endswith("data: [DONE]\n\n")


def begin(gateway: Gateway, slow: Demo, seconds: float) -> list[Slow]:
    """One of each kind, all of them at their provider."""
    slow.reset()
    asked = [Slow(gateway, model, seconds, stream=stream) for model in ("demo", "o-then-a") for stream in (True, False)]
    gateway.until(lambda: len(slow.requests()) == len(asked), "all are under way")
    gateway.until(lambda: all(each.text for each in asked[::2]), "the streams flow")
    return asked


def finish(asked: list[Slow]) -> None:
    for each in asked:
        each.join(SOON)
        assert not each.is_alive()


def briefly(gateway: Gateway) -> tuple[int, float]:
    """A short request: its status, and the seconds that it took."""
    began = time.monotonic()
    status = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Short"), timeout=SOON, verify=False).status_code
    return status, time.monotonic() - began


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_a_worker(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], openai_provider: Demo, transport: str) -> None:
    with Gateway(folder(tmp_path_factory), {**config, "drain": DRAIN, "transport": transport}) as gateway:
        asked = begin(gateway, openai_provider, SHORT)
        (old,) = gateway.workers()
        os.kill(old, signal.SIGTERM)
        gateway.until(lambda: len(gateway.workers()) == 2, "another one is there beside it")
        # New requests go to the other one; that it is still to come holds them up for a moment, no more.
        short = [briefly(gateway) for _ in range(5)]
        assert all(status == 200 or took > BRIDGED for status, took in short), short
        finish(asked)
        assert [(each.status, each.whole) for each in asked] == [(200, True)] * 4
        gateway.until(lambda: old not in gateway.workers(), "it has left", SOON)
        assert httpx.get(f"{gateway.operator}/readyz", verify=False).status_code == 200
        short.append(briefly(gateway))
        assert short[-1][0] == 200
        assert len(gateway.workers()) == 1
        whole = len(asked) + sum(status == 200 for status, _ in short)
        gateway.ledger(requests=whole)
    assert sum(row["requests"] for row in gateway.ledger("outcome") if row["outcome"] == "complete") == whole


@pytest.mark.parametrize(("drain", "signals"), [(0.5, 1), (DRAIN, 2)])
def test_a_worker_whose_time_is_over(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], openai_provider: Demo, drain: float, signals: int
) -> None:
    with Gateway(folder(tmp_path_factory), {**config, "drain": drain}) as gateway:
        asked = begin(gateway, openai_provider, LONG)
        began = time.monotonic()
        (worker,) = gateway.workers()
        for _ in range(signals):
            os.kill(worker, signal.SIGTERM)
            # Two that come together are one, so the first has to have been heard.
            gateway.until(lambda: set(gateway.workers()) - {worker}, "another one is there")
        finish(asked)
        assert [each.ended for each in asked] == [True, False] * 2
        assert not any(each.whole for each in asked[1::2])
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_gateway(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], openai_provider: Demo, number: signal.Signals
) -> None:  # fmt: skip
    with Gateway(folder(tmp_path_factory), {**config, "drain": DRAIN, "workers": 2}) as gateway:
        asked = begin(gateway, openai_provider, SHORT)
        began = time.monotonic()
        os.kill(gateway.pid, number)
        gateway.until(lambda: httpx.get(f"{gateway.operator}/readyz", verify=False).status_code == 503, "it says that it is ending")
        gateway.until(lambda: refuses(gateway), "nobody new is let in")
        finish(asked)
        assert [(each.status, each.whole) for each in asked] == [(200, True)] * 4
        assert gateway.wait() == 0
        # It ends when the last request has.
        assert time.monotonic() - began < SOON
        # Beside those, our own question whether it lets anybody in.
        assert any(f"requests under way: {many};" in gateway.log.read_text() for many in (4, 5))
    assert sum(row["requests"] for row in gateway.ledger("outcome", requests=4) if row["outcome"] == "complete") == 4


def refuses(gateway: Gateway) -> bool:
    """Whether nobody listens. A connection that is reset was made before, and stood in the queue when that was closed."""
    try:
        httpx.get(f"{gateway.url}/v1/models", verify=False)
    except httpx.ConnectError:
        return True
    except (httpx.ReadError, httpx.WriteError):
        return False
    return False


def test_for_a_while_it_serves_on(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    """Whoever asks is told to ask elsewhere next time. The second signal ends that, too."""
    with Gateway(folder(tmp_path_factory), {**config, "drain_delay": LONG}) as gateway, httpx.Client(verify=False) as client:
        url = f"{gateway.url}/v1/chat/completions"
        assert "connection" not in client.post(url, json=chat("Short")).headers
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.until(lambda: "still takes requests" in gateway.log.read_text(), "it has heard")
        ready = httpx.get(f"{gateway.operator}/readyz", verify=False)
        assert (ready.status_code, ready.json()["missing"][-1]) == (503, "the gateway is ending")
        assert httpx.get(f"{gateway.operator}/healthz", verify=False).status_code == 200
        # The same connection as before, then new ones.
        gateway.until(lambda: client.post(url, json=chat("Short")).headers.get("connection") == "close", "Envoy has heard")
        answers = [client.post(url, json=chat("Short")) for _ in range(3)]
        assert [(answer.status_code, answer.headers["connection"]) for answer in answers] == [(200, "close")] * 3
        assert asyncio.run(sent_away(gateway))
        began = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        assert gateway.wait() == 0
        assert time.monotonic() - began < SOON


async def sent_away(gateway: Gateway) -> bool:
    """Whether a client that speaks HTTP/2 has its answer, and GOAWAY with it."""
    client = Client(f"127.0.0.1:{gateway.port}", "demo", 1)
    await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", gateway.port)
    async with asyncio.timeout(SOON):
        while not (client.failed and client.sent_away):
            await asyncio.sleep(0.01)
    client.close()
    # It is not that client's own provider who has answered, and to its end.
    return client.failed[0].endswith("data: [DONE]\\n\\n'")


def test_the_second_signal_ends_all_at_once(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], openai_provider: Demo
) -> None:  # fmt: skip
    with Gateway(folder(tmp_path_factory), {**config, "drain": DRAIN}) as gateway:
        asked = begin(gateway, openai_provider, LONG)
        began = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.until(lambda: "requests under way" in gateway.log.read_text(), "it waits")
        os.kill(gateway.pid, signal.SIGTERM)
        assert gateway.wait() == 0
        assert time.monotonic() - began < SOON
        finish(asked)
        assert [each.ended for each in asked] == [True, False] * 2
        assert not any(each.whole for each in asked[1::2])
        assert "requests that are cut, since their time is over (`drain`): 2" in gateway.log.read_text()
    # It was not their clients who hung up.
    assert {(row["outcome"], row["requests"]) for row in gateway.ledger("outcome", requests=4)} == {("killed", 4)}


def test_the_end_of_its_time(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], openai_provider: Demo) -> None:
    """Streams that go on get their last words, and who has no body yet is cut."""
    with Gateway(folder(tmp_path_factory), {**config, "drain": 2}) as gateway:
        asked = begin(gateway, openai_provider, LONG)
        os.kill(gateway.pid, signal.SIGTERM)
        assert gateway.wait() == 0
        finish(asked)
        assert [each.ended for each in asked] == [True, False] * 2
        assert not any(each.whole for each in asked[1::2])
        for stream in asked[::2]:
            assert '"gateway_ending"' in stream.text
    assert {(row["outcome"], row["requests"]) for row in gateway.ledger("outcome", requests=4)} == {("killed", 4)}
    told = [one for one in entries(gateway).values() if one["error"] == "gateway_ending"]
    assert len(told) == 2
    assert all(one["output"] > 0 and one["partial"] for one in told), "charged for what was delivered"


def test_an_idle_one_ends_at_once(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    with Gateway(folder(tmp_path_factory), {**config, "drain": DRAIN}) as gateway, httpx.Client(verify=False) as client:
        # A connection that stays open is no request.
        assert client.post(f"{gateway.url}/v1/chat/completions", json=chat("Short")).status_code == 200
        began = time.monotonic()
        os.kill(gateway.pid, signal.SIGINT)
        assert gateway.wait() == 0
        assert time.monotonic() - began < SOON
