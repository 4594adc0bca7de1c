"""What is still to be delivered: `notifications.sqlite` in the state folder, for its owner's eyes alone.

An event is a row for each of its receivers, until it is delivered or given up. What nobody has been told of yet is not told twice: of
several events of one type about the same, the last one stays, behind all others, and says how many they were. A receiver has at most so
many rows; the oldest make room, and it is told how many have.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.notifications.event import Event, dropped
from extproc.notifications.schedule import LONGEST
from extproc.sqlite import open_file
from extproc.standing.cooling import Name

FILE = "notifications.sqlite"
MOST = 10_000
"""Rows of one receiver."""

_VERSION = 1
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
_SCHEMA = (
    """CREATE TABLE waiting (
         number INTEGER PRIMARY KEY AUTOINCREMENT,
         receiver TEXT NOT NULL,
         type TEXT NOT NULL,
         subject TEXT NOT NULL,
         event BLOB NOT NULL,
         times INTEGER NOT NULL,
         attempts INTEGER NOT NULL DEFAULT 0,
         since REAL NOT NULL,
         due REAL NOT NULL,
         UNIQUE (receiver, type, subject)
       ) STRICT""",
    "CREATE INDEX waiting_due ON waiting (receiver, due)",
    "CREATE INDEX waiting_since ON waiting (since)",
    # Those that receivers have been told of as open, and as closed not yet.
    "CREATE TABLE breakers (provider TEXT, model TEXT, key TEXT, PRIMARY KEY (provider, model, key)) STRICT, WITHOUT ROWID",
    # Up to where expiring keys have been told of: milliseconds since 1970, and the last key of that one.
    "CREATE TABLE marks (days INTEGER PRIMARY KEY, expires INTEGER NOT NULL, key TEXT NOT NULL) STRICT",
    f"PRAGMA user_version = {_VERSION}",
)
_INSERT = "INSERT INTO waiting (receiver, type, subject, event, times, since, due) VALUES (?, ?, ?, ?, ?, ?, ?)"
_REPLACE = "DELETE FROM waiting WHERE receiver = ? AND type = ? AND subject = ? RETURNING times, event"
# A clock that was set back does not keep anybody waiting.
_DUE = "SELECT number, event, times, attempts FROM waiting WHERE receiver = ? AND (due <= ? OR due > ?) ORDER BY due, number LIMIT ?"
_OLDEST = """DELETE FROM waiting WHERE number IN
    (SELECT number FROM waiting WHERE receiver = ? AND type <> 'notifications.dropped' ORDER BY number LIMIT ?)"""

_log = logging.getLogger(__name__)


class Waiting(Struct, frozen=True):
    """One event for one receiver."""

    number: int
    event: Event
    times: int
    """So many events of this type about the same have there been since the receiver was last told of one."""
    attempts: int = 0
    """So often it has been tried in vain."""


class Mark(Struct, frozen=True):
    """Up to where keys have been told of that expire within some time, in the order of when they do."""

    expires: int = 0
    key: str = ""


class Outbox:
    """The outbox of one state folder. Blocks, and belongs to one thread. Raises `sqlite3.Error` and `OSError` where the disk refuses.

    Times are seconds since 1970.
    """

    def __init__(self, state: Path, most: int = MOST) -> None:
        self._path = state / FILE
        self._most = most
        self._opened: sqlite3.Connection | None = None

    def _open(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_file(self._path, pragmas=_PRAGMAS, schema=_SCHEMA, version=_VERSION)
        return self._opened

    def close(self) -> None:
        """Lets go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def put(self, events: Sequence[tuple[Event, Sequence[str]]], now: float, mark: tuple[int, Mark] | None = None) -> Counter[str]:
        """Takes events for these receivers: all of them, or none if it raises. How many rows of each receiver were dropped for others.

        `mark`: of so many days, up to where keys have been told of with these events.
        """
        connection = self._open()
        lost: Counter[str] = Counter()
        with connection:  # one transaction, undone by whatever is raised
            connection.execute("BEGIN IMMEDIATE")
            for event, receivers in events:
                self._note(event)
                for receiver in receivers:
                    self._add(receiver, event, now)
            for receiver in {receiver for _, receivers in events for receiver in receivers}:
                lost[receiver] += self._make_room(receiver, now)
            if mark is not None:
                days, upto = mark
                connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", (days, upto.expires, upto.key))
        return +lost

    def _note(self, event: Event) -> None:
        name = tuple(event.data.get(part) or "" for part in Name._fields)
        if event.type == "breaker.opened":
            self._open().execute("INSERT OR IGNORE INTO breakers VALUES (?, ?, ?)", name)
        elif event.type == "breaker.closed":
            self._open().execute("DELETE FROM breakers WHERE provider = ? AND model = ? AND key = ?", name)

    def _add(self, receiver: str, event: Event, now: float) -> None:
        times = 1
        for before, told in self._open().execute(_REPLACE, (receiver, event.type, event.subject)).fetchall():
            times += before
            if event.type == "notifications.dropped":
                count = event.data["dropped"] + msgspec.json.decode(told, type=Event).data["dropped"]
                event = msgspec.structs.replace(event, data={**event.data, "dropped": count})
        self._open().execute(_INSERT, (receiver, event.type, event.subject, msgspec.json.encode(event), times, now, now))

    def _make_room(self, receiver: str, now: float) -> int:
        (count,) = self._open().execute("SELECT count(*) FROM waiting WHERE receiver = ?", (receiver,)).fetchone()
        if count <= self._most:
            return 0
        # One more, for the row that says so.
        gone = self._open().execute(_OLDEST, (receiver, count - self._most + 1)).rowcount
        self._add(receiver, dropped(receiver, gone), now)
        return gone

    def due(self, receiver: str, now: float, most: int) -> list[Waiting]:
        """What is to be delivered now, at most so many."""
        found, unread = [], []
        for number, event, times, attempts in self._open().execute(_DUE, (receiver, now, now + LONGEST, most)).fetchall():
            try:
                found.append(Waiting(number, msgspec.json.decode(event, type=Event), times, attempts))
            except msgspec.MsgspecError as error:
                # A later version wrote it, before somebody went back to this one.
                _log.error("a notification for %s is dropped, because this version cannot read it: %s", receiver, error)
                unread.append(number)
        if unread:
            self.done(unread)
        return found

    def next_due(self, receiver: str) -> float | None:
        """When there is something to be delivered; None: there is nothing."""
        found: float | None = self._open().execute("SELECT min(due) FROM waiting WHERE receiver = ?", (receiver,)).fetchone()[0]
        return found

    def done(self, numbers: Iterable[int]) -> None:
        """These are delivered, or given up."""
        self._open().executemany("DELETE FROM waiting WHERE number = ?", [(number,) for number in numbers])

    def again(self, numbers: Iterable[int], due: float) -> None:
        """These were tried in vain, and are to be tried again then."""
        rows = [(due, number) for number in numbers]
        self._open().executemany("UPDATE waiting SET attempts = attempts + 1, due = ? WHERE number = ?", rows)

    def give_up(self, before: float) -> Counter[str]:
        """Lets go of what has waited since before then. How many rows of each receiver."""
        return Counter(
            receiver for (receiver,) in self._open().execute("DELETE FROM waiting WHERE since < ? RETURNING receiver", (before,))
        )

    def keep(self, receivers: Iterable[str]) -> Counter[str]:
        """Lets go of what is for others than these. How many rows of each."""
        query = "DELETE FROM waiting WHERE receiver NOT IN (SELECT value FROM json_each(?)) RETURNING receiver"
        names = msgspec.json.encode(list(receivers)).decode()
        return Counter(receiver for (receiver,) in self._open().execute(query, (names,)))

    def waiting(self) -> Counter[str]:
        """How many rows each receiver has."""
        return Counter(dict(self._open().execute("SELECT receiver, count(*) FROM waiting GROUP BY receiver").fetchall()))

    def breakers(self) -> set[Name]:
        """Those of which the last that was told is that they are open."""
        return {Name(*row) for row in self._open().execute("SELECT provider, model, key FROM breakers")}

    def mark(self, days: int) -> Mark:
        """Up to where keys have been told of that expire within so many days."""
        row = self._open().execute("SELECT expires, key FROM marks WHERE days = ?", (days,)).fetchone()
        return Mark(*row) if row else Mark()
