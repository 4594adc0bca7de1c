"""The admin API: REST under `/api/v1` over the store of identities, in a process of its own. Its modules need FastAPI and SQLAlchemy."""

API = "/api/v1"
"""Begins all of its paths."""
ROOTS = (
    "audit", "healthz", "invoices", "keys", "me", "members", "openapi.json", "organizations", "plans", "projects", "service-accounts",
    "teams", "usage", "users",
)  # fmt: skip
"""What comes then: the rest of `/api/v1` is the data path's, which has `chat/completions` and `models` there."""
