"""What one control process leaves to the next, which takes its place in the same process (`exec`): the process id stays, and so do the
children, and the sockets that are listened on, so that nobody is refused.
"""

import asyncio
import fcntl
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.control.children import Handed, die_with_parent
from extproc.standing.renewed import Asked
from extproc.standing.told import Stand

_VARIABLE = "HEADGATE_HANDOVER"
_WAITING = {signal.SIGTERM, signal.SIGINT}
"""Signals that wait until the next program has handlers for them."""
_IGNORED = (signal.SIGHUP, signal.SIGUSR2)
"""Signals that would end a program that has no handlers yet, and mean no such thing."""
_TRIAL = 120.0

_log = logging.getLogger(__name__)


class HandedEnvoy(Struct, frozen=True):
    """An Envoy that runs."""

    processes: Handed
    base_id: int | None
    """See `envoy.hot_restart`; None: no other one can take over from it."""
    signature: str
    """Of the binary, the bootstrap and the command line."""


class Handover(Struct, frozen=True):
    """All that is left. A later version may know more fields, and an earlier one fewer: each has a default."""

    version: str = ""
    number: int = 0
    """Counts the upgrades of a state folder."""
    lock: int = -1
    """Descriptor of the state folder's lock."""
    sockets: dict[str, list[int]] = {}
    """Descriptors that are listened on, by what they are for."""
    workers: dict[str, Handed] = {}
    envoy: HandedEnvoy | None = None
    addresses: dict[str, tuple[str | None, ...]] = {}
    """See `addresses.Addresses`."""
    standing: tuple[Stand, ...] = ()
    """Targets and keys that do not stand well."""
    asked: dict[str, Asked] = {}
    """How providers were asked when that was found out."""
    api: Handed | None = None
    """The admin API, where it is a process."""


def taken() -> Handover | None:
    """What the program before has left, if there was one. Once: children inherit the environment."""
    number = os.environ.pop(_VARIABLE, None)
    if not number:
        return None
    with os.fdopen(int(number), "rb") as left:
        handover = msgspec.json.decode(left.read(), type=Handover)
    for descriptor in _descriptors(handover):
        # Those that are closed by then, or are no longer wanted, must not be there after the next one.
        os.set_inheritable(descriptor, False)
    return handover


def hold_signals() -> None:
    """Those that end a program wait, for the next one if that comes before `listen_to_signals`: a mask outlives `exec`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING)


def listen_to_signals() -> None:
    """Those that have been waiting come now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITING)


def become(handover: Handover) -> None:
    """Goes on as the program that is installed now, with the same command line. Does not return. Raises `OSError`."""
    for descriptor in _descriptors(handover):
        os.set_inheritable(descriptor, True)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # What the environment may hold is bounded (128 KiB a variable), and a file without a name is nobody else's.
    with tempfile.TemporaryFile() as left:
        left.write(msgspec.json.encode(handover))
        left.seek(0)
        os.set_inheritable(left.fileno(), True)
        environ = os.environ | {_VARIABLE: str(left.fileno())}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 - the command line that started us


def _descriptors(handover: Handover) -> Iterable[int]:
    yield handover.lock
    for descriptors in handover.sockets.values():
        yield from descriptors


async def trial(arguments: Sequence[str]) -> str:
    """Why the program that is installed now could not take over, in its own words; empty if it could.

    `arguments`: of `headgate upgrade --check`.
    """
    # As we were started ourselves, up to the name of the command: `python -m extproc.cli` or the path of a script.
    ours = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *ours, "upgrade", "--check", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True, preexec_fn=die_with_parent,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_TRIAL):
            said, _ = await process.communicate()
    except TimeoutError:
        return f"`headgate upgrade --check` has not ended within {_TRIAL:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "" if process.returncode == 0 else said.decode(errors="replace").strip() or f"exit code {process.returncode}"


class Status(Struct, frozen=True):
    """How far an upgrade has come, for whoever asked for it."""

    number: int = 0
    stage: str = ""
    """`checking`, `replacing`; `done`, `refused`, `partly`: nothing more comes."""
    said: tuple[str, ...] = ()
    version: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing more comes."""
        return self.stage in {"done", "refused", "partly"}


def status(state: Path) -> Status:
    """How far the last upgrade of this state folder has come."""
    try:
        return msgspec.json.decode(_status_file(state).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError):
        return Status()


def report(state: Path, now: Status) -> None:
    """Says how far it has come. A disk that is full keeps nobody from upgrading."""
    path = _status_file(state)
    try:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(now))
        fresh.replace(path)
    except OSError as error:
        _log.warning("nobody is told how far the upgrade has come: %s", error)


def _status_file(state: Path) -> Path:
    return state / "upgrade.json"


def holder(state: Path) -> int | None:
    """Process id of the gateway that runs on this state folder; None where none does."""
    try:
        text = (state / "headgate.pid").read_text()
        pid = int(text)
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid if _is_locked(state / "headgate.pid") else None


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
