"""JSON schemas as providers take them: what each one refuses, and how to say it so that it does not."""

from typing import Any

import msgspec

DEEPEST = 64
"""Levels that are looked at; OpenAI takes 10, and recursion must end somewhere."""

_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions")

# https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations
_REFUSED = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
)


def closed(schema: Any, depth: int = 0) -> bool:
    """True if every object in `schema` forbids other properties and requires all its own, as OpenAI's strict mode wants."""
    if type(schema) is not dict:
        return True
    if depth > DEEPEST:
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        if schema.get("additionalProperties") is not False or type(properties) is not dict or type(required) is not list:
            return False
        if any(name not in required for name in properties):
            return False
    return all(closed(child, depth + 1) for child in _children(schema))


def _children(schema: dict[str, Any]) -> list[Any]:
    children = [schema.get("items")]
    for key in _LISTS:
        value = schema.get(key)
        children += value if type(value) is list else []
    for key in _MAPS:
        value = schema.get(key)
        children += value.values() if type(value) is dict else []
    return children


def tightened(schema: Any, depth: int = 0) -> Any:
    """A copy in which objects take no other properties, and limits that constrained decoding refuses are words in `description`."""
    if type(schema) is not dict or depth > DEEPEST:
        return schema
    copy: dict[str, Any] = {}
    limits: list[str] = []
    for key, value in schema.items():
        if key in _REFUSED or (key == "minItems" and value not in (0, 1)):
            limits.append(f"{key}: {value}")
        elif key in _MAPS and type(value) is dict:
            copy[key] = {name: tightened(child, depth + 1) for name, child in value.items()}
        elif key in _LISTS and type(value) is list:
            copy["anyOf" if key == "oneOf" else key] = [tightened(child, depth + 1) for child in value]
        elif key == "items":
            copy[key] = tightened(value, depth + 1)
        else:
            copy[key] = value
    if copy.get("type") == "object" or "properties" in copy:
        copy["additionalProperties"] = False
    if limits:
        words = f"{{{', '.join(limits)}}}"
        before = copy.get("description")
        copy["description"] = f"{before}\n\n{words}" if type(before) is str and before else words
    return copy


def instruction(schema: dict[str, Any] | None) -> str:
    """What to tell a model whose provider promises no such form. None: any JSON object."""
    if schema is None:
        return "Answer with one JSON object and nothing else."
    text = msgspec.json.encode(schema).decode()
    return f"Answer with one JSON object and nothing else. It must match this JSON schema:\n{text}"
