"""The chart's README says what values.yaml says, and what docs/kubernetes.md says of values is right."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.k8s.chart.readme import renewed, settings
from tests.k8s.chart.rendering import CHART, merged, render, values

README = CHART / "README.md"
PAGE = CHART.parents[1] / "docs" / "kubernetes.md"
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


def test_values_in_the_documentation_are_good() -> None:
    blocks = re.findall(r"^```yaml values\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        given = yaml.safe_load(block)
        beside = {} if "config" in given else {"config": values("edge-production")["config"]}
        assert render(merged(beside, given))


def test_values_that_the_documentation_names_are_there() -> None:
    known = {".".join(path) for path, _ in settings(TEXT)}
    known |= {path.rpartition(".")[0] for path in known}
    for name in re.findall(r"`((?:edge|extproc|injector|networkPolicy|monitoring|drain|pod)\.[a-zA-Z0-9.]+)`", PAGE.read_text()):
        assert name in known, name
