"""Tokens that are counted before anything is asked."""

import copy
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Count
from tests.dialects.traffic import ALL, Exchange, name

ANTHROPIC = DIALECTS["anthropic"].operations["count"]
COUNTS = [exchange for exchange in ALL if exchange.url.endswith("/count_tokens")]


@pytest.mark.parametrize("exchange", COUNTS, ids=name)
def test_a_count_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    before = copy.deepcopy(exchange.request)
    question = ANTHROPIC.read_request(exchange.request)
    assert ANTHROPIC.write_request(question, exchange.request["model"]) == before
    assert ANTHROPIC.write_answer(ANTHROPIC.read_answer(exchange.answer)) == exchange.answer


def test_a_conversation_of_another_dialect_is_counted_without_what_only_an_answer_needs() -> None:
    body: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "max_tokens": 5,
        "stream": True,
    }
    written = ANTHROPIC.write_request(DIALECTS["openai"].read_request(body), "claude-sonnet-4-5")
    assert written == {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}


def test_another_s_count() -> None:
    assert ANTHROPIC.write_answer(Count(dialect="other", input=7, cached=2, extra={"x": 1})) == {"input_tokens": 7}


@pytest.mark.parametrize("body", [{}, {"input_tokens": "7"}])
def test_what_is_no_count(body: Any) -> None:
    with pytest.raises(ValueError, match="input_tokens"):
        ANTHROPIC.read_answer(body)
