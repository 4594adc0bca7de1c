"""A worker that hangs: the other one takes its requests, nobody waits for it for long, and then it is started anew."""

import os
import signal
import threading
import time
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat


class Callers:
    """Threads that send one request after another."""

    def __init__(self, gateway: Gateway, many: int) -> None:
        self.answered: list[tuple[float, float, int]] = []
        """When each began and ended, and its status."""
        self._gateway = gateway
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,), daemon=True) for number in range(many)]
        for thread in self._threads:
            thread.start()

    def _call(self, number: int) -> None:
        model = ("demo", "o-then-a")[number % 2]
        with httpx.Client(verify=False, timeout=60) as client:
            while not self._done.is_set():
                began = time.monotonic()
                answer = client.post(f"{self._gateway.url}/v1/chat/completions", json=chat("Short [demo: tokens=5]", model))
                self.answered.append((began, time.monotonic(), answer.status_code))
                self._done.wait(0.2)

    def since(self, moment: float) -> list[int]:
        """Statuses of what began after that."""
        return [status for began, _, status in list(self.answered) if began > moment]

    def finish(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def test_a_worker_that_hangs_is_left_out(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    with Gateway(folder(tmp_path_factory), {**config, "workers": 2}) as gateway:
        callers = Callers(gateway, 8)
        gateway.until(lambda: len(callers.answered) > 50, "the load flows")
        hung = gateway.workers()[0]
        os.kill(hung, signal.SIGSTOP)
        stopped = time.monotonic()
        # At once: it has more and more requests that are not answered, so the other one is given the new ones.
        gateway.until(lambda: len(callers.since(stopped)) > 100, "the other one takes the requests")
        # Gate and adapter.
        gateway.until(lambda: gateway.left_out() == 2, "it is left out", 40)
        # Its connections are given up, and with them the requests that it has.
        gateway.until(lambda: min(began for began, _, _ in callers.answered[-8:]) > stopped, "nobody waits for it any more", 40)
        gateway.until(lambda: hung not in (now := gateway.workers()) and len(now) == 2, "another one is in its place", 60)
        assert f"(pid {hung}) has said nothing for" in gateway.log.read_text()
        gateway.until(lambda: gateway.left_out() == 0, "that one is given requests")
        back = time.monotonic()
        gateway.until(lambda: len(callers.since(back)) > 50, "the load flows")
        callers.finish()
    stuck = [status for began, ended, status in callers.answered if began < stopped < ended]
    assert set(stuck) <= {200, 500}
    late = [ended - began for began, ended, status in callers.answered if ended > stopped]
    assert max(late) < 40
    # What was begun later and came into its hands all the same was given to the other one.
    assert set(callers.since(stopped)) == {200}
