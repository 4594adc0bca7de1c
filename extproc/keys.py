"""Callers' virtual keys: how one is made, hashed, and found again.

A key is 32 random bytes, so a plain SHA-256 of it can be stored: there is nothing to guess. It is looked up by that digest, which a
caller cannot steer byte by byte, so the time of a look-up tells nothing of the keys that exist.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from extproc.errors import Reject
from extproc.identity.levels import Grant, Grants, Level
from extproc.identity.record import Owner, StoredKey
from extproc.identity.settings import NOTHING, Plan
from extproc.keyfile import KeyFile, KeyFileError
from extproc.values import Identity

__all__ = ["PREFIX", "Granting", "KeyState", "KeyTable", "MappedKeys", "StoredKey", "StoredKeys", "digest", "make_key"]

PREFIX = "hg-"

# Keys that a worker remembers to have found in a key file. Those that are not there are looked for each time: anybody can make them up.
_REMEMBERED = 4096
# Seconds after which a key file that could not be used is tried again, if somebody sends a key.
_AGAIN = 1.0

_log = logging.getLogger(__name__)


class KeyState(Struct, frozen=True):
    """The stored keys as a snapshot tells them: a key file, and what has changed since it was written."""

    file: str = ""
    """Path of the key file, whose name is the digest of what has to be in it; empty while the keys are few."""
    added: tuple[StoredKey, ...] = ()
    """Keys that the file does not have, or has otherwise."""
    revoked: tuple[bytes, ...] = ()
    """Digests of keys that are no longer in force, whatever the file says."""
    levels: tuple[Level, ...] = ()
    """Organizations, teams, users, ... of whom anything is set."""
    plans: tuple[Plan, ...] = ()
    """All there are: keys name theirs by id."""
    stale: bool = False
    """The store cannot be asked, so of a key that is not here nobody can tell whose it is."""


_NONE = KeyState()


def make_key() -> str:
    """A new key: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class MappedKeys:
    """The keys of a file that has to be at `path`. While it is not, nobody is let in by it, and nobody is told that a key is wrong."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: KeyFile | None = None
        self._fault = ""
        self._next = 0.0
        self._open()

    def _open(self) -> KeyFile | None:
        now = time.monotonic()
        if self._file is None and now >= self._next:
            self._next = now + _AGAIN
            try:
                self._file = KeyFile(Path(self.path))
            except KeyFileError as error:
                self._refuse(error)
        return self._file

    def _refuse(self, error: KeyFileError) -> None:
        if str(error) != self._fault:
            self._fault = str(error)
            _log.error("requests with a key are refused: %s", error)

    def find(self, digest: bytes) -> StoredKey | None:
        """The key with this digest, or None. Raises `Reject` 503 if the file does not say."""
        file = self._file
        if file is None:
            file = self._open()
        if file is not None:
            try:
                return file.find(digest)
            except KeyFileError as error:
                self._refuse(error)
        raise _unknown()


class Granting:
    """What keys may do: by what is set for them, and for those whom they belong to."""

    def __init__(self, levels: Iterable[Level] = (), plans: Iterable[Plan] = ()) -> None:
        self._grants = Grants(levels)
        self._plans = {plan.id: plan for plan in plans}
        self._usual: dict[Owner | None, Grant] = {}
        """By owner: of keys for which nothing is set but what is set for their owners."""

    def identity(self, key: StoredKey) -> Identity:
        """Whose key it is. Those of the same levels share what they may do."""
        owner = key.owner
        special = key.settings is not NOTHING or key.plan
        grant = self._find(key) if special else self._usual.get(owner) or self.grant(owner)
        return Identity(key.tenant or key.name, key.name, key.id, owner, key.expires_at, grant)

    def grant(self, owner: Owner | None) -> Grant:
        """What somebody may do who belongs there, and for whom nothing else is set."""
        grant = self._usual.get(owner)
        if grant is None:
            if len(self._usual) >= _REMEMBERED:
                self._usual.clear()
            self._usual[owner] = grant = self._grants.find(owner.levels if owner is not None else ())
        return grant

    def _find(self, key: StoredKey) -> Grant:
        return self._grants.find(key.owner.levels if key.owner is not None else (), key.level(self._plans))


class StoredKeys:
    """The keys of the state folder. All snapshots of a worker share them: a key that is revoked is so for each of them."""

    __slots__ = ("_changed", "_granting", "_known", "_mapped", "_stale", "exist", "version")

    def __init__(self, state: KeyState = _NONE, *, exist: bool = False) -> None:
        self._changed: dict[bytes, Identity | None] = {}
        # The same, and what was found in the file lately: whoever calls mostly calls again.
        self._known: dict[bytes, Identity | None] = {}
        self._mapped: MappedKeys | None = None
        self._granting = Granting()
        self._stale = False
        self.version = 0
        """Another one whenever something has changed."""
        self.exist = exist
        """The state folder has, or had, keys: revoking the last one must not open the gateway."""
        self.take(state, exist=exist)

    def take(self, state: KeyState, *, exist: bool) -> None:
        """From now on these are the keys."""
        granting = Granting(state.levels, state.plans)
        changed = {**dict.fromkeys(state.revoked), **{key.digest: granting.identity(key) for key in state.added}}
        if self._mapped is None or self._mapped.path != state.file:
            self._mapped = MappedKeys(state.file) if state.file else None
        self._changed, self._known, self._granting, self.exist = changed, dict(changed), granting, exist
        self._stale = state.stale
        self.version += 1

    def find(self, digest: bytes) -> Identity | None:
        """Whose key has this digest, or None. Raises `Reject` 503 if that cannot be known, 401 if it has expired, 403 if whom it belongs to
        is suspended: whoever holds a key is told what has become of it.
        """
        known = self._known
        found = known.get(digest)
        if found is None and self._mapped is not None and digest not in known:
            found = self._look(digest, self._mapped)
        if found is None:
            if self._stale and digest not in self._changed:
                raise _unknown()
            return None
        if found.expires_at is not None and time.time() * 1000 >= found.expires_at:
            raise _expired(found.expires_at)
        if found.grant.closed is not None:
            raise _suspended(found.grant.closed)
        return found

    def grant_of(self, owner: Owner) -> Grant:
        """What somebody may do who belongs there, and is known by no key. Raises `Reject` 403 if whom he belongs to is suspended."""
        grant = self._granting.grant(owner)
        if grant.closed is not None:
            raise _suspended(grant.closed)
        return grant

    def _look(self, digest: bytes, mapped: MappedKeys) -> Identity | None:
        key = mapped.find(digest)
        if key is None:
            return None
        known = self._known
        if len(known) >= len(self._changed) + _REMEMBERED:
            known = self._known = dict(self._changed)
        known[digest] = found = self._granting.identity(key)
        return found


def _unknown() -> Reject:
    message = "The gateway cannot read its keys at the moment, so it does not know whose this one is. Try again."
    return Reject(503, "keys_unavailable", message, headers=(("retry-after", "1"),))


def _expired(milliseconds: int) -> Reject:
    since = datetime.fromtimestamp(milliseconds / 1000, UTC)
    message = f"This API key expired on {since:%Y-%m-%d at %H:%M:%S} UTC. Whoever made it can make another one."
    return Reject(401, "expired_key", message, headers=(("www-authenticate", "Bearer"),))


def _suspended(level: Level) -> Reject:
    what = level.kind.replace("_", " ")
    return Reject(403, "access_suspended", f"The {what} that this caller belongs to is suspended. Its administrators can say why.")


class KeyTable:
    """All keys of a snapshot. Looking one up costs the same for ten keys and for a million."""

    __slots__ = ("_own", "_required", "_stored")

    def __init__(self, stored: StoredKeys, own: Iterable[StoredKey] = (), *, required: bool | None = None) -> None:
        """`own`: keys that stand in the configuration itself. `required`: see there; None: as soon as there are any keys."""
        self._stored = stored
        granting = Granting()
        self._own = {key.digest: granting.identity(key) for key in own}
        self._required = True if required is None and self._own else required

    @property
    def required(self) -> bool:
        """True: a request without a key is refused. False only for a gateway that has none and that strangers cannot reach."""
        return self._stored.exist if self._required is None else self._required

    def find(self, key: str) -> Identity | None:
        """Whose key it is, or None. Raises `Reject` as `StoredKeys.find` does."""
        hashed = digest(key)
        own = self._own.get(hashed)
        return own if own is not None else self._stored.find(hashed)
