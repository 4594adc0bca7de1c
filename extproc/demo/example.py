"""A value that a JSON schema allows: what the demo provider calls tools with."""

from typing import Any

_DEPTH = 8
"""How deep an example goes; schemas may refer to themselves."""


def example(schema: Any, name: str = "value") -> Any:
    """The plainest value for the schema. `name` is the property that it is for: strings say so. The same schema, the same value."""
    return _example(schema, name, schema if isinstance(schema, dict) else {}, 0)


def _example(schema: Any, name: str, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return None
    schema = _resolve(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _example(schema[key][0], name, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    match kind:
        case "object":
            properties = schema.get("properties") or {}
            return {key: _example(value, key, root, depth + 1) for key, value in properties.items()}
        case "array":
            return [_example(schema.get("items"), name, root, depth + 1) for _ in range(max(1, min(schema.get("minItems", 1), 9)))]
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return float(schema.get("minimum", 1.5))
        case "boolean":
            return True
        case "null":
            return None
    return f"demo {name}"


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follows a local `$ref` like `#/$defs/Place`; a broken one stands for anything."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and "$ref" not in found else {}
