"""Values that no provider takes, or not this one: they reach it as they are, for it to refuse, or are named; none changes in silence."""

import copy
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.quirks import Quirks
from tests.cases import cases
from tests.dialects.test_matrix import MODELS

USER = {"role": "user", "content": "Hi"}

ODD: dict[str, tuple[Any, ...]] = {
    "max_tokens": (0, -1, 5),
    "temperature": (-1, 0, 1.5, 3),
    "top_p": (-1, 0.5, 1.0001, 5),
    "top_k": (-1, 0, 1, 100_000),
    "presence_penalty": (-3, -0.5, 1.5, 9),
    "frequency_penalty": (-3, -0.5, 1.5, 9),
    "n": (-1, 0, 3),
    "seed": (-5, 0, 2**62),
    "verbosity": ("extreme",),
    "service_tier": ("of tomorrow", "flex", "scale"),
    "stop": ([" "], ["a"] * 9, [""]),
    "top_logprobs": (99, -1),
}
"""By the hub's names, which chat completions share."""

ELSEWHERE: dict[str, tuple[Any, ...]] = {
    "logit_bias": ({"50256": -100},),
    "prediction": ({"type": "content", "content": "Hi"},),
    "prompt_cache_key": ("key",),
    "prompt_cache_retention": ("24h",),
    "safety_identifier": ("user-1",),
    "store": (True,),
    "metadata": ({"team": "blue"}, {"team": 7}),
    "modalities": (["text", "audio"],),
    "audio": ({"voice": "alloy", "format": "wav"},),
    "reasoning_effort": ("extreme",),
    "response_format": ({"type": "of tomorrow"},),
    "min_p": (0.1,),
    "x_new": (1, "a", [1], {"a": 1}),
}
"""Fields of which the hub has something else, or nothing."""

EQUAL = (("top_k", 0),)
"""Values that say no more than their absence does: no limit."""

RESPONSES: dict[str, tuple[Any, ...]] = {
    "max_output_tokens": (0, -1, 5),
    "temperature": ODD["temperature"],
    "top_p": ODD["top_p"],
    "top_logprobs": ODD["top_logprobs"],
    "service_tier": ODD["service_tier"],
    "text": ({"verbosity": "extreme"}, {"format": {"type": "of tomorrow"}}, {"x_new": 1}),
    "reasoning": ({"effort": "extreme"}, {"context": "all"}),
    "prompt_cache_key": ("key",),
    "safety_identifier": ("user-1",),
    "store": (True,),
    "background": (True,),
    "metadata": ({"team": "blue"},),
    "truncation": ("auto",),
    "max_tool_calls": (0, 3),
    "include": (["file_search_call.results"],),
    "x_new": (1, "a", [1], {"a": 1}),
}


def _stands(value: Any, body: Any) -> bool:
    """Whether a value stands anywhere in a request."""
    if type(body) is type(value) and body == value:
        return True
    inside = body.values() if type(body) is dict else body if type(body) is list else ()
    return any(_stands(value, one) for one in inside)


def _check(body: dict[str, Any], client: str, field: str) -> None:
    for provider, model in _others(client):
        conversation = DIALECTS[client].read_request(copy.deepcopy(body))
        written = DIALECTS[provider].write_request(conversation, model)
        value = body[field]
        named = any(name == field or name.startswith(f"{field}.") for name in conversation.dropped)
        inner = next(iter(value.values())) if type(value) is dict else value
        said = named or _stands(value, written) or _stands(inner, written) or (field, value) in EQUAL
        assert said, (provider, model, written, conversation.dropped)


def _others(client: str) -> list[tuple[str, str]]:
    return [(name, model) for name in DIALECTS if name != client for model in MODELS[name]]


def _cases(odd: dict[str, tuple[Any, ...]]) -> list[tuple[str, Any]]:
    return [(field, value) for field, values in odd.items() for value in values]


@cases(("field", "value"), _cases(ODD | ELSEWHERE), ids=str)
def test_of_chat_completions(field: str, value: Any) -> None:
    _check({"model": "m", "messages": [USER], field: value}, "openai", field)


NOTHING: dict[str, tuple[Any, ...]] = {
    "verbosity": ("medium",),
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0.0,),
    "top_p": (1,),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "logit_bias": ({}, None),
    "metadata": ({},),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "stop": ([],),
}
"""What chat completions say that is no more than saying nothing."""

CHANGED = {("cohere", "top_p"): ["top_p"]}
"""Where it is something all the same: Cohere takes 0.99 at most, and 0.75 unless told."""


@pytest.mark.parametrize(("field", "value"), _cases(NOTHING))
def test_what_asks_for_nothing_is_no_loss(field: str, value: Any) -> None:
    for provider, model in _others("openai"):
        conversation = DIALECTS["openai"].read_request({"model": "m", "messages": [USER], field: value})
        DIALECTS[provider].write_request(conversation, model)
        assert conversation.dropped == CHANGED.get((provider, field), []), (provider, model)


def test_who_does_not_reason_need_not_be_told_so() -> None:
    for model in ("gpt-4.1", "gpt-5.1"):
        conversation = DIALECTS["openai"].read_request({"model": "m", "messages": [USER], "reasoning_effort": "none"})
        body = DIALECTS["responses"].write_request(conversation, model)
        assert ("reasoning" in body) is (model == "gpt-5.1")
        assert conversation.dropped == []
    conversation = DIALECTS["openai"].read_request({"model": "m", "messages": [USER], "reasoning_effort": "none"})
    DIALECTS["responses"].write_request(conversation, "gpt-5.1", Quirks(efforts=("low", "high")))
    assert conversation.dropped == ["reasoning_effort"], "it reasons, and cannot be told not to"


@pytest.mark.parametrize("provider", [name for name in DIALECTS if name != "openai"])
def test_of_two_limits_the_later_counts(provider: str) -> None:
    body = {"model": "m", "messages": [USER], "max_completion_tokens": 99, "modalities": ["text"]}
    for other, dropped in ((99, []), (98, ["max_tokens"])):
        conversation = DIALECTS["openai"].read_request({**body, "max_tokens": other})
        written = DIALECTS[provider].write_request(conversation, MODELS[provider][0])
        assert _stands(99, written) and not _stands(98, written)
        assert conversation.dropped == dropped
        again = DIALECTS["openai"].read_request({**body, "max_tokens": other})
        assert DIALECTS["openai"].write_request(again, "m") == {**body, "max_tokens": other}


@cases(("field", "value"), _cases(RESPONSES), ids=str)
def test_of_responses(field: str, value: Any) -> None:
    _check({"model": "m", "input": "Hi", field: value}, "responses", field)
