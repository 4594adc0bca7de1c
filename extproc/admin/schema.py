"""The OpenAPI document: FastAPI's own for paths and parameters, msgspec's for what is in bodies, which reads and writes these."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI

from extproc.admin.problems import Failure

_REFERENCE = "#/components/schemas/{name}"
_DECIMAL = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,12})?$"}
"""As money and amounts are written."""
_NAMED = re.compile(r"\{([a-z_]+)\}")
SECURITY = {"key": {"type": "http", "scheme": "bearer", "description": "An admin key, a user's virtual key, or a token of an issuer's."}}


def reference(type: Any) -> dict[str, Any]:
    """What stands for a type in the document; `schemas` says what it is."""
    (found,), _ = msgspec.json.schema_components([type], ref_template=_REFERENCE)
    return found


def schemas(types: Iterable[Any]) -> dict[str, Any]:
    """What the types are, by name."""
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    return {name: _exact(one) for name, one in components.items()}


def _exact(schema: Any) -> Any:
    """A decimal is taken as a number and as a string; the document names the one that loses nothing."""
    if isinstance(schema, list):
        return [_exact(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return _DECIMAL
    return {name: _exact(value) for name, value in schema.items()}


def content(type: Any, media: str = "application/json") -> dict[str, Any]:
    """A body of a type."""
    return {"content": {media: {"schema": reference(type)}}}


def parameters(path: str) -> list[dict[str, Any]]:
    """Of what a path names."""
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 80}}
        for name in _NAMED.findall(path)
    ]  # fmt: skip


def header(name: str, description: str) -> dict[str, Any]:
    """A header that may be sent."""
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": description}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What else may be answered."""
    told = {
        400: "The request cannot be read.", 401: "The caller is not known.", 403: "The caller may not do this.",
        404: "It is not there, or the caller may not see it.", 409: "It contradicts what there is.", 412: "It has been changed meanwhile.",
        413: "The body is too large.", 415: "The body is no JSON.", 422: "A value is not what it has to be.",
        503: "The store does not answer.",
    }  # fmt: skip
    return {status: {"description": told[status], **content(Failure)} for status in statuses}


def document(app: FastAPI, types: Iterable[Any], original: Any) -> Mapping[str, Any]:
    """The whole of it."""
    whole: dict[str, Any] = original()
    components = whole.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **schemas([Failure, *types])}
    components["securitySchemes"] = SECURITY
    whole["security"] = [{"key": []}]
    # FastAPI's own form of errors, which is never answered.
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return whole
