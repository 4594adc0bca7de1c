"""Schemas in the words of OpenAPI 3.0, which Gemini's older fields take, as JSON schemas.

https://ai.google.dev/api/caching#Schema
"""

from typing import Any

from extproc.dialects.schemas import DEEPEST

_TYPES = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}

_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
"""int64 in the proto, so JSON has them as strings."""

_SNAKE = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
}
_WITHOUT = ("nullable", "propertyOrdering", "property_ordering", "example")


def json_schema(schema: Any, depth: int = 0) -> Any:
    """A copy in JSON schema's words: types in lower case, `nullable` as a type, numbers as numbers, no order of properties."""
    if type(schema) is not dict or depth > DEEPEST:
        return schema
    copy: dict[str, Any] = {}
    for given, value in schema.items():
        key = _SNAKE.get(given) or given
        if key == "type":
            copy[key] = value.lower() if type(value) is str and value.upper() in _TYPES else value
        elif key == "properties" and type(value) is dict:
            copy[key] = {name: json_schema(child, depth + 1) for name, child in value.items()}
        elif key == "anyOf" and type(value) is list:
            copy[key] = [json_schema(child, depth + 1) for child in value]
        elif key == "items":
            copy[key] = json_schema(value, depth + 1)
        elif key in _COUNTS and type(value) is str and value.isascii() and value.isdigit():
            copy[key] = int(value[:18])
        elif key not in _WITHOUT and not (key == "format" and value == "enum"):
            copy[key] = value
    if schema.get("nullable") is True:
        _or_null(copy)
    return copy


def _or_null(schema: dict[str, Any]) -> None:
    kind: Any = schema.get("type")
    if type(kind) is str and kind != "null":
        schema["type"] = [kind, "null"]
        if type(schema.get("enum")) is list:
            schema["enum"] = [*schema["enum"], None]
    elif type(schema.get("anyOf")) is list:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
