"""A whole gateway for a test: `headgate up` on a configuration of the test's own, with Envoy, workers, ledger and all."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from extproc.control.run_dir import sockets_folder
from extproc.envoy import names
from tests.e2e import starter
from tests.e2e.ports import free_port

BRIDGED = 2.0
"""Seconds that a request waits for a worker at least: 40 retries with full jitter (`extproc/envoy/filters.py`), some 4 s as a rule. A busy
machine may need longer than that to start one.
"""
# On a machine that does much else; it takes two seconds.
_READY_WITHIN = 60.0
# Nothing of the developer's own: a key in the environment would turn the demo into a real provider. PYTHONPATH: what is tested may be
# another checkout than the one that is installed.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "HEADGATE_ENVOY", "SSL_CERT_FILE", "VIRTUAL_ENV", "PYTHONWARNINGS", "PYTHONPATH")


class Gateway:
    """One gateway, from `with` to its end. `config` is `gateway.yaml` as a document; ports are filled in.

    `by_itself`: the command is started as a user starts it, which takes seconds more, also of the processor's.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], environ: Mapping[str, str] | None = None, *, by_itself: bool = False
    ) -> None:
        self.folder = folder
        self.port, self.operator_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.operator = f"http://127.0.0.1:{self.operator_port}"
        self.path = folder / "gateway.yaml"
        self.state = folder / "state"
        self.log = folder / "gateway.log"
        self._environ = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(environ or {})
        self._process: starter.Command | subprocess.Popen[bytes] | None = None
        self._by_itself = by_itself
        self.write(config)

    def write(self, config: Mapping[str, Any]) -> None:
        """Writes the configuration, with this gateway's ports. A running gateway reloads it."""
        listener = {**config.get("listener", {}), "port": self.port}
        admin = {**config.get("admin", {}), "port": self.operator_port}
        # Most tests leave streams behind that nobody waits for, and have providers that fail again and again.
        usual = {"state": "state", "drain": 1, "breaker": "off", "api": {"address": "off"}}
        text = yaml.safe_dump({**usual, **config, "listener": listener, "admin": admin}, sort_keys=False)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)

    def __enter__(self) -> Self:
        if self._process is not None:
            self._process.wait(10)
        self._process = self._start("up", str(self.path))
        try:
            self.until(lambda: "is ready" in self.log.read_text() or self._process_ended(), "the gateway is ready", _READY_WITHIN)
        except AssertionError:
            # Nobody will call `__exit__`.
            self.stop()
            raise
        assert not self._process_ended(), self.log.read_text()
        return self

    def _start(self, *arguments: str) -> "starter.Command | subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            if not self._by_itself:
                return starter.Command(arguments, environ=self._environ, folder=self.folder, out=self.log, errors=self.log)
            command = [sys.executable, "-m", "extproc.cli", *arguments]
            return subprocess.Popen(command, env=self._environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _process_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """The control process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """Ctrl-C. The exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Waits for its end. The exit code."""
        assert self._process is not None
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def children(self, pattern: str) -> list[int]:
        """Process ids of the control process's children whose command line matches."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                stat = (process / "stat").read_text().rpartition(") ")[2].split()
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, IndexError):
                continue
            if int(stat[1]) == self.pid and stat[0] != "Z" and re.search(pattern, line):
                found.append(int(process.name))
        return found

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return self.children(r"extproc\.worker")

    def envoy(self) -> int:
        """Process id of Envoy."""
        (pid,) = self.children("--config-path")
        return pid

    def until(self, true: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Waits until something is true; fails, with the log, if that takes longer than `seconds`: more than a busy machine needs."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds:g} s until {what}; the log:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def left_out(self) -> int:
        """Workers' sockets that Envoy takes for dead: each has two, the gate's and the adapter's."""
        return sum("failed_active_hc" in line for line in self._clusters())

    def dealt(self) -> list[int]:
        """How many requests Envoy has given each worker's gate, checks of its health not counted."""
        return [
            int(line.rpartition("::")[2]) for line in self._clusters() if line.startswith(names.GATE_CLUSTER) and "::rq_total::" in line
        ]

    def _clusters(self) -> list[str]:
        socket = names.admin_socket(str(sockets_folder(self.state)))
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket, verify=False)) as client:
            return client.get("http://envoy/clusters").text.splitlines()

    def ledger(self, by: str = "provider,model", *, requests: int | None = None, seconds: float = 30.0) -> list[dict[str, Any]]:
        """What `headgate usage` reports, once it has `requests` of them."""
        if requests is not None:
            # The command is asked once: each time it takes most of a second.
            self.until(lambda: self._entries() >= requests, f"{requests} requests are in the ledger", seconds)
        done = self.run("usage", str(self.path), "--by", by, "--json")
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
        return rows

    def _entries(self) -> int:
        """How many the ledger has."""
        path = self.state / "ledger.sqlite3"
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
            count: int = ledger.execute("SELECT count(*) FROM entries").fetchone()[0]
            return count

    def run(self, *arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Another `headgate` command on this gateway's configuration."""
        if text is None and not self._by_itself:
            return starter.run(arguments, environ=self._environ, folder=self.folder)
        command = [sys.executable, "-m", "extproc.cli", *arguments]
        return subprocess.run(command, env=self._environ, capture_output=True, text=True, input=text, check=False, cwd=self.folder)

    def metrics(self) -> dict[str, float]:
        """What `/metrics` says, by series."""
        lines = httpx.get(f"{self.operator}/metrics", verify=False).text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}


def chat(text: str, model: str = "demo", **more: Any) -> dict[str, Any]:
    """An OpenAI chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def message(text: str, model: str = "demo", **more: Any) -> dict[str, Any]:
    """An Anthropic messages request."""
    return {"model": model, "max_tokens": 256, "messages": [{"role": "user", "content": text}], **more}
