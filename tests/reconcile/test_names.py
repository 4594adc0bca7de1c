"""Names of one model."""

import pytest

from extproc.reconcile.names import family, matched


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4o-latest", "gpt-4o"),
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001"),
        ("Claude Sonnet 3.7", "claude-3-7-sonnet-20250219"),
        ("Claude4.6Sonnet", "us.anthropic.claude-sonnet-4-6"),
        ("Claude4Opus", "anthropic.claude-opus-4-20250514-v1:0"),
        ("Nova2.0Lite", "amazon.nova-2-lite-v1:0"),
        ("gpt-oss-120b", "openai.gpt-oss-120b-1:0"),
        ("claude-sonnet-4@20250514", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0"),
        ("anthropic/claude-opus-4.1", "claude-opus-4-1-20250805"),
    ],
)
def test_one_model(one: str, other: str) -> None:
    assert family(one) == family(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4.1", "gpt-4"),
        ("o4-mini", "gpt-4o-mini"),
        ("claude-sonnet-4-5", "claude-sonnet-4"),
        ("Nova2Lite", "Nova2Pro"),
    ],
)
def test_two_models(one: str, other: str) -> None:
    assert family(one) != family(other)


def test_versions_stay_apart_where_both_sides_tell_them() -> None:
    both = ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20"]
    assert matched(both, both, {}) == {name: name for name in both}
    assert set(matched([*both], [*both, "gpt-4o"], {}).values()) == {"gpt-4o"}
    assert matched(["gpt-4o-2024-08-06"], ["o1"], {}) == {"gpt-4o-2024-08-06": "gpt-4o-2024-08-06", "o1": "o1"}


def test_what_the_operator_says() -> None:
    assert matched(["ft:custom"], ["our-model"], {"ft:custom": "our-model"}) == {"ft:custom": "our-model", "our-model": "our-model"}
