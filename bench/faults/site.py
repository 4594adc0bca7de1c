"""The gateway that is tormented: `headgate up`, its processes, its log, its ledger and what Envoy knows of it."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.children import end, free_port, spawn, tail
from bench.procs import children

KEY = "sk-of-alice"
"""The only caller's key that is known."""
_READY_WITHIN = 60.0
Entry = dict[str, Any]


class SiteError(RuntimeError):
    """The gateway is not what it should be."""


class Site:
    """One gateway in `folder`, which it fills with configuration, state and log."""

    def __init__(self, folder: Path, config: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port, self.operator_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = folder / "state"
        self.log = folder / "gateway.log"
        self.config: Mapping[str, Any] = config
        self.environ = dict(environ or {})
        self.others: list[Site] = []
        """Gateways that are asked, too, and have ledgers of their own."""
        self._process: Process | None = None
        self._apart = False

    def document(self) -> dict[str, Any]:
        """The whole of `gateway.yaml`: the configuration, with this gateway's ports, its workers and the only key."""
        filters = [{"meter": {}}, {"auth": {"keys": [_key()]}}, {"route": {}}, *self.config.get("filters", ())]
        ports = {"listener": {"port": self.port}, "admin": {"port": self.operator_port}, "api": {"address": "off"}}
        return {"workers": 2, "state": "state", "drain": 10, **self.config, "filters": filters, **ports}

    def write(self, config: Mapping[str, Any]) -> None:
        """Writes the configuration, which a running gateway then takes."""
        self.config = config
        fresh = self.folder / "gateway.new"
        fresh.write_text(json.dumps(self.document()))
        fresh.replace(self.folder / "gateway.yaml")

    async def start(self, *before: str) -> None:
        """Starts it, by the command `before` if that is given, and waits until it is ready. Raises `SiteError`."""
        self.write(self.config)
        command = [*before, sys.executable, "-m", "extproc.cli", "up", "gateway.yaml"]
        begun = self.log.stat().st_size if self.log.exists() else 0
        self._process = await spawn(command, self.folder, self.log.name, env=self.environ)
        deadline = time.monotonic() + _READY_WITHIN
        while "is ready" not in self.said(begun):
            if self._process.returncode is not None or time.monotonic() > deadline:
                await self.stop()
                raise SiteError(f"the gateway does not start: {tail(self.log)}")
            await asyncio.sleep(0.05)
        if before:
            # Its disks may be others than those that are seen from here.
            self._apart = True
            self.state = Path(f"/proc/{self._process.pid}/root{self.folder}/state")

    async def stop(self) -> None:
        """Ends it, whatever state it is in."""
        if self._process is not None:
            # A process that is stopped hears nothing of it.
            for pid in [self._process.pid, *self.workers(), *self._envoys()]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            await end([self._process])
            self._process = None

    @property
    def pid(self) -> int:
        """The control process."""
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The workers, oldest first."""
        return sorted(pid for pid, line in children(self.pid).items() if re.search(r"extproc\.worker", line))

    def _envoys(self) -> list[int]:
        return [pid for pid, line in children(self.pid).items() if "--config-path" in line]

    def envoy(self) -> int:
        """Envoy. Raises `SiteError` while there is none."""
        found = self._envoys()
        if len(found) != 1:
            raise SiteError(f"{len(found)} Envoys")
        return found[0]

    def family(self) -> tuple[int, ...]:
        """All processes, which are others as soon as one has died."""
        return (self.pid, *self._envoys(), *self.workers())

    def said(self, since: int = 0) -> str:
        """Its log from a byte on."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as opened:
            opened.seek(since)
            return opened.read().decode(errors="replace")
        return ""

    def entries(self) -> dict[str, Entry]:
        """What the ledger holds, by request id. Raises `SiteError` if an id is there twice."""
        if not (self.state / "ledger.sqlite3").exists():
            return {}
        if not self._apart:
            return _entries(self.state)
        # SQLite follows the link that leads there, and comes out here. A copy may be torn, so it may take another.
        for _ in range(20):
            with tempfile.TemporaryDirectory() as name, contextlib.suppress(sqlite3.DatabaseError, FileNotFoundError):
                for path in self.state.glob("ledger.sqlite3*"):
                    shutil.copy(path, name)
                return _entries(Path(name))
        raise SiteError("the ledger cannot be read")

    async def until(self, true: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        """Waits until something is true. Raises `SiteError`."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise SiteError(f"waited {seconds:g} s until {what}")
            await asyncio.sleep(0.05)

    async def collected(self, ids: Sequence[str], seconds: float = 30.0) -> dict[str, Entry]:
        """All entries, as soon as these are there; or what is there after `seconds`."""
        wanted, deadline = set(ids), time.monotonic() + seconds
        while True:
            found = {id: entry for site in (self, *self.others) for id, entry in site.entries().items()}
            if wanted <= found.keys() or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.2)


def _entries(state: Path) -> dict[str, Entry]:
    with contextlib.closing(sqlite3.connect(f"{(state / 'ledger.sqlite3').as_uri()}?mode=ro", uri=True, timeout=5)) as ledger:
        ledger.row_factory = sqlite3.Row
        rows = [dict(row) for row in ledger.execute("SELECT * FROM entries")]
    found = {row["id"]: row for row in rows}
    if len(found) != len(rows):
        raise SiteError("a request is in the ledger twice")
    return found


def _key() -> dict[str, str]:
    return {"name": "alice", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
