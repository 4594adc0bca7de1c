"""The catalogue that a state folder has been given, and those before it: dated, checked, replaced as a whole.

In `catalogue/` there is a file for each, named by the SHA-256 of what is in it, and `current`, which names the one in force. Whoever reads
sees the old one or the new one, whole, whatever happens meanwhile.
"""

import os
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.errors import ConfigError
from extproc.ledger.sheet import MOST_BYTES, Catalogue

_KEPT = 8
"""Catalogues before the one in force that can be gone back to."""


class Entry(Struct, frozen=True):
    """A catalogue of the state folder."""

    digest: str
    """SHA-256 of the document, in hexadecimal."""
    origin: str
    """The file or URL that it came from."""
    at: float
    """When, in seconds since 1970."""


class _Current(Struct, frozen=True):
    entries: tuple[Entry, ...] = ()
    """The one in force first, those before it after it. The built-in list alone is in force where there is none."""


class Installed:
    """The catalogues of a state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "catalogue"

    @property
    def pointer(self) -> Path:
        """The file that changes whenever another catalogue is in force."""
        return self._folder / "current"

    def entries(self) -> tuple[Entry, ...]:
        """The one in force, and those before it. Raises OSError, ValueError."""
        try:
            text = self.pointer.read_bytes()
        except FileNotFoundError:
            return ()
        return msgspec.json.decode(text, type=_Current).entries

    def load(self) -> Catalogue | None:
        """The one in force; None where there is none. Raises OSError; ValueError, ConfigError where it is not what it was."""
        entries = self.entries()
        return self.read(entries[0]) if entries else None

    def read(self, entry: Entry) -> Catalogue:
        """Raises as `load` does."""
        catalogue = Catalogue(self._path(entry).read_bytes())
        if catalogue.digest != entry.digest:
            raise ValueError(f"{self._path(entry)} is damaged: it is not what was taken")
        return catalogue

    def update(self, text: bytes, origin: str) -> Catalogue:
        """Puts a catalogue in force. Raises ConfigError for what is none, OSError where the disk refuses: then nothing has changed."""
        catalogue = Catalogue(text)
        before = self.entries()
        entry = Entry(catalogue.digest, origin, time.time())
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(self._path(entry), text)
        self._name(entry, *(one for one in before if one.digest != entry.digest))
        return catalogue

    def revert(self) -> Entry:
        """Takes the one in force away; the one before it is in force then, or the built-in list alone. Raises OSError; LookupError where
        there is none. What was in force is returned.
        """
        entries = self.entries()
        if not entries:
            raise LookupError("there is no catalogue: the built-in list is in force")
        if len(entries) > 1:
            self.read(entries[1])
        self._name(*entries[1:])
        return entries[0]

    def _name(self, *entries: Entry) -> None:
        kept = entries[: _KEPT + 1]
        _replace(self.pointer, msgspec.json.encode(_Current(kept)))
        names = {self._path(entry) for entry in kept}
        for path in self._folder.glob("*.json"):
            if path not in names:
                path.unlink(missing_ok=True)

    def _path(self, entry: Entry) -> Path:
        if len(entry.digest) != 64 or not entry.digest.isalnum():
            raise ValueError(f"{self.pointer} names what no catalogue is called")
        return self._folder / f"{entry.digest}.json"


def from_file(path: Path) -> bytes:
    """What is in a file, if that may be a catalogue. Raises OSError; ConfigError if it is too large."""
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise ConfigError("$", f"a catalogue has at most {MOST_BYTES // 2**20} MiB")
    return text


def _replace(path: Path, text: bytes) -> None:
    """Writes a file as a whole: it is on disk before it has its name."""
    fd, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
