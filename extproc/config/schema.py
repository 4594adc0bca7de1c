"""The JSON schema of `gateway.yaml`, made from the types that read it, so that editors complete and check what `load.py` accepts.

msgspec writes the schema of the types. Added here: the documentation of each key (the docstring below it, which only the source has),
references wherever a single value is wanted, the filters with their settings, the catalogue's providers, and sections left empty.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from extproc.config.catalogue import catalogue
from extproc.config.lookup import FILTERS, STRATEGIES
from extproc.config.model import Config, Model, Provider
from extproc.config.references import PATTERN

SHIPPED = Path(__file__).with_name("gateway.schema.json")
"""Where the schema is, for the `# yaml-language-server: $schema=...` line of a configuration."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"
_REFERENCE = {"$ref": "#/$defs/Reference"}
_THEIRS = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
_ADDRESS = ["dialect", "base_url"]
"""What a provider's section may leave to the catalogue."""
_SCALARS = ("string", "integer", "number", "boolean")


def schema_text() -> str:
    """The shipped file: the schema with our own filters, as JSON."""
    schema = config_schema({name: FILTERS.find(name) for name in FILTERS.names()})
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def config_schema(filters: Mapping[str, type[Struct]]) -> dict[str, Any]:
    """The schema of a configuration whose `filters` may be these."""
    strategies = {name: STRATEGIES.find(name) for name in STRATEGIES.names()}
    classes = list(dict.fromkeys(_structs([Config, *filters.values(), *strategies.values()])))
    refs, definitions = msgspec.json.schema_components(classes, ref_template=_REF)
    names = {cls: ref["$ref"].rpartition("/")[2] for cls, ref in zip(classes, refs, strict=True)}
    for cls, name in names.items():
        definitions[name] = _section(cls, definitions[name])
    _offer_catalogue(definitions[names[Config]]["properties"]["providers"], _REF.format(name=names[Provider]))
    refs_of = {cls: {"$ref": _REF.format(name=name)} for cls, name in names.items()}
    definitions[names[Config]]["properties"]["filters"]["items"] = _one_of({name: refs_of[cls] for name, cls in filters.items()}, "filter")
    _offer_strategies(definitions[names[Model]]["properties"]["strategy"], {name: refs_of[cls] for name, cls in strategies.items()})
    definitions["Reference"] = {
        "description": "`env:NAME`, `file:PATH`, or text with `${NAME}` or `${NAME:-default}` in it.",
        "type": "string",
        "pattern": PATTERN,
    }
    root = definitions.pop(names[Config])
    return {
        "$schema": _DIALECT,
        "title": "gateway.yaml",
        **{key: value for key, value in root.items() if key != "title"},
        "$defs": definitions,
    }


def _one_of(settings: dict[str, Any], what: str) -> dict[str, Any]:
    """A section with one key, that is a name, and says what its settings may be."""
    return {
        "type": "object",
        "properties": settings,
        "patternProperties": {_THEIRS: {"description": f"The settings of somebody else's {what}."}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _offer_strategies(strategy: dict[str, Any], settings: dict[str, Any]) -> None:
    """A name, or a name with its settings."""
    names = [{"enum": [*settings]}, {"type": "string", "pattern": _THEIRS}, _REFERENCE]
    strategy["anyOf"] = [*names, _one_of(settings, "strategy")]


def _offer_catalogue(providers: dict[str, Any], ref: str) -> None:
    """A provider of the catalogue's needs no more than its name; any other says what it is, or names the entry that does."""
    names = {name: {"description": f"{known.title}: {known.docs}", "$ref": ref} for name, known in catalogue().items()}
    providers["properties"] = names
    providers["additionalProperties"] = {"$ref": ref, "anyOf": [{"required": _ADDRESS}, {"required": ["catalogue"]}]}


def _section(cls: type[Struct], definition: dict[str, Any]) -> dict[str, Any]:
    if cls is Provider:
        definition = definition | {"required": [key for key in definition["required"] if key not in _ADDRESS]}
    documented = _documentation(cls)
    properties = {}
    for key, schema in definition.get("properties", {}).items():
        text = documented.get(key)
        properties[key] = ({"description": text} if text else {}) | _referable(schema)
    section = definition | {"properties": properties, "additionalProperties": False}
    if not section.get("required"):
        # `listener:` with nothing below it means its defaults.
        section["type"] = ["object", "null"]
    return section


def _referable(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with references allowed wherever a single value is wanted."""
    inner = {key: value for key, value in schema.items() if key not in ("default", "description")}
    outer = {key: value for key, value in schema.items() if key in ("default", "description")}
    if "anyOf" in inner:
        options = [_referable(option) for option in inner["anyOf"]]
        flat = [choice for option in options for choice in option.get("anyOf", [option])]
        inner = {"anyOf": [choice for at, choice in enumerate(flat) if choice not in flat[:at]]}
    elif "items" in inner:
        inner["items"] = _referable(inner["items"])
    elif isinstance(inner.get("additionalProperties"), dict):
        inner["additionalProperties"] = _referable(inner["additionalProperties"])
    elif "enum" in inner or (inner.get("type") in _SCALARS and inner != {"type": "string"}):
        inner = {"anyOf": [inner, _REFERENCE]}
    return outer | inner


def _structs(types: list[Any]) -> Iterator[type[Struct]]:
    """All struct classes that `types` reach, themselves first."""
    for type_ in types:
        described = msgspec.inspect.type_info(type_)
        yield from _reached(described)


def _reached(described: Any) -> Iterator[type[Struct]]:
    match described:
        case msgspec.inspect.StructType():
            yield described.cls
            for field in described.fields:
                yield from _reached(field.type)
        case msgspec.inspect.DictType():
            yield from _reached(described.value_type)
        case msgspec.inspect.UnionType():
            for kind in described.types:
                yield from _reached(kind)
        case msgspec.inspect.Metadata():
            yield from _reached(described.type)
        case _ if hasattr(described, "item_type"):
            yield from _reached(described.item_type)


@cache
def _documentation(cls: type[Struct]) -> dict[str, str]:
    """The docstring below each field of a class, its bases' included, by key."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, Struct) or base is Struct:
            continue
        try:
            source = textwrap.dedent(inspect.getsource(base))
        except OSError:
            # A type that was made without a file has nothing to read.
            continue
        body = ast.parse(source).body[0]
        for field, text in pairwise(body.body if isinstance(body, ast.ClassDef) else []):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = inspect.cleandoc(words)
    return found
