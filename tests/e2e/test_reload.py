"""Editing the configuration swaps it as a whole: under traffic no request fails, none is made of two configurations, streams go on.

A wrong file is refused with its errors, and the old one serves on.
"""

import asyncio
import functools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
from aiohttp import web

from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo, Scripted

WAYS = ("same", "translated", "several")
# Two looks at the file, at a quarter of a second each, are what it takes; a busy machine is given more.
SOON = 15.0


async def mirror(request: web.Request) -> web.StreamResponse:
    """Answers with what the request is made of: model, credential, header rule."""
    body = await request.json()
    key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    seen = json.dumps([body["model"], key, request.headers.get("x-generation"), request.headers["x-of-provider"]])
    if request.path.endswith("/messages"):
        usage = {"input_tokens": 1, "output_tokens": 1}
        answer = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": seen}]}
        return web.json_response({**answer, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})
    choice = {"index": 0, "message": {"role": "assistant", "content": seen}, "finish_reason": "stop"}
    return web.json_response({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """A provider that shows what it was asked."""
    with Scripted(mirror) as running:
        yield running


@pytest.fixture(scope="module")
def streaming() -> Iterator[Demo]:
    """A provider for long streams."""
    with Demo() as running:
        yield running


def generation(name: str, provider: Scripted, streaming: Demo) -> dict[str, Any]:
    """A configuration all of whose parts say `name`."""

    def told(dialect: str) -> dict[str, Any]:
        headers = {"request": {"set": {"x-of-provider": name}}}
        return {"dialect": dialect, "base_url": f"{provider.url}/v1", "key": f"sk-{name}", "headers": headers}

    rules = [{"request": {"set": {"x-generation": name}}, "response": {"set": {"x-generation": name}}}]
    return {
        "providers": {
            "o": told("openai"),
            "a": told("anthropic"),
            "gone": {"dialect": "openai", "base_url": f"http://127.0.0.1:{GONE}/v1"},
            "s": {"dialect": "openai", "base_url": f"{streaming.url}/v1"},
        },
        "models": [
            {"name": "same", "targets": [f"o/{name}"]},
            {"name": "translated", "targets": [f"a/{name}"]},
            {"name": "several", "targets": ["gone/x", f"o/{name}"]},
            {"name": "stream", "targets": ["s/m"]},
        ],
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}, {"headers": {"rules": rules}}, {"cache": {}}],
    }


GONE = free_port()


@pytest.fixture(scope="module")
def config(provider: Scripted, streaming: Demo) -> dict[str, Any]:
    """The first configuration."""
    return generation("first", provider, streaming)


@pytest.fixture(autouse=True)
def first(gateway: Gateway, config: dict[str, Any]) -> Iterator[None]:
    """Each test begins with the first configuration, and ends with a gateway that still answers."""
    gateway.write(config)
    with httpx.Client(verify=False, timeout=30) as client:
        gateway.until(lambda: ask(gateway, client, "same")[0] == "first", "the first configuration is in force", SOON)
        yield
        assert client.get(f"{gateway.url}/v1/models").status_code == 200


def ask(gateway: Gateway, client: httpx.Client, way: str) -> tuple[str, list[str]]:
    """The configuration that answered, and the parts that the provider saw."""
    answer = client.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", way))
    assert answer.status_code == 200, answer.text
    return answer.headers["x-generation"], json.loads(answer.json()["choices"][0]["message"]["content"])


class Traffic:
    """Short requests on every way and streams, until the end of `with`; any that fails or is mixed up is told then.

    `pause`: seconds between two of a way. None where configurations are swapped again and again, which is to happen to requests at every
    point of their way; else all that is asked is whether some are answered meanwhile.
    """

    def __init__(self, gateway: Gateway, pause: float = 0.02) -> None:
        self._gateway = gateway
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(way,)) for way in (*WAYS, "stream")]
        self.failures: list[str] = []
        self.answers: dict[str, int] = {}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self._gateway.until(lambda: sum(self.answers.values()) > 20, "traffic flows")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.failures, self.failures[:5]

    def _run(self, way: str) -> None:
        with httpx.Client(verify=False, timeout=20) as client:
            while not self._stop.is_set():
                try:
                    answered = self._stream(client) if way == "stream" else self._short(client, way)
                except Exception as error:  # noqa: BLE001 - told by the thread that asserts
                    self.failures.append(f"{way}: {error!r}")
                    return
                self.answers[answered] = self.answers.get(answered, 0) + 1
                self._stop.wait(self._pause)

    def _short(self, client: httpx.Client, way: str) -> str:
        told, seen = ask(self._gateway, client, way)
        assert seen == [told, f"sk-{told}", told, told], (told, seen)
        return told

    def _stream(self, client: httpx.Client) -> str:
        answer = client.post(f"{self._gateway.url}/v1/chat/completions", json=chat("Hello [demo: gap=0.01]", "stream", stream=True))
        assert answer.status_code == 200, answer.text
        assert answer.text.endswith("data: [DONE]\n\n")
        return "stream"


def wait_for(gateway: Gateway, name: str) -> None:
    """Until that configuration answers on every way."""
    with httpx.Client(verify=False, timeout=30) as client:
        gateway.until(lambda: all(ask(gateway, client, way)[0] == name for way in WAYS), f"{name} is in force", SOON)


def test_an_edit_takes_effect_as_a_whole(gateway: Gateway, provider: Scripted, streaming: Demo) -> None:
    with Traffic(gateway, pause=0) as traffic:
        for name in ("second", "third", "fourth", "fifth"):
            gateway.write(generation(name, provider, streaming))
            wait_for(gateway, name)
    assert set(traffic.answers) == {"first", "second", "third", "fourth", "fifth", "stream"}


def test_a_hang_up_signal_reads_it_again(gateway: Gateway, provider: Scripted, streaming: Demo) -> None:
    with Traffic(gateway, pause=0):
        for name in ("second", "third"):
            gateway.write(generation(name, provider, streaming))
            os.kill(gateway.pid, signal.SIGHUP)
            wait_for(gateway, name)
        for _ in range(5):
            os.kill(gateway.pid, signal.SIGHUP)


def test_a_new_provider_with_its_model(gateway: Gateway, config: dict[str, Any], streaming: Demo) -> None:
    with Traffic(gateway), Demo() as fresh, httpx.Client(verify=False, timeout=30) as client:

        def status() -> int:
            return client.post(f"{gateway.url}/v1/messages", json=message("Hello", "new")).status_code

        assert status() == 404
        providers = {**config["providers"], "new": {"dialect": "anthropic", "base_url": f"{fresh.url}/v1", "key": "sk-new"}}
        gateway.write({**config, "providers": providers, "models": [*config["models"], {"name": "new", "targets": ["new/m"]}]})
        codes = [404]

        def answers() -> bool:
            codes.append(status())
            return codes[-1] == 200

        gateway.until(answers, "the new model answers", SOON)
        # Never a model without its provider.
        assert set(codes) == {404, 200}
        assert "new" in [model["id"] for model in client.get(f"{gateway.url}/v1/models").json()["data"]]


def test_a_provider_goes_while_a_stream_of_it_runs(gateway: Gateway, config: dict[str, Any]) -> None:
    asked, over = [], threading.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        """A stream that ends when it is told; whatever is no stream is answered at once."""
        if not json.loads(await request.read()).get("stream"):
            message = {"role": "assistant", "content": "Hi"}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        asked.append(request)
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b'data: {"choices":[{"index":0,"delta":{"content":"H"}}]}\n\n')
        while not over.is_set():
            await asyncio.sleep(0.02)
        await answer.write(b'data: {"choices":[{"index":0,"delta":{"content":"i"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        return answer

    with Traffic(gateway), Scripted(hold) as leaving, httpx.Client(verify=False, timeout=20) as client:
        providers = {**config["providers"], "leaving": {"dialect": "openai", "base_url": f"{leaving.url}/v1", "key": "sk-leaving"}}
        models = [{"name": "leaving", "targets": ["leaving/m"]}, {"name": "leaving-several", "targets": ["gone/x", "leaving/m"]}]
        gateway.write({**config, "providers": providers, "models": [*config["models"], *models]})
        url = f"{gateway.url}/v1/chat/completions"
        gateway.until(lambda: client.post(url, json=chat("Hello", "leaving")).status_code == 200, "it is there", SOON)
        body, several = chat("Hello", "leaving", stream=True), chat("Hello", "leaving-several", stream=True)
        with client.stream("POST", url, json=body) as one, client.stream("POST", url, json=several) as other:
            assert (one.status_code, other.status_code) == (200, 200)
            gateway.write(config)
            gateway.until(lambda: client.post(url, json=chat("Hello", "leaving")).status_code == 404, "it is gone", SOON)
            assert len(asked) == 2
            over.set()
            assert one.read().endswith(b"data: [DONE]\n\n")
            assert other.read().endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": [{"name": "same", "targets": ["nobody/m"]}]}, "$.models[0].targets[0]"),
        ({"filters": [{"meter": {}}, {"auth": {}}]}, "route"),
        ({"modles": []}, "$.modles"),
    ],
)
def test_a_wrong_file_is_refused(gateway: Gateway, provider: Scripted, streaming: Demo, change: Mapping[str, Any], said: str) -> None:
    before = len(gateway.log.read_text())
    with Traffic(gateway) as traffic:
        gateway.write({**generation("wrong", provider, streaming), **change})
        gateway.until(lambda: "the old one serves on" in gateway.log.read_text()[before:], "it is refused", SOON)
        log = gateway.log.read_text()[before:]
        assert said in log
        assert "gateway.yaml:" in log
        told = dict(traffic.answers)
        gateway.until(lambda: traffic.answers["first"] > told["first"] + 5, "the old one serves on")
        gateway.write(generation("mended", provider, streaming))
        wait_for(gateway, "mended")
    assert set(traffic.answers) == {"first", "mended", "stream"}
    # Told once, not at every look.
    assert gateway.log.read_text()[before:].count("the old one serves on") == 1


def test_each_edit_has_a_word_and_a_number(gateway: Gateway, config: dict[str, Any]) -> None:
    before, metrics = len(gateway.log.read_text()), gateway.metrics()

    def wait_for_words(words: str) -> None:
        gateway.until(lambda: words in gateway.log.read_text()[before:], f"the log says: {words}", SOON)

    def counted(result: str) -> float:
        name = f'ai_proxy_config_reloads_total{{result="{result}"}}'
        return gateway.metrics()[name] - metrics[name]

    # What the next start would refuse is refused now: these certificates are nowhere.
    gateway.write({**config, "ext_proc": {"tls": {"certificate": "none.crt", "key": "none.key"}}})
    wait_for_words("$.ext_proc.tls.certificate: ")
    gateway.until(lambda: counted("refused") == 1, "it is counted")
    assert gateway.metrics()["ai_proxy_config_in_force"] == 0
    gateway.write(config)
    wait_for_words("it is again the one in force")
    gateway.until(lambda: counted("unchanged") == 1, "it is counted")
    assert gateway.metrics()["ai_proxy_config_in_force"] == 1
    os.kill(gateway.pid, signal.SIGHUP)
    wait_for_words("nothing has changed")
    gateway.until(lambda: counted("unchanged") == 2, "it is counted")
    assert gateway.metrics()["ai_proxy_requests_under_way"] == 0
    assert gateway.metrics()['ai_proxy_restarts_total{process="worker-0"}'] == 0


def test_a_file_that_is_half_written_or_away(gateway: Gateway, provider: Scripted, streaming: Demo) -> None:
    with Traffic(gateway) as traffic:
        before = len(gateway.log.read_text())
        text = gateway.path.read_text()
        gateway.path.write_text(text[: len(text) // 2])
        gateway.until(lambda: "the old one serves on" in gateway.log.read_text()[before:], "it is refused", SOON)
        gateway.path.unlink()
        gateway.until(lambda: gateway.log.read_text()[before:].count("the old one serves on") == 2, "so is none at all", SOON)
        gateway.write(generation("mended", provider, streaming))
        wait_for(gateway, "mended")
    assert set(traffic.answers) == {"first", "mended", "stream"}


def test_no_edit_is_lost(gateway: Gateway, provider: Scripted, streaming: Demo) -> None:
    """Neither one that comes while the one before is read, nor the last of many."""
    for number in range(24):
        gateway.write(generation(f"edit-{number}", provider, streaming))
        # Not a wait for anything: edits at the pace of the gateway's own looks, which meet it at every moment of them.
        time.sleep(0.26 if number % 2 else 0.013 * (number % 20))
    wait_for(gateway, "edit-23")


def test_a_secrets_file(gateway: Gateway, config: dict[str, Any], provider: Scripted) -> None:
    """Whoever rotates keys need not touch the configuration."""
    secret = gateway.folder / "secret"
    secret.write_text("sk-one\n")
    rotated = {**config["providers"], "o": {**config["providers"]["o"], "key": "file:secret"}}
    gateway.write({**config, "providers": rotated})
    with httpx.Client(verify=False, timeout=30) as client:
        gateway.until(lambda: ask(gateway, client, "same")[1][1] == "sk-one", "the file's key is used", SOON)
        secret.write_text("sk-two\n")
        gateway.until(lambda: ask(gateway, client, "same")[1][1] == "sk-two", "the new key is used", SOON)


def test_limits(gateway: Gateway, config: dict[str, Any]) -> None:
    body = chat("Hello" + " " * 2_000_000, "same")

    def status(client: httpx.Client) -> int:
        return client.post(f"{gateway.url}/v1/chat/completions", json=body).status_code

    with httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        gateway.write({**config, "limits": {"request_body": 100_000}})
        gateway.until(lambda: status(client) == 413, "it is too much", SOON)
        gateway.write({**config, "limits": {"request_body": 3_000_000, "request_headers": 30}})
        gateway.until(lambda: status(client) == 200, "it is not", SOON)
    said = "limits.request_headers has changed: it takes effect at the next start"
    gateway.until(lambda: said in gateway.log.read_text(), "the log says which limit is not reloaded")


def test_how_long_it_takes(gateway: Gateway, provider: Scripted, streaming: Demo) -> None:
    """Mostly the first time; a machine that does much else is given a few more."""
    took = []
    for name in ("second", "third", "fourth") * 3:
        gateway.write(generation(name, provider, streaming))
        began = time.monotonic()
        wait_for(gateway, name)
        took.append(time.monotonic() - began)
        if took[-1] < 2:
            break
    assert min(took) < 2, took


def test_the_folder_of_the_configuration_is_not_touched(gateway: Gateway) -> None:
    assert {path.name for path in Path(gateway.folder).iterdir()} <= {"gateway.yaml", "gateway.log", "state", "secret"}


def test_a_provider_moves(gateway: Gateway, config: dict[str, Any]) -> None:
    """Another address with another credential: neither address ever sees the other's, nor the other's name."""
    with Demo() as old, Demo() as new, httpx.Client(verify=False, timeout=30) as client:
        places = {"old": old, "new": new}

        def at(place: str) -> dict[str, Any]:
            moving = {"dialect": "openai", "base_url": f"{places[place].url}/v1", "key": f"sk-{place}"}
            models = [{"name": "moving", "targets": ["moving/m"]}, {"name": "moving-several", "targets": ["gone/x", "moving/m"]}]
            return {**config, "providers": {**config["providers"], "moving": moving}, "models": [*config["models"], *models]}

        def arrived(place: str) -> bool:
            for model in ("moving", "moving-several"):
                answer = client.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model))
                assert answer.status_code in (200, 404), answer.text
            return bool(places[place].requests())

        gateway.write(at("old"))
        gateway.until(lambda: arrived("old"), "the provider is there", SOON)
        for place in ("new", "old", "new", "old"):
            places[place].reset()
            gateway.write(at(place))
            gateway.until(functools.partial(arrived, place), "the provider has moved", SOON)
            for name, demo in places.items():
                for seen in demo.requests():
                    headers = dict(seen["headers"])
                    assert (headers["authorization"], headers["host"]) == (f"Bearer sk-{name}", demo.url.removeprefix("http://"))
