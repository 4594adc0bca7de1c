from typing import Any

import jsonschema
import msgspec
import pytest

from extproc.config.schema import SHIPPED, config_schema, schema_text
from tests.config.settings import FILTERS


def test_the_shipped_schema_is_what_the_types_say(request: pytest.FixtureRequest) -> None:
    made = schema_text()
    if request.config.getoption("--update"):
        SHIPPED.write_text(made)
    assert SHIPPED.read_text() == made, "the types have changed: run this test with --update"


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = config_schema(FILTERS)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _document(**changes: Any) -> dict[str, Any]:
    provider = {"dialect": "openai", "base_url": "https://h/v1", "key": "env:KEY"}
    return {"providers": {"a": provider}, "models": [{"name": "m", "targets": ["a"]}], **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"workers": 4},
        {"workers": "${WORKERS:-4}"},
        {"listener": None},
        {"listener": {"open": "env:OPEN"}},
        {"filters": [{"auth": None}, {"route": {}}, {"cache": {"ttl": "env:TTL", "store": "redis"}}, {"acme.pii:Redact": {"x": 1}}]},
        {"filters": [{"auth": {"keys": [{"name": "a", "hash": "${HASH}"}]}}]},
        {"redis": {"url": "redis://h"}},
        {"redis": None},
    ],
)
def test_what_the_schema_takes(validator: Any, changes: dict[str, Any]) -> None:
    validator.validate(_document(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"wrokers": 4},
        {"workers": 0},
        {"workers": "4"},
        {"models": []},
        {"providers": {"a": {"dialect": "opnai", "base_url": "x"}}},
        {"providers": {"a": {"dialect": "openai"}}},
        {"filters": [{"cahce": {}}]},
        {"filters": [{"cache": {"tll": 1}}]},
        {"filters": [{"auth": {}, "route": {}}]},
        {"filters": [{"auth": {"keys": [{"name": "a", "hash": "x"}]}}]},
        {"providers": {"a": {"dialect": "openai", "base_url": "x", "headers": {"request": {"set": {"host": "x"}}}}}},
    ],
)
def test_what_the_schema_refuses(validator: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(_document(**changes))


def test_every_key_is_documented() -> None:
    schema = msgspec.json.decode(SHIPPED.read_bytes())
    sections = {"gateway.yaml": schema, **schema["$defs"]}
    bare = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, value in section.get("properties", {}).items()
        if not value.get("description")
    ]
    assert bare == []
