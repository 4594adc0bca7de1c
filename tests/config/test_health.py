"""The section `health` of a provider."""

import pytest

from extproc.config.health import Health
from tests.config.settings import Load

TEXT = """
providers:
  a: {{dialect: openai, base_url: "https://a.example/v1", health: {health}{more}}}
models:
  - {{name: m, targets: [a]}}
"""


def test_what_it_says(load_text: Load) -> None:
    loaded = load_text(TEXT.format(health="{path: /v1/models, every: 5, expects: [200, 401]}", more=""))
    assert loaded.problems == []
    assert loaded.config is not None
    assert loaded.config.providers["a"].health == Health(path="/v1/models", every=5, expects=(200, 401))


@pytest.mark.parametrize(
    ("health", "more", "path"),
    [
        ("{}", "", "$.providers.a.health"),
        ("{path: models}", "", "$.providers.a.health.path"),
        ("{path: /x, every: 0}", "", "$.providers.a.health.every"),
        ("{path: /x, expects: []}", "", "$.providers.a.health.expects"),
        ("{path: /x, expects: [20]}", "", "$.providers.a.health.expects[0]"),
        ("{path: /x, failures: 0}", "", "$.providers.a.health.failures"),
        ("{path: /x}", ", aws: {region: eu-west-1}", "$.providers.a.health"),
        ("{path: /x}", ", envoy_key_file: k", "$.providers.a.health"),
    ],
)
def test_what_makes_no_sense(load_text: Load, health: str, more: str, path: str) -> None:
    assert [problem.path for problem in load_text(TEXT.format(health=health, more=more)).problems] == [path]
