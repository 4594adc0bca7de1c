"""SQLite files that are one module's own: readable for this user alone, made where they are not, all of their tables or none."""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path


def open_file(path: Path, *, pragmas: Iterable[str], schema: Iterable[str], version: int) -> sqlite3.Connection:
    """The file's connection, in autocommit. `schema` brings it to `version`, and its last statement says so. Raises `sqlite3.Error`."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA user_version").fetchone()[0] < version:
            for statement in ("BEGIN IMMEDIATE", *schema, "COMMIT"):
                connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
