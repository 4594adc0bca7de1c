"""Endpoints at their paths, with what the OpenAPI document says of them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastapi import APIRouter, Response

from extproc.admin import API
from extproc.admin.pages import Page
from extproc.admin.resource import PLURALS, Resource
from extproc.admin.schema import content, failures, header, parameters

SEEN = header("If-None-Match", "The ETag of what the client has: 304 if that is still so.")
EXPECTED = header("If-Match", "The ETag of what the client has seen: 412 if it has been changed since.")
ONCE = header("Idempotency-Key", "Of one's own: the same request with the same key is done once, and answered the same, for a day.")

CSV = "text/csv"


class OrTable(NamedTuple):
    """What is given as JSON, and as a table to who asks for that."""

    type: Any


class Routes:
    """Adds endpoints below `/api/v1` to a router, with what the OpenAPI document says of them."""

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self.types: list[Any] = []
        """Of all bodies."""

    def add(
        self, method: str, path: str, endpoint: Callable[..., Any], *, name: str, summary: str, tag: str, takes: Any = None,
        gives: Any = None, status: int = 200, headers: Sequence[dict[str, Any]] = (), optional: bool = False,
    ) -> None:  # fmt: skip
        """`takes`, `gives`: types of the bodies; `optional`: it takes none as well."""
        table, gives = isinstance(gives, OrTable), gives.type if isinstance(gives, OrTable) else gives
        self.types += [one for one in (takes, gives) if one is not None]
        extra: dict[str, Any] = {"parameters": [*parameters(path), *headers]}
        if takes is not None:
            extra["requestBody"] = {"required": not optional, **content(takes)}
        told = [401, 403, 404, 422, 503]
        told += [400, 409, 413, 415] if takes is not None else [409] if method == "DELETE" else []
        told += [412] if EXPECTED in headers else []
        success = {"description": "Done.", **(content(gives) if gives is not None else {})}
        if table:
            success["content"][CSV] = {"schema": {"type": "string"}}
        seen: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already."}} if SEEN in headers else {}
        self._router.add_api_route(
            API + path, endpoint, methods=[method], operation_id=name, summary=summary, tags=[tag], status_code=status, response_model=None,
            response_class=Response, openapi_extra=extra, responses={status: success, **seen, **failures(*sorted(told))},
        )  # fmt: skip

    def collection(self, resource: Resource[Any], path: str, name: str, *, create: bool = True) -> None:
        """The list of things at a path, and where they are made. `name`: what makes the operations' names differ."""
        plural = PLURALS[resource.kind].replace("-", "_")
        self.add(
            "GET", path, resource.list, name=f"list_{name}{plural}", summary=f"List {plural.replace('_', ' ')}", tag=plural,
            gives=_page(resource.view),
        )  # fmt: skip
        if create:
            self.add(
                "POST", path, resource.create, name=f"create_{name}{resource.kind}", summary=f"Make a {resource.title}", tag=plural,
                takes=resource.new, gives=resource.made_view, status=201, headers=[ONCE],
            )  # fmt: skip

    def item(self, resource: Resource[Any], path: str, name: str) -> None:
        """One thing at a path."""
        tag, title = PLURALS[resource.kind].replace("-", "_"), resource.title
        called = f"{name}{resource.kind}"
        self.add("GET", path, resource.get, name=f"get_{called}", summary=f"Show a {title}", tag=tag, gives=resource.view, headers=[SEEN])
        self.add(
            "PATCH", path, resource.change, name=f"change_{called}", summary=f"Change a {title}: JSON merge patch (RFC 7396)", tag=tag,
            takes=resource.patch, gives=resource.view, headers=[EXPECTED, ONCE],
        )  # fmt: skip
        self.add(
            "DELETE", path, resource.delete, name=f"delete_{called}", summary=f"Delete a {title}", tag=tag, status=204,
            headers=[EXPECTED, ONCE],
        )  # fmt: skip


def _page(view: Any) -> Any:
    return Page[view]
