"""The application: routes, what goes wrong, and the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from extproc.admin import API, paths, usage
from extproc.admin.credentials import Credentials
from extproc.admin.edge import Edge
from extproc.admin.opened import Opened
from extproc.admin.problems import add_handlers
from extproc.admin.routes import Routes
from extproc.admin.schema import document
from extproc.ledger.books import Ledgers
from extproc.version import VERSION

_ABOUT = """Organizations, projects, teams, users, keys and plans of a Headgate.

What is deleted stays, with `deleted_at`, for audit and reports; `deleted=true` shows it. Changes are JSON merge patches (RFC 7396)."""


def build_app(store: Opened, credentials: Credentials, ledgers: Ledgers) -> FastAPI:
    """The API over a store, and over the ledger's sums."""
    # No pages of documentation: they would load their scripts from elsewhere.
    app = FastAPI(
        title="Headgate administration", version=VERSION, description=_ABOUT, openapi_url=f"{API}/openapi.json", docs_url=None,
        redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.store, app.state.credentials = store, credentials
    add_handlers(app)
    app.add_middleware(Edge)
    found = Routes(app.router)
    paths.add_routes(found)
    usage.add_routes(found, ledgers)
    app.add_api_route(f"{API}/healthz", _healthy, include_in_schema=False)
    generate = app.openapi
    whole: list[Mapping[str, Any]] = []

    def openapi() -> Any:
        if not whole:
            whole.append(document(app, found.types, generate))
        return whole[0]

    app.openapi = openapi  # type: ignore[method-assign]
    return app


async def _healthy() -> dict[str, str]:
    """That the process is there; nothing of the store."""
    return {"status": "ok"}
