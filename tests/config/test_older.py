"""What is told of a configuration for an Envoy before 1.40."""

import pytest

from tests.config.settings import Load

TEXT = """
envoy_version: "{version}"
providers:
  a: {{dialect: openai, base_url: "https://a.example/v1"}}
  b: {{dialect: openai, base_url: "https://b.example/v1"}}
  c: {{dialect: openai, base_url: "https://c.example/v1"}}
  d: {{dialect: openai, base_url: "demo:"}}
models:
  - {{name: m, {model}}}
{more}
"""


@pytest.mark.parametrize(
    ("model", "more", "told"),
    [
        ("targets: [a, b, c]", "", ["$.models[0].targets"]),
        ("targets: [a, b, c]", "breaker: off", []),
        ("targets: [a, b, {to: c, concurrency: 3}]", "breaker: off", ["$.models[0].targets"]),
        ("targets: [a, b], strategy: round_robin", "", []),
        ("targets: [a, b, c], strategy: round_robin", "breaker: off", ["$.models[0].strategy"]),
        ("targets: [a, d]", "", ["$.models[0].targets"]),
        ("targets: [{to: a, when: {headers: {x-region: eu}}}, b]", "", ["$.models[0].targets"]),
        ("targets: [{to: a, tier: 2}, b, c], strategy: sticky", "breaker: off", ["$.models[0].strategy"]),
        ("targets: [{to: a, lacks: [images]}, b]", "", ["$.models[0].targets"]),
        ("targets: [a, b], on_context_length: [c/long]", "", ["$.models[0]"]),
        ("targets: [a, b]", "retries: {again: 1}", ["$.retries", "$.models[0]"]),
        ("targets: [a, b]", "retries: {on: [429]}", ["$.retries"]),
        ("targets: [a, b], retries: {fallback_budget: 0.1}", "", ["$.models[0].retries"]),
    ],
)
def test_what_is_told_of_it(load_text: Load, model: str, more: str, told: list[str]) -> None:
    loaded = load_text(TEXT.format(version="1.38", model=model, more=more))
    assert loaded.config is not None
    assert sorted(problem.path for problem in loaded.problems) == sorted(told)
    assert all("on Envoy 1.38" in problem.message for problem in loaded.problems)
    assert not load_text(TEXT.format(version="1.40", model=model.replace("sticky", "weighted"), more=more)).problems


def test_what_is_told_of_keys(load_text: Load) -> None:
    text = TEXT.replace('"https://a.example/v1"', '"https://a.example/v1", keys: [one, two]')
    for model, told in (("targets: [a]", True), ("targets: [b]", False)):
        problems = load_text(text.format(version="1.38", model=model, more="")).problems
        assert ("$.models[0].targets[0]" in [problem.path for problem in problems]) is told


@pytest.mark.parametrize("version", ["1.35", "2.0", "1.4", "1.40.1", "new"])
def test_versions_that_are_none(load_text: Load, version: str) -> None:
    loaded = load_text(TEXT.format(version=version, model="targets: [a]", more=""))
    assert [problem.path for problem in loaded.problems] == ["$.envoy_version"]


def test_why_a_target_is_left_out_is_told(load_text: Load) -> None:
    text = TEXT.format(version="1.38", model="targets: [a, b, c]", more="").replace(
        "a.example/v1", 'a.example/v1", health: {path: /v1}, x: "'
    )
    text = text.replace(', x: ""', "").replace('b.example/v1"', 'b.example/v1", concurrency: 5')
    (problem,) = load_text(text).problems
    assert "(`breaker`, `health`, `concurrency`)" in problem.message
