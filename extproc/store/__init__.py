"""Identities in a database. Its modules need SQLAlchemy, which is slow to import: this one does not."""

FILE = "store.sqlite"
"""SQLite's, in the state folder."""
DEFAULT = "default"
"""Name of the organization of keys that name none."""
