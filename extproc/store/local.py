"""A store for whoever follows it: opened once, without a connection that stays open."""

from functools import lru_cache
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from extproc.store.changes import Following
from extproc.store.database import Database, in_folder, url_of
from extproc.store.schema import Unusable, ensure

FAULTS = (SQLAlchemyError, Unusable)
"""What goes wrong with a database."""


@lru_cache(maxsize=16)
def opened(state: Path, inode: int) -> Following:
    """Follows the store of a folder. `inode`: of its file; one that was put in place of it is opened anew."""
    database = Database(in_folder(state), pooled=False)
    ensure(database)
    return Following(database)


@lru_cache(maxsize=2)
def opened_at(url: str) -> Following:
    """Follows the store at a URL. Raises `ValueError` where it is none."""
    database = Database(url_of(url), pooled=False)
    ensure(database)
    return Following(database)
