"""Bodies that take long to translate hold nobody else up: with one worker, small requests are answered while it goes on."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web

from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.upstream import Scripted

MANY = 80_000
"""Messages, or blocks of an answer: a second's work, and more."""

_numbers = itertools.count()
_WORDS = {"type": "text", "text": "so"}
_ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip


class Provider:
    """Speaks Anthropic's dialect. Tells how many messages it was sent; or, asked for much, answers with as many blocks."""

    def __init__(self) -> None:
        self.messages: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.messages.append(body.count(b'"role"'))
        blocks = [_WORDS] * (MANY if b"Say much." in body else 1)
        return web.Response(body=msgspec.json.encode({**_ANSWER, "content": blocks}), content_type="application/json")


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    """One worker; `small` is answered by the same provider as the others."""
    with Scripted(provider.answer) as upstream:
        url = f"{upstream.url}/v1"
        config = {
            "workers": 1,
            "providers": {"a": {"dialect": "anthropic", "base_url": url}, "b": {"dialect": "anthropic", "base_url": url}},
            "models": [{"name": "one", "targets": ["a"]}, {"name": "two", "targets": ["a", "b"]}],
        }
        with Gateway(folder(tmp_path_factory), config) as running:
            yield running


def post(gateway: Gateway, document: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=document, verify=False, timeout=60)


def many(model: str, **more: Any) -> dict[str, Any]:
    """A conversation that is long in messages, and short in bytes; each time another one."""
    number = next(_numbers)
    messages = [{"role": ("user", "assistant")[at % 2], "content": f"{at + number}"} for at in range(MANY)]
    return {"model": model, "messages": messages, **more}


def beside(gateway: Gateway) -> list[int]:
    """Process ids of what the workers have started."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            stat = (process / "stat").read_text().rpartition(") ")[2].split()
        except (OSError, IndexError):
            continue
        if int(stat[1]) in gateway.workers() and stat[0] != "Z":
            found.append(int(process.name))
    return found


def check_others(gateway: Gateway, bulky: Callable[[], httpx.Response]) -> httpx.Response:
    """Small requests go on while a bulky one is under way: none of them takes half as long as it. Mostly the first time; a machine that
    does much else is given a few more.
    """
    seen: list[tuple[int, float, float]] = []
    for _ in range(5):
        answer, took, lasted = others(gateway, bulky)
        assert answer.status_code == 200, answer.text[:500]
        seen.append((len(took), max(took, default=0), lasted))
        if len(took) > 3 and max(took) < lasted / 2:
            return answer
    raise AssertionError(f"requests beside, the slowest of them, the bulky one: {seen}")


def others(gateway: Gateway, bulky: Callable[[], httpx.Response]) -> tuple[httpx.Response, list[float], float]:
    """The answer to a bulky request, the seconds that each of the small ones beside it took, and those that it took itself."""
    took: list[float] = []
    over = threading.Event()

    def small() -> None:
        while not over.is_set():
            began = time.monotonic()
            assert post(gateway, chat("Hello", "one")).status_code == 200
            took.append(time.monotonic() - began)

    caller = threading.Thread(target=small)
    began = time.monotonic()
    caller.start()
    try:
        return bulky(), took, time.monotonic() - began
    finally:
        over.set()
        caller.join(60)


@pytest.mark.parametrize("model", ["one", "two"])
@pytest.mark.parametrize("more", [{}, {"temperature": 0}], ids=["not cached", "cached"])
def test_a_request_of_many_messages(gateway: Gateway, provider: Provider, model: str, more: dict[str, Any]) -> None:
    answer = check_others(gateway, lambda: post(gateway, many(model, **more)))
    assert answer.json()["choices"][0]["message"]["content"] == "so"
    assert max(provider.messages) == MANY


@pytest.mark.parametrize("model", ["one", "two"])
def test_an_answer_of_many_blocks(gateway: Gateway, model: str) -> None:
    answer = check_others(gateway, lambda: post(gateway, chat("Say much.", model)))
    assert answer.json()["choices"][0]["message"]["content"] == "so" * MANY
    assert answer.json()["usage"]["completion_tokens"] == 2


def test_what_is_wrong_deep_inside_is_the_callers(gateway: Gateway) -> None:
    document = many("one")
    document["messages"][-1] = {"role": 1}
    answer = post(gateway, document)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, f"messages[{MANY - 1}].role")


def test_the_process_beside_is_killed(gateway: Gateway) -> None:
    """What it was doing fails, and the next finds another one. It ends with its worker."""
    assert post(gateway, many("one")).status_code == 200
    (first,) = beside(gateway)
    os.kill(first, signal.SIGSTOP)
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(post(gateway, many("one")).status_code))
    caller.start()
    time.sleep(2)  # what it has been given cannot be seen from outside
    os.kill(first, signal.SIGKILL)
    caller.join(60)
    assert answers == [500]
    assert post(gateway, many("one")).status_code == 200
    (second,) = beside(gateway)
    (worker,) = gateway.workers()
    os.kill(worker, signal.SIGKILL)
    gateway.until(lambda: not Path(f"/proc/{second}").exists(), "the process beside has ended with its worker")
