"""What a control plane keeps in its state folder, so that one that is started again tells its nodes the very same bytes: how far the
roll-out is, and the versions. They may hold secrets, so nobody else can read them.
"""

import logging
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from extproc.xds.resources import Version
from extproc.xds.rollout import State

_STATE = "rollout.json"
_SUFFIX = ".version"

_log = logging.getLogger(__name__)


class Kept:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> tuple[State, dict[str, Version]]:
        """What was kept; nothing of what cannot be read, which is told."""
        versions = {}
        for path in self._folder.glob(f"*{_SUFFIX}"):
            try:
                found = msgspec.msgpack.decode(path.read_bytes(), type=Version)
            except (OSError, msgspec.DecodeError) as error:
                _log.warning("%s cannot be read, and is left out: %s", path, error)
                continue
            versions[found.id] = found
        return self._state(versions), versions

    def _state(self, versions: Collection[str]) -> State:
        path = self._folder / _STATE
        try:
            state = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("%s cannot be read: the roll-out begins anew: %s", path, error)
            return State()
        state.past = [one for one in state.past if one in versions]
        state.candidate = state.candidate if state.candidate in versions else ""
        state.stable = state.stable if state.stable in versions else ""
        return state

    def save(self, state: State) -> None:
        """How far the roll-out is."""
        self._write(_STATE, msgspec.json.encode(state))

    def add(self, version: Version) -> None:
        """A version that may be told from now on."""
        self._write(f"{version.id}{_SUFFIX}", msgspec.msgpack.encode(version))

    def forget(self, version: str) -> None:
        """One that is told no more."""
        (self._folder / f"{version}{_SUFFIX}").unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        fresh = self._folder / f".{name}.new"
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / name)
