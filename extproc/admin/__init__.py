"""The admin API: REST under `/api/v1` over the store of identities, in a process of its own. Its modules need FastAPI and SQLAlchemy."""

API = "/api/v1"
"""Begins all of its paths."""
