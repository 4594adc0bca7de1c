"""When targets that fail are left alone: what may be said of it, for all providers and for one."""

import pytest

from extproc.config.breaker import Breaker, Breakers
from tests.config.settings import Load

BASE = """
breaker: {all}
providers:
  a: {{dialect: openai, base_url: "https://a.example/v1", breaker: {own}}}
  b: {{dialect: openai, base_url: "https://b.example/v1"}}
models:
  - {{name: m, targets: [a, b]}}
"""


def text(all: str = "{}", own: str = "") -> str:
    return BASE.format(all=all, own=own)


@pytest.mark.parametrize(
    ("all", "own", "of_a", "of_b"),
    [
        ("{}", "", Breakers(), Breakers()),
        ("off", "", None, None),
        ("off", "off", None, None),
        ("off", "{failures: 3}", Breaker(failures=3), None),
        ("{open: 5, when_all_open: ask}", "off", None, Breakers(open=5, when_all_open="ask")),
        ("{counts: [timeout, connect]}", "{probes: 2}", Breaker(probes=2), Breakers(counts=("timeout", "connect"))),
    ],
)
def test_for_all_and_for_one(load_text: Load, all: str, own: str, of_a: Breaker | None, of_b: Breaker | None) -> None:
    loaded = load_text(text(all, own))
    assert loaded.problems == []
    assert loaded.config is not None
    assert (loaded.config.breaker_of("a"), loaded.config.breaker_of("b")) == (of_a, of_b)
    assert loaded.config.breaks == (of_a is not None or of_b is not None)
    assert loaded.config.breaker_of("c") == of_b, "whoever is unknown has nothing of his own"


@pytest.mark.parametrize(
    ("all", "own", "path", "part"),
    [
        ("on", "", "$.breaker", 'it is either "off"'),
        ("false", "", "$.breaker", "put it in quotes"),
        ("{failures: 0}", "", "$.breaker.failures", "at least 1"),
        ("{rate: 1.5}", "", "$.breaker.rate", "at most 1"),
        ("{counts: []}", "", "$.breaker.counts", "at least 1"),
        ("{counts: [rain]}", "", "$.breaker.counts[0]", '"rain"'),
        ("{}", "{when_all_open: ask}", "$.providers.a.breaker.when_all_open", "unknown key"),
        ("{}", "{least: 5}", "$.providers.a.breaker.least", "counts with `rate` alone"),
        ("{over: 5}", "", "$.breaker.over", "counts with `rate` alone"),
    ],
)
def test_what_is_wrong(load_text: Load, all: str, own: str, path: str, part: str) -> None:
    (problem,) = load_text(text(all, own)).problems
    assert problem.path == path
    assert part in problem.message
