"""What `headgate check` says of bounds, of queues, and of the filter that bounds tenants."""

import re
import textwrap
from pathlib import Path

import pytest

from extproc.config.load import load
from extproc.config.lookup import FILTERS

TEXT = """
providers:
  a: {dialect: openai, base_url: "https://a.test/v1", auth: none}
  b: {dialect: openai, base_url: "https://b.test/v1", auth: none, concurrency: 5}
  c: {dialect: openai, base_url: "https://c.test/v1", key: "env:C", optional: true, concurrency: 5}
models: MODELS
filters:
  - auth:
  - load: LOAD
  - route:
  - cache: {wait: WAIT}
"""


def warnings(folder: Path, models: str, settings: str = "{concurrency: 1}", wait: str = "10") -> list[tuple[str, str]]:
    path = folder / "gateway.yaml"
    path.write_text(textwrap.dedent(TEXT).replace("MODELS", models).replace("LOAD", settings).replace("WAIT", wait))
    loaded = load(path, {}, has_stored_keys=lambda _: False, find=FILTERS.find)
    assert loaded.config is not None, loaded.problems
    return [(problem.path, problem.message) for problem in loaded.problems]


@pytest.mark.parametrize(
    "models",
    [
        "[{name: m, targets: [a]}]",
        "[{name: m, targets: [{to: a/x, concurrency: 2}], queue: {}}]",
        "[{name: m, targets: [a, b], queue: {wait: 15}}]",
        "[{name: m, targets: [a, c], queue: {wait: 15}}]",
        "[{name: m, targets: [{to: a/x, concurrency: 2}]}, {name: n, targets: [{to: a/x, concurrency: {most: 2}}, a/y]}]",
    ],
)
def test_what_makes_sense(tmp_path: Path, models: str) -> None:
    assert warnings(tmp_path, models) == []


@pytest.mark.parametrize(
    ("models", "settings", "wait", "path", "part"),
    [
        ("[{name: m, targets: [a], queue: {}}]", "{concurrency: 1}", "10", "$.models[0].queue", "nobody ever waits here"),
        (
            "[{name: m, targets: [{to: a/x, concurrency: 2}]}, {name: n, targets: [{to: a/x, concurrency: 3}]}]",
            "{concurrency: 1}", "10", "$.models[1].targets[0].concurrency", "$.models[0].targets[0] says another bound",
        ),
        ("[{name: m, targets: [b], queue: {wait: 9}}]", "{concurrency: 1}", "20", "$.models[0].queue.wait", "longer than Envoy waits"),
        ("[{name: m, targets: [a]}]", "{}", "10", "$.filters[1].load", "this filter does nothing"),
        ("[{name: m, targets: [a]}]", "{queue: {}}", "10", "$.filters[1].load", "`queue` has nobody to wait"),
    ],
)  # fmt: skip
def test_what_does_not(tmp_path: Path, models: str, settings: str, wait: str, path: str, part: str) -> None:
    ((where, message),) = warnings(tmp_path, models, settings, wait)
    assert where == path and part in message


def test_what_the_page_shows(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "load.md").read_text()
    bounds, shedding = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "gateway.yaml"
    path.write_text(bounds + shedding)
    loaded = load(path, {"GROQ_API_KEY": "gsk-1"}, has_stored_keys=lambda _: False, find=FILTERS.find)
    assert loaded.problems == [] and loaded.config is not None
    assert loaded.config.shedding.memory == 2_000_000_000


def test_the_filter_comes_after_auth(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    text = TEXT.replace("MODELS", "[{name: m, targets: [a]}]").replace("LOAD", "{concurrency: 1}").replace("WAIT", "1")
    path.write_text(text.replace("  - auth:\n  - load: {concurrency: 1}\n", "  - load: {concurrency: 1}\n  - auth:\n"))
    (problem,) = load(path, {}, has_stored_keys=lambda _: False, find=FILTERS.find).problems
    assert '"load" has to come after "auth"' in problem.message
