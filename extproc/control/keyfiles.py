"""Which key file the workers map, and what has changed since it was written.

A change of a few keys is told with the snapshot itself. Once there are many, they are folded into a new file, by a process of its own:
that takes seconds of computing for a million keys, which the control process has other uses for, and memory that it would not give back.

    python -m extproc.control.keyfiles STATE        writes the key file of a state folder

Standard input has the URL of the store, if that is elsewhere.
"""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from extproc.control.identities import Identities
from extproc.identity.record import Changes
from extproc.keyfile import SUFFIX, TEMPORARY, Header, KeyFileError, is_whole, read_header, write_key_file
from extproc.keys import KeyState

FOLD = 1024
"""Changes that are worth a new file. Until then they travel with each snapshot, and each worker has a copy of them."""

_FOLDER = "keyfiles"
# The one in force, and the one before: a worker that starts just now may have been told of that.
_KEPT = 2
_WITHIN = 600.0


def key_state(state: Path, *, fold: bool, url: str = "") -> KeyState:
    """The keys of a state folder, as a snapshot tells them. `url`: of the store, if that is elsewhere.

    `fold`: many changes are written into a new file first. Without it that is done only where they cannot be told otherwise.
    Raises `OSError` where it cannot be done.
    """
    identities = Identities(state, url)
    known = _known(state, identities)
    if known is None or (fold and len(known[1]) > FOLD):
        _write_apart(state, url)
        known = _known(state, identities)
        if known is None:
            raise OSError(f"the keys of {state} change faster than they can be read")
    path, changes = known
    levels, plans = identities.levels()
    return KeyState(str(path) if path is not None else "", changes.keys, changes.gone, levels, plans)


def _known(state: Path, identities: Identities) -> tuple[Path | None, Changes] | None:
    """The newest good file, and what has changed since; None where there has to be a new one."""
    for path in _files(state):
        header = _good(path)
        changes = identities.since(header.stamp) if header is not None else None
        if changes is not None:
            return path, changes
    changes = identities.since(None)
    return (None, changes) if changes is not None else None


def _files(state: Path) -> list[Path]:
    """The newest first."""
    return sorted((state / _FOLDER).glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _good(path: Path) -> Header | None:
    try:
        header = read_header(path)
        stat = path.stat()
    except (KeyFileError, OSError):
        return None
    return header if _whole(path, header, stat.st_mtime_ns, stat.st_ino) else None


@lru_cache(maxsize=4)
def _whole(path: Path, header: Header, modified: int, inode: int) -> bool:
    # A crash of the machine may have kept half of what was written. Once it was seen to be whole it stays so, until it is touched.
    return is_whole(path, header)


def _write_apart(state: Path, url: str) -> None:
    command = [sys.executable, "-m", "extproc.control.keyfiles", str(state)]
    # Others see the arguments of a command: the URL may hold a password.
    done = subprocess.run(command, input=url, capture_output=True, text=True, timeout=_WITHIN, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise OSError(f"the key file cannot be written: {reason}")


def write(state: Path, url: str = "") -> Path:
    """Writes the key file of a state folder, and removes those that nobody needs any more. `url`: see `key_state`."""
    identities = Identities(state, url)
    folder = state / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    # What changes while the keys are read is told as a change since: so the moment that counts is the one before.
    stamp = identities.stamp()
    if stamp is None:
        raise FileNotFoundError(f"there is no store in {state}")
    path = write_key_file(folder, identities.each(), stamp)
    others = [other for other in _files(state) if other != path]
    for old in [*others[_KEPT - 1 :], *folder.glob(f"{TEMPORARY}*")]:
        old.unlink()
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.stdin.read().strip())
