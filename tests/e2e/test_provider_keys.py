"""Providers' keys: several of one provider, keys that Envoy alone reads, and their rotation, each checked at the provider."""

import contextlib
import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from aiohttp import web

from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Scripted

SOON = 15.0
"""Seconds that a reload may take on a busy machine."""


class Keyed(Scripted):
    """A provider that knows keys: what it says to each of them, and what it was asked with."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        """Status (0: the connection is reset) and headers by key; 200 unless given, and 401 for whoever sends none."""
        self.lock = threading.Lock()
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Keys, and the headers that they came with."""

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        with self.lock:
            self.asked.append((key, headers))
        status, said = self.answers.get(key, (200 if key else 401, {}))
        if not status:
            assert request.transport is not None
            request.transport.abort()
        elif status != 200:
            return web.json_response({"error": {"message": "refused", "type": "x"}, "type": "error"}, status=status, headers=said)
        if request.path.endswith("/messages"):
            usage = {"input_tokens": 1, "output_tokens": 1}
            answer = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi"}]}
            return web.json_response({**answer, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        return web.json_response({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})

    def keys(self) -> list[str]:
        """Those that it was asked with since the last time."""
        with self.lock:
            asked, self.asked = self.asked, []
        return [key for key, _ in asked]


@pytest.fixture(scope="module")
def pooled() -> Iterator[Keyed]:
    with Keyed() as running:
        yield running


@pytest.fixture(scope="module")
def sealed() -> Iterator[Keyed]:
    with Keyed() as running:
        yield running


@pytest.fixture(scope="module")
def also_sealed() -> Iterator[Keyed]:
    with Keyed() as running:
        yield running


def put(path: Path, text: str) -> None:
    """Writes a key as secret stores do: another file, renamed."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.replace(path)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, pooled: Keyed, sealed: Keyed, also_sealed: Keyed) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    for name in ("one", "two", "open", "also", "solo"):
        put(folder / "keys" / name, f"sk-{name}\n")
    config = {
        "providers": {
            "pooled": {
                "dialect": "openai", "base_url": f"{pooled.url}/v1", "breaker": {},
                "keys": ["file:keys/one", "file:keys/two", "env:KEY_3"],
            },
            "solo": {"dialect": "openai", "base_url": f"{pooled.url}/v1", "key": "file:keys/solo", "breaker": {}},
            "sealed": {"dialect": "openai", "base_url": f"{sealed.url}/v1", "envoy_key_file": "keys/open"},
            # A name, so that its cluster is made of two.
            "also": {"dialect": "anthropic", "base_url": f"http://localhost:{also_sealed.port}/v1", "envoy_key_file": "keys/also"},
            "plain": {"dialect": "openai", "base_url": f"{pooled.url}/v1", "key": "env:KEY_4"},
        },
        "models": [
            {"name": "pooled", "targets": ["pooled/m"]},
            {"name": "solo", "targets": ["solo/m"]},
            {"name": "sealed", "targets": ["sealed/m"]},
            {"name": "also", "targets": ["also/m"]},
            {"name": "plain", "targets": ["plain/m"]},
            {"name": "chain", "targets": ["sealed/m", "also/m", "plain/m"]},
        ],
    }  # fmt: skip
    with Gateway(folder, config, {"KEY_3": "sk-three", "KEY_4": "sk-four"}) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(pooled: Keyed, sealed: Keyed, also_sealed: Keyed) -> None:
    for provider in (pooled, sealed, also_sealed):
        provider.answers = {}
        provider.keys()


def ask(gateway: Gateway, model: str) -> httpx.Response:
    headers = {"authorization": "Bearer caller-secret", "x-api-key": "caller-secret"}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model), headers=headers, timeout=20, verify=False)


def replaced(gateway: Gateway, path: Path, text: str, model: str, provider: Keyed) -> list[int]:
    """Replaces a key under traffic, until the provider has seen the new one; the statuses of all requests."""
    put(path, text)
    statuses: list[int] = []
    deadline = time.monotonic() + SOON
    seen: list[str] = []
    while text.strip() not in seen:
        assert time.monotonic() < deadline, f"asked with {seen}; {gateway.log.read_text()[-2000:]}"
        statuses.append(ask(gateway, model).status_code)
        seen += provider.keys()
        time.sleep(0.01)
    return statuses


def test_a_refused_key_s_request_is_answered_with_another(gateway: Gateway, pooled: Keyed) -> None:
    assert [ask(gateway, "pooled").status_code for _ in range(6)] == [200] * 6
    assert sorted(pooled.keys()) == sorted(["sk-one", "sk-two", "sk-three"] * 2)
    # One is at its limit for a minute, and another is no key any more.
    pooled.answers = {"sk-one": (429, {"x-ratelimit-reset-requests": "1m0s"}), "sk-three": (401, {})}
    answers = [ask(gateway, "pooled") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    asked = pooled.keys()
    assert asked.count("sk-one") == 1 and asked.count("sk-two") == 6
    attempts = [answer.headers["x-headgate-attempts"] for answer in answers if "x-headgate-attempts" in answer.headers]
    assert any("status=429" in told for told in attempts) and all("sk-" not in told for told in attempts)
    gateway.until(lambda: len(_named(gateway)) >= 12, "the ledger names the keys", SOON)
    names = _named(gateway)
    assert set(names) == {"one", "two", "KEY_3"}


def _named(gateway: Gateway) -> list[str]:
    path = gateway.state / "ledger.sqlite3"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
        found = ledger.execute("SELECT provider_key, tried FROM entries WHERE route = 'pooled' ORDER BY time").fetchall()
    assert all("sk-" not in tried for _, tried in found)
    return [name for name, _ in found]


def test_a_key_is_rotated_by_its_file(gateway: Gateway, pooled: Keyed) -> None:
    """The one at its limit, which is forgotten with it; no request fails meanwhile."""
    pooled.answers = {"sk-one": (429, {"retry-after": "600"})}
    for _ in range(3):
        assert ask(gateway, "pooled").status_code == 200
    pooled.keys()
    assert set(replaced(gateway, gateway.folder / "keys" / "one", "sk-one-rotated", "pooled", pooled)) == {200}
    assert [ask(gateway, "pooled").status_code for _ in range(6)] == [200] * 6
    asked = pooled.keys()
    assert asked.count("sk-one-rotated") == 2 and "sk-one" not in asked
    # What the provider breaks off is no other key's business.
    pooled.answers = dict.fromkeys(("sk-one-rotated", "sk-two", "sk-three"), (0, {}))
    assert (ask(gateway, "pooled").status_code, len(pooled.keys())) == (503, 1)


def test_a_key_that_is_replaced_is_asked_with_though_the_old_one_was_left_alone(gateway: Gateway, pooled: Keyed) -> None:
    """The old one is refused until the breaker opens, the one after it is told to wait for ten minutes."""

    def left_alone() -> int:
        pooled.keys()
        status = ask(gateway, "solo").status_code
        return 0 if pooled.keys() else status

    pooled.answers = {"sk-solo": (401, {}), "sk-next": (429, {"retry-after": "600"})}
    path = gateway.folder / "keys" / "solo"
    gateway.until(lambda: left_alone() == 503, "the breaker is open", SOON)
    assert replaced(gateway, path, "sk-next", "solo", pooled)[-1] == 429
    gateway.until(lambda: left_alone() == 429, "the key cools down", SOON)
    assert replaced(gateway, path, "sk-last", "solo", pooled)[-1] == 200
    assert ask(gateway, "solo").status_code == 200


def test_keys_that_envoy_reads(gateway: Gateway, sealed: Keyed, also_sealed: Keyed, pooled: Keyed) -> None:
    for model, provider, key in (("sealed", sealed, "sk-open"), ("also", also_sealed, "sk-also"), ("plain", pooled, "sk-four")):
        assert ask(gateway, model).status_code == 200
        assert provider.keys() == [key]
    # A chain: each provider gets its own, and nobody's else.
    sealed.answers, also_sealed.answers = {"sk-open": (503, {})}, {"sk-also": (429, {})}
    assert ask(gateway, "chain").status_code == 200
    ((first, to_first),), ((second, to_second),), ((third, to_third),) = sealed.asked, also_sealed.asked, pooled.asked
    assert (first, second, third) == ("sk-open", "sk-also", "sk-four")
    for headers in (to_first, to_second, to_third):
        assert len(re.findall("sk-|caller-secret", json.dumps(headers))) == 1
    # To a client of another dialect, with one attempt.
    answer = httpx.post(
        f"{gateway.url}/v1/messages", json=message("Hello", "sealed"), headers={"x-api-key": "caller-secret"}, timeout=20, verify=False
    )
    assert answer.status_code == 503 and sealed.keys()[-1] == "sk-open"


def test_they_are_rotated_and_nobody_of_ours_ever_has_them(gateway: Gateway, sealed: Keyed, also_sealed: Keyed, pooled: Keyed) -> None:
    for name, model, provider in (("open", "sealed", sealed), ("also", "also", also_sealed)):
        assert set(replaced(gateway, gateway.folder / "keys" / name, f"sk-{name}-rotated-7391\n", model, provider)) == {200}
    sealed.answers, also_sealed.answers = {"sk-open-rotated-7391": (503, {})}, {"sk-also-rotated-7391": (503, {})}
    assert ask(gateway, "chain").status_code == 200
    assert (sealed.keys()[-1], also_sealed.keys()[-1], pooled.keys()) == ("sk-open-rotated-7391", "sk-also-rotated-7391", ["sk-four"])
    # A key that workers do have is found there.
    assert any(_holds(pid, b"sk-four") for pid in gateway.workers())
    for pid in (gateway.pid, *gateway.workers()):
        assert not _holds(pid, b"-rotated-7391")
    for path in gateway.state.rglob("*"):
        assert not path.is_file() or b"-rotated-7391" not in path.read_bytes()


def test_a_key_file_that_is_gone_for_a_while(gateway: Gateway, sealed: Keyed) -> None:
    """Envoy keeps what it has; `headgate check` says what is wrong."""
    path = gateway.folder / "keys" / "open"
    key = path.read_text().strip()
    path.unlink()
    assert ask(gateway, "sealed").status_code == 200 and sealed.keys() == [key]
    checked = gateway.run("check", "--no-envoy", str(gateway.path))
    assert checked.returncode == 0 and "$.providers.sealed.envoy_key_file" in checked.stderr and "is not there" in checked.stderr
    assert set(replaced(gateway, path, "sk-back", "sealed", sealed)) == {200}


def test_a_key_becomes_envoy_s_and_ours_again_under_traffic(gateway: Gateway, pooled: Keyed) -> None:
    """No request goes out without a key, whichever configuration it began with."""
    put(gateway.folder / "keys" / "plain", "sk-plain-sealed")
    config = yaml.safe_load(gateway.path.read_text())
    plain = config["providers"]["plain"]
    sealed = {name: value for name, value in plain.items() if name != "key"} | {"envoy_key_file": "keys/plain"}
    for section, key in ((sealed, "sk-plain-sealed"), (plain, "sk-four")):
        gateway.write({**config, "providers": {**config["providers"], "plain": section}})
        seen: list[str] = []
        deadline = time.monotonic() + SOON
        while seen.count(key) < 5 or seen[-1] != key:
            assert time.monotonic() < deadline, gateway.log.read_text()[-2000:]
            assert ask(gateway, "plain").status_code == 200
            seen += pooled.keys()
        assert set(seen) <= {"sk-four", "sk-plain-sealed"}


def _holds(pid: int, secret: bytes) -> bool:
    """Whether it is anywhere in a process's memory that can be written."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in place.split("-"))
            try:
                memory.seek(begin)
                if secret in memory.read(end - begin):
                    return True
            except (OSError, ValueError, OverflowError):  # [vvar] and the like
                continue
    return False
