"""values.schema.json: what it lets through, and what it refuses."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from helm_python import HelmValuesError
from msgspec.structs import fields

from extproc.injector.settings import ClientKey, Resources, Settings
from tests.k8s.chart.rendering import CHART, chart, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

# Whose keys are Kubernetes' or the gateway's.
_FREE = {"config", "settings", "commonLabels", "commonAnnotations"}


def paths(values: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Of all settings that the chart has defaults for."""
    for key, value in values.items():
        yield (*at, key)
        if isinstance(value, dict) and key not in _FREE:
            yield from paths(value, (*at, key))


def described(schema: dict[str, Any], at: tuple[str, ...]) -> Any:
    """What the schema says of a setting."""
    for key in at:
        while "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        if "properties" not in schema:
            return schema
        schema = schema["properties"][key]
    return schema


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_all_settings_are_described() -> None:
    for at in paths(VALUES):
        assert described(SCHEMA, at), at


def test_all_that_is_described_has_a_default() -> None:
    def missing(schema: dict[str, Any], given: Any, at: str) -> Iterator[str]:
        while "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        for key, inner in schema.get("properties", {}).items():
            if not isinstance(given, dict) or key not in given:
                yield f"{at}.{key}"
            else:
                yield from missing(inner, given[key], f"{at}.{key}")

    found = list(missing(SCHEMA, VALUES, "$"))
    # What each use's own pods have otherwise is nothing unless given; neither is what Kubernetes or cert-manager has names for.
    # The injector has defaults of its own.
    rest = [path for path in found if ".pod." not in path and ".issuerRef." not in path and not path.endswith(".claims")]
    rest = [path for path in rest if ".settings." not in path]
    assert rest == ["$.enabled"]


def test_the_injector_is_told_what_it_knows() -> None:
    described_here = described(SCHEMA, ("injector", "settings"))["properties"]
    assert list(described_here) == [one.name for one in fields(Settings)]
    for name, inner in (("client_key", ClientKey), ("resources", Resources)):
        assert list(described_here[name]["properties"]) == [one.name for one in fields(inner)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"replicas": 3}, "replicas"),
        ({"edge": {"replica": 3}}, "replica"),
        ({"edge": {"replicas": "3"}}, "/edge/replicas"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"ports": {"http": 80}}, "/ports/http"),
        ({"injector": {"webhook": {"failurePolicy": "Retry"}}}, "/injector/webhook/failurePolicy"),
        ({"injector": {"webhook": {"timeoutSeconds": 31}}}, "/injector/webhook/timeoutSeconds"),
        ({"extproc": {"tls": {"mode": "none"}}}, "/extproc/tls/mode"),
        ({"existingSecret": {"name": "x"}}, "/existingSecret"),
        ({"edge": {"pod": {"replicas": 1}}}, "replicas"),
        ({"config": "providers: {}"}, "/config"),
        ({"commonLabels": {"build": 7}}, "/commonLabels/build"),
        ({"injector": {"settings": {"mod": "native"}}}, "mod"),
        ({"injector": {"settings": {"mode": "natve"}}}, "/injector/settings/mode"),
        ({"injector": {"settings": {"port": 0}}}, "/injector/settings/port"),
        ({"edge": {"ingress": {"hosts": ["ai.example.com"]}}}, "/edge/ingress/hosts/0"),
    ],
)
def test_what_is_refused_says_where(given: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmValuesError, match=told):
        chart().validate_schema(given)


def test_a_chart_that_has_this_one_as_a_part_may_say_what_it_likes_to_all() -> None:
    assert render({"global": {"anything": {"else": 1}}, "enabled": True})
