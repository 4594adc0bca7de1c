"""The gateway's own admin keys: hashes in the state folder, and the newest key itself in a file for its owner alone, for the command line.

The file with the key may be taken away: only the hashes count.
"""

import os
import secrets
from hmac import compare_digest
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.keys import digest

PREFIX = "hga-"
"""Begins admin keys, so that nobody takes one for a caller's."""
KEY_FILE = "admin.key"
"""The newest one, in clear, in the state folder."""
HASHES_FILE = "admin-keys.json"


class AdminKey(Struct, frozen=True):
    """What is stored of one."""

    hash: str
    """SHA-256 in hexadecimal."""
    created_at: int
    """Milliseconds since 1970."""


def make(state: Path, now: int, *, only: bool = False) -> str:
    """Makes another one, and returns it. `only`: those before it are worthless from now on. Raises `OSError`."""
    key = PREFIX + secrets.token_urlsafe(32)
    before = () if only else stored(state)
    _write(state / HASHES_FILE, msgspec.json.encode([*before, AdminKey(digest(key).hex(), now)]))
    _write(state / KEY_FILE, f"{key}\n".encode())
    return key


def ensure(state: Path, now: int) -> bool:
    """Makes the first one, if there was none yet; whether it has. Raises `OSError`."""
    if (state / HASHES_FILE).exists():
        return False
    make(state, now)
    return True


def stored(state: Path) -> tuple[AdminKey, ...]:
    """All that count. Raises `OSError`; what is no such file lets nobody in (`msgspec.DecodeError`)."""
    try:
        return msgspec.json.decode((state / HASHES_FILE).read_bytes(), type=tuple[AdminKey, ...])
    except FileNotFoundError:
        return ()


def is_good(state: Path, key: str) -> bool:
    """Whether this is one of them. Looked up each time: who takes one back waits for nobody."""
    given = digest(key).hex()
    # All of them are compared, so that the time tells nothing.
    return sum(compare_digest(given, one.hash) for one in stored(state)) > 0


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
