"""What was known of a store elsewhere when it answered last: kept in the state folder, and in force while it does not answer.

Then a key that is known goes on working, one that was revoked stays so, and of all others nobody can tell: they get 503.
"""

import logging
import os
import threading
from pathlib import Path

import msgspec
from msgspec.structs import replace

from extproc.control.keyfiles import key_state
from extproc.keys import KeyState

FILE = "identities.kept"

_log = logging.getLogger(__name__)


def remote_state(state: Path, url: str, *, fold: bool, up: bool) -> KeyState:
    """The keys of the store at `url`, as a snapshot tells them; those that were known, where it does not answer. `up`: it may be asked.

    `fold`: see `keyfiles.key_state`.
    """
    if up:
        try:
            found = key_state(state, fold=fold, url=url)
        except OSError as error:
            _log.warning("what was known of the store stays in force: %s", error)
        else:
            _keep(state, found)
            return found
    return replace(_known(state), stale=True)


def _keep(state: Path, found: KeyState) -> None:
    data, path = msgspec.msgpack.encode(found), state / FILE
    # One that was left to itself may come back in the midst of this.
    fresh = path.with_suffix(f".{threading.get_ident()}")
    try:
        if path.exists() and path.read_bytes() == data:
            return
        with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 - for its owner's eyes alone
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        _log.error("what is known of the store cannot be kept for the time when it does not answer: %s", error)


def _known(state: Path) -> KeyState:
    try:
        return msgspec.msgpack.decode((state / FILE).read_bytes(), type=KeyState)
    except FileNotFoundError:
        return KeyState()
    except (OSError, msgspec.MsgspecError) as error:
        _log.error("what was known of the store cannot be read: %s", error)
        return KeyState()
