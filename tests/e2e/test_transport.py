"""The whole gateway on either transport: the ways of a request, and a worker that is asked to end."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
import yaml

from extproc.control.run_dir import sockets_folder
from extproc.envoy import names
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.health import SERVING, ask, process
from tests.e2e.upstream import Demo

TRANSPORTS = ("native", "grpcio")


@pytest.fixture(scope="module", params=TRANSPORTS)
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    with Gateway(folder(tmp_path_factory), {**config, "transport": request.param, "workers": 2}) as running:
        yield running


def words(gateway: Gateway, model: str, text: str, *, stream: bool = False) -> tuple[int, str]:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat(text, model, stream=stream), timeout=30, verify=False)
    return answer.status_code, answer.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["demo", "claude-x", "o-then-a", "a-then-o"])
def test_a_request_is_answered(either: Gateway, model: str, stream: bool) -> None:
    status, text = words(either, model, "Hello", stream=stream)
    assert status == 200
    assert "Hello" in text
    assert ("[DONE]" in text) == stream


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_target_answers(either: Gateway, stream: bool) -> None:
    status, text = words(either, "o-then-a", "Hello [demo@openai: reset]", stream=stream)
    assert (status, "Hello" in text) == (200, True)


def test_a_body_of_megabytes(either: Gateway, openai_provider: Demo) -> None:
    assert words(either, "demo", "Hello" * 800_000)[0] == 200
    (seen,) = openai_provider.requests()
    assert seen["size"] > 4_000_000


def test_streams_side_by_side(either: Gateway) -> None:
    answers: list[tuple[int, str]] = []

    def run() -> None:
        answers.append(words(either, "demo", "Go [demo: tokens=60 gap=0.01]", stream=True))

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [status for status, _ in answers] == [200] * 40
    assert all(text.rstrip().endswith("[DONE]") for _, text in answers)


@pytest.mark.parametrize("path", [names.gate_socket, names.adapter_socket, names.health_socket])
def test_every_socket_says_whether_requests_are_taken(either: Gateway, path: Any) -> None:
    run_dir = str(sockets_folder(either.state))
    for worker in range(2):
        for service in ("", names.SERVICE):
            assert ask(f"unix:{path(run_dir, worker)}", service=service) == SERVING
        with pytest.raises(grpc.RpcError) as raised:
            ask(f"unix:{path(run_dir, worker)}", service="acme.Nobody")
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_health_socket_says_no_more(either: Gateway) -> None:
    assert process(f"unix:{names.health_socket(str(sockets_folder(either.state)), 0)}") is grpc.StatusCode.UNIMPLEMENTED


def test_a_worker_that_is_asked_to_end_finishes_what_it_has(either: Gateway) -> None:
    answers: list[tuple[int, str]] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            answers.append(words(either, "demo", "Go [demo: tokens=10 gap=0.01]", stream=True))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for first in either.workers():
            so_far = len(answers)
            either.until(lambda: len(answers) > so_far + 20, "requests are answered", 60)  # noqa: B023 - called here and now
            os.kill(first, signal.SIGTERM)
            either.until(lambda: first not in (now := either.workers()) and len(now) == 2, "another one is there", 20)  # noqa: B023 - as above
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert [answer for answer in answers if answer[0] != 200 or "[DONE]" not in answer[1]] == []


def test_a_change_of_transport_waits_for_the_next_start(either: Gateway, config: dict[str, Any]) -> None:
    running = yaml.safe_load(either.path.read_text())
    other = TRANSPORTS[1 - TRANSPORTS.index(running["transport"])]
    either.write({**config, "workers": 2, "transport": other, "ext_proc": {}})
    either.until(lambda: "ext_proc has changed: it takes effect at the next start" in either.log.read_text(), "it is told")
    assert "transport has changed: it takes effect at the next start" in either.log.read_text()
    assert words(either, "demo", "Hello")[0] == 200
