"""The chart's README says what values.yaml says."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.k8s.chart.readme import renewed, settings
from tests.k8s.chart.rendering import CHART

README = CHART / "README.md"
TEXT = (CHART / "values.yaml").read_text()


def leaves(values: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key)


def test_the_table_is_up_to_date(pytestconfig: pytest.Config) -> None:
    found = README.read_text()
    wanted = renewed(found, TEXT)
    if pytestconfig.getoption("--update"):
        README.write_text(wanted)
    else:
        assert found == wanted


def test_all_settings_are_explained() -> None:
    said = [path for path, _ in settings(TEXT)]
    assert len(set(said)) == len(said)
    for leaf in leaves(yaml.safe_load(TEXT)):
        assert any(leaf[: len(path)] == path for path in said), leaf
