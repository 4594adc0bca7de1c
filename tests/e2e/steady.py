"""Requests of all kinds, one after another, beside whatever else happens to a gateway."""

import itertools
import threading
import time
from typing import Any

import httpx

from tests.e2e.gateway import chat, message

PATIENCE = 60.0
"""Seconds that a request may take."""


class Steady(threading.Thread):
    """Requests of all kinds, one after another, until `end`; each second one on a connection of its own."""

    def __init__(self, url: str, model: str) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self.slowest = 0.0
        """Seconds that the slowest request took."""
        self.failed: list[str] = []
        self.over = threading.Event()
        self._url, self._model = url, model
        self.start()

    def run(self) -> None:
        asked: list[tuple[str, dict[str, Any]]] = [
            ("/v1/chat/completions", chat("Hello", self._model)),
            ("/v1/chat/completions", chat("Hello [demo: tokens=3 gap=0.02]", self._model, stream=True)),
            ("/v1/messages", message("Hello", self._model)),
        ]
        with httpx.Client(base_url=self._url, timeout=PATIENCE, verify=False) as kept:
            for path, body in itertools.cycle(asked):
                if self.over.wait(0.75):
                    return
                for client in (kept, None):
                    self._ask(client, path, body)

    def _ask(self, client: httpx.Client | None, path: str, body: dict[str, Any]) -> None:
        began = time.monotonic()
        try:
            if client is None:
                answer = httpx.post(self._url + path, json=body, timeout=PATIENCE, verify=False)
            else:
                answer = client.post(path, json=body)
        except httpx.HTTPError as error:
            self.failed.append(repr(error))
            return
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.answered += 1
        if answer.status_code != 200 or (body.get("stream") and "[DONE]" not in answer.text):
            self.failed.append(f"{answer.status_code} {answer.text[:200]}")

    def end(self) -> None:
        self.over.set()
        self.join(PATIENCE)
        assert not self.is_alive()
