"""Processes that the benchmark starts: each ends with the benchmark, however that ends."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from extproc.control.children import die_with_parent

_GRACE = 10.0

# Nothing of the developer's own: a provider's key, or a proxy, would change what is measured.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "HEADGATE_ENVOY", "SSL_CERT_FILE", "VIRTUAL_ENV")
ROOT = Path(__file__).parents[1]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: what is needed of our own, this checkout's packages, and `more`."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **(more or {})}


async def spawn(
    command: Sequence[str], folder: Path, log: str, *, env: Mapping[str, str] | None = None, talk: bool = False
) -> Process:  # fmt: skip
    """Starts a process in `folder`, with its output in the file `log` there; `talk` keeps standard input and output as pipes."""
    with (folder / log).open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=environment(env),
            stdin=PIPE if talk else asyncio.subprocess.DEVNULL,
            stdout=PIPE if talk else output,
            stderr=output,
            limit=1 << 20,
            # A session of its own: Ctrl-C in the terminal reaches the benchmark alone, which then ends the others in order.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


async def spawn_provider(folder: Path, *arguments: str) -> tuple[Process, str]:
    """Starts the mock provider with its log in `folder`: its process and its base URL. Raises `RuntimeError` where it does not come up."""
    process = await spawn([sys.executable, "-m", "bench.provider", *arguments], folder, "provider.log", talk=True)
    assert process.stdout is not None
    port = await process.stdout.readline()
    if not port:
        await end([process])
        raise RuntimeError(f"the mock provider does not start: {tail(folder / 'provider.log')}")
    return process, f"http://127.0.0.1:{int(port)}"


async def end(processes: Sequence[Process], grace: float = _GRACE) -> None:
    """Ends processes: asks all of them, waits `grace` seconds, then kills what is left of each, its children included."""
    running = [process for process in processes if process.returncode is None]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    if running:
        await asyncio.wait([asyncio.ensure_future(process.wait()) for process in running], timeout=grace)
    for process in running:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(path: Path, size: int = 2000) -> str:
    """The end of a log."""
    try:
        return path.read_text(errors="replace")[-size:].strip()
    except OSError:
        return ""
