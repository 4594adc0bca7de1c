"""The store's own versions, see `versions.py`."""

from pathlib import Path

from extproc.store.versions import Found, Unusable, Versions

__all__ = ["VERSION", "Found", "Unusable", "ensure", "found", "migrate"]

VERSION = 2
"""What this program makes, and wants to find."""

_STORE = Versions("store", VERSION, Path(__file__).parent / "migrations", "schema_versions")
found, ensure, migrate = _STORE.found, _STORE.ensure, _STORE.migrate
