"""What is said of attempts and changes nothing, or not what is meant."""

import pytest

from tests.config.settings import Load, told

TEXT = """
providers:
  a: {{dialect: openai, base_url: "https://a.example/v1", timeouts: {{{times}}}}}
  b: {{dialect: openai, base_url: "https://b.example/v1"}}
retries: {{{retries}}}
models:
  - {{name: m, {model}}}
"""


@pytest.mark.parametrize(
    ("times", "retries", "model", "paths"),
    [
        ("", "", "targets: [a, b]", []),
        ("first_byte: 1, total: 9", "", "targets: [a, b]", []),
        ("idle: 200", "", "targets: [a, {to: b, timeouts: {idle: 100}}]", ["targets[1].timeouts.idle"]),
        ("", "", "targets: [{to: a, timeouts: {first_byte: 2, idle: 3, total: 4}}]", []),
        ("", "", "targets: [{to: a, timeouts: {first_byte: 200}}, b]", []),
        ("first_byte: 1", "", "targets: [a, b], timeouts: {first_byte: 2}", []),
        (
            "",
            "",
            "targets: [b, {to: a, timeouts: {first_byte: 2, idle: 3}}]",
            ["targets[1].timeouts.first_byte", "targets[1].timeouts.idle"],
        ),
        ("total: 9", "", "targets: [a, {to: b, timeouts: {total: 8}}]", []),
        ("", "", "targets: [b, {to: a, timeouts: {total: 9}}]", ["targets[1].timeouts.total"]),
        ("", "", "targets: [a, b], timeouts: {total: 9}", []),
        ("", "pause: 1", "targets: [a]", ["$.retries.pause"]),
        ("", "longest: 9, budget: 1, again: 1", "targets: [a]", []),
        ("", "again: 1, pause: 9, longest: 1", "targets: [a]", ["$.retries.pause"]),
        ("", "", "targets: [a], retries: {longest: 9, budget: 0.1}", ["retries.longest", "retries.budget"]),
        ("", "", "targets: [a], retries: {fallback_budget: 0.1}", ["retries.fallback_budget"]),
        ("", "", "targets: [a, b], retries: {fallback_budget: 0.1}", []),
        ("", "", "targets: [a/x], on_context_length: [b/x, a/x]", ["on_context_length[1]"]),
        ("", "", "targets: [a/x, b/x], on_content_policy: [a/x]", ["on_content_policy[0]"]),
        ("", "", "targets: [a/x, b/x], on_content_policy: [b/x]", []),
        ("", "", "targets: [{to: a/x, tier: 2}, b/x], on_content_policy: [a/x]", []),
        ("", "", "targets: [a/x, b/x], strategy: round_robin, on_content_policy: [a/x]", []),
    ],
)
def test_what_is_told(load_text: Load, times: str, retries: str, model: str, paths: list[str]) -> None:
    loaded = load_text(TEXT.format(times=times, retries=retries, model=model))
    assert told(loaded) == []
    assert sorted(path for path, _, _ in told(loaded, "warning")) == sorted(
        path if path.startswith("$") else f"$.models[0].{path}" for path in paths
    )
