"""A revoked key is worthless at once, whatever state the configuration is in; no Envoy is served without keys by accident."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from extproc.keys import StoredKey, digest
from extproc.store.changes import TOLD
from tests import stored
from tests.e2e.gateway import Gateway, chat

SOON = 8
"""Seconds: less than until the next housekeeping, which would find it as well, and enough for a machine that does much else."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("guarded"), config) as running:
        yield running


def status(gateway: Gateway, key: str, model: str = "demo") -> int:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model), headers={"x-api-key": key}, verify=False).status_code


def test_while_the_file_is_wrong(guarded: Gateway, config: dict[str, Any]) -> None:
    key = guarded.run("keys", "create", "alice", str(guarded.path)).stdout.strip()
    guarded.until(lambda: status(guarded, key) == 200 and status(guarded, "no-key") == 401, "the key is known")
    state = ("--state", str(guarded.state))
    guarded.write({**config, "modles": []})
    guarded.until(lambda: "the old one serves on" in guarded.log.read_text(), "the file is refused")
    assert guarded.run("keys", "revoke", "alice", *state).returncode == 0
    guarded.until(lambda: status(guarded, key) == 401, "the key is refused", SOON)
    guarded.write(config)


def test_while_the_key_store_is_broken(guarded: Gateway, config: dict[str, Any]) -> None:
    """The watching goes on: what comes after the fault is noticed."""
    store = guarded.state / "store.sqlite"
    aside = store.rename(guarded.state / "aside")
    store.write_bytes(b"nonsense" * 200)
    guarded.until(lambda: "is tried again" in guarded.log.read_text() or "not a database" in guarded.log.read_text(), "the fault is told")
    aside.replace(store)
    guarded.write({**config, "models": [*config["models"], {"name": "later", "targets": ["o/demo"]}]})
    key = guarded.run("keys", "create", "carol", str(guarded.path)).stdout.strip()
    guarded.until(lambda: status(guarded, key, "later") == 200, "it is all noticed")


def test_among_many(guarded: Gateway) -> None:
    """More keys than are told one by one: they are in a file that all workers map, and a change counts as soon as ever."""
    stored.add(guarded.state, (StoredKey(f"many-{number}", digest(f"hg-many-{number}"), "acme") for number in range(TOLD + 10)))
    # A process of its own writes the file, which is a second of the processor's: ten, where that has four others to serve.
    guarded.until(lambda: status(guarded, "hg-many-0") == status(guarded, f"hg-many-{TOLD + 9}") == 200, "they are known", 60)
    (file,) = (guarded.state / "keyfiles").iterdir()
    assert all(file.name in Path(f"/proc/{pid}/maps").read_text() for pid in guarded.workers())
    stored.revoke(guarded.state, "many-1")
    guarded.until(lambda: status(guarded, "hg-many-1") == 401, "the key is refused", SOON)
    key = stored.create(guarded.state, "dave")
    guarded.until(lambda: status(guarded, key) == 200, "the key is known", SOON)
    # A worker that is started anew knows the same.
    old = guarded.workers()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    guarded.until(lambda: guarded.workers() and not set(old) & set(guarded.workers()), "there are others")
    guarded.until(lambda: status(guarded, key) == 200, "requests are answered")
    assert [status(guarded, f"hg-many-{number}") for number in (0, 1)] == [200, 401]


def test_a_key_file_that_is_lost(guarded: Gateway) -> None:
    """Nobody is let in, or told that the key is wrong, because of a fault of ours; and it is mended."""
    (file,) = (guarded.state / "keyfiles").iterdir()
    file.unlink()
    seen = set()
    old = guarded.workers()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    guarded.until(lambda: guarded.workers() and not set(old) & set(guarded.workers()), "there are others")

    def mended() -> bool:
        seen.add(status(guarded, "hg-many-0"))
        assert status(guarded, "hg-many-1") in (401, 500, 503)
        return 200 in seen

    guarded.until(mended, "the file is written again")
    assert seen <= {200, 500, 503}


def test_serve_without_keys(guarded: Gateway, config: dict[str, Any], tmp_path: Path) -> None:
    other = Gateway(tmp_path, config)
    done = other.run("serve", str(other.path), "--run-dir", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "there are no keys" in done.stderr


def test_the_operators_port_answers_to_this_machine(guarded: Gateway) -> None:
    """A web page whose name was made to mean this machine reads nothing."""
    assert httpx.get(f"{guarded.operator}/healthz", verify=False).status_code == 200
    assert httpx.get(f"{guarded.operator}/metrics", headers={"host": "evil.example"}, verify=False).status_code == 403
