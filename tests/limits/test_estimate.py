"""What is reserved for a request: never less than it can use, where it is text alone and its answer is capped."""

import base64
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.limits.enduser import end_user
from extproc.limits.estimate import MEDIUM, Asked, amounts, asked, dollars
from extproc.limits.rule import MOST
from extproc.price import Price, Step

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PICTURE = base64.b64encode(bytes(60_000)).decode()
PDF = base64.b64encode(b"%PDF-1.7" + bytes(60_000)).decode()


def found(body: Any, most: int = 0) -> Asked:
    return asked(msgspec.json.encode(body), most=most, unknown=4096)


def chat(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


@settings(max_examples=40)
@given(st.lists(texts, min_size=1, max_size=4), st.integers(1, 500))
def test_text_has_no_more_tokens_than_bytes(said: list[str], cap: int) -> None:
    body = {"messages": [{"role": "user", "content": text} for text in said], "max_tokens": cap}
    reserved = found(body)
    # As many as there are bytes, and four around each message: https://github.com/openai/openai-cookbook, how to count tokens.
    assert reserved.input >= sum(len(text.encode()) + 4 for text in said) + 3
    assert reserved.output == cap and reserved.bounded


def test_text_that_looks_like_data_counts_as_text() -> None:
    assert found(chat("A" * 9000, max_tokens=1)).input > 9000
    assert found(chat([{"type": "text", "text": PICTURE}], max_tokens=1)).bounded


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        ({"max_output_tokens": 100}, 100),
        ({"max_tokens_to_sample": 100}, 100),
        ({"generationConfig": {"maxOutputTokens": 100}}, 100),
        ({"generationConfig": {"maxOutputTokens": 100, "candidateCount": 3}}, 300),
        ({"inferenceConfig": {"maxTokens": 100}}, 100),
        ({"options": {"num_predict": 100}}, 100),
        ({"max_tokens": 100, "n": 4}, 400),
        ({"max_tokens": 100, "best_of": 5, "n": 2}, 500),
        ({"max_tokens": 5, "max_completion_tokens": 100}, 100),
        ({"max_tokens": 9_999_999}, 8000),
        ({}, 8000),
        ({"options": {"num_predict": -1}}, 8000),
        ({"max_tokens": "no number", "options": [], "n": None}, 8000),
        ({"max_tokens": "100"}, 100),
        ({"max_tokens": 1e2, "n": 2.0}, 200),
        ({"max_tokens": 100, "prompt": ["one", "two", [3, 4]]}, 300),
        ({"max_tokens": 100, "prompt": [1, 2, 3]}, 100),
        ({"max_tokens": 100, "prompt": []}, 100),
        ({"reasoning": {"max_tokens": 5}, "tools": [{"max_tokens": 5}]}, 8000),
    ],
)
def test_the_cap_of_each_dialect(more: dict[str, Any], output: int) -> None:
    assert found(chat("hello", **more), most=8000).output == output


@pytest.mark.parametrize("cap", ["1" + "0" * 30, "1e308", '"' + "9" * 19 + '"'])
def test_what_is_reserved_can_be_counted_whatever_is_asked_for(cap: str) -> None:
    reserved = asked(f'{{"max_tokens": {cap}, "n": {cap}}}'.encode(), most=0, unknown=10)
    found = amounts(reserved, dollars(reserved, PRICES, 1), 1)
    assert all(amount < MOST for amount in found.values()) and found["output_tokens"] > 2**40 < found["cost"]


@pytest.mark.parametrize("field", ["max_tokens", "prompt", "metadata"])
def test_depths_are_no_answer(field: str) -> None:
    body = b'{"user_id": 1, "%s": %s%s}' % (field.encode(), b"[" * 100_000, b"]" * 100_000)
    assert asked(body, most=0, unknown=10).output == 10
    assert end_user(body) == ""


def test_tools() -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {}}}
    own = found(chat("hello", max_tokens=1, tools=[function]))
    assert own.input > 1000 and own.bounded
    assert not found(chat("hello", max_tokens=1, tools=[function, {"type": "web_search_20250305", "name": "web_search"}])).bounded
    assert not found(chat("hello", max_tokens=1, tools=[{"googleSearch": {}}])).bounded


def test_an_answer_that_nobody_caps() -> None:
    reserved = found(chat("hello", n=2))
    assert reserved.output == 2 * 4096 and not reserved.bounded
    assert asked(b'{"input": "text"}', most=8000, unknown=1, generates=False) == Asked(17, 0, bounded=True)
    assert asked(b"no JSON, \xff", most=8000, unknown=1).output == 8000


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
        {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
        {"image": {"format": "png", "source": {"bytes": PICTURE}}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
    ],
)
def test_pictures_are_not_counted_by_the_byte(block: dict[str, Any]) -> None:
    reserved = found(chat([{"type": "text", "text": "what is it?"}, block], max_tokens=10))
    assert MEDIUM < reserved.input < 2 * MEDIUM and not reserved.bounded


@pytest.mark.parametrize(
    ("block", "least"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, MEDIUM),
        ({"fileData": {"fileUri": "gs://bucket/film"}}, MEDIUM),
        ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}}, 80_000),
        ({"type": "document", "source": {"type": "base64", "data": PDF}}, 80_000),
        ({"type": "image", "source": {"data": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"}}, MEDIUM),
    ],
)
def test_what_is_no_text_or_lies_elsewhere(block: dict[str, Any], least: int) -> None:
    reserved = found(chat([block], max_tokens=10))
    assert reserved.input >= least
    assert not reserved.bounded


PRICES = [Price((Step(0, Decimal("0.000003"), Decimal("0.000015")),)), Price((Step(0, Decimal("0.000001"), Decimal("0.00003")),)), None]


def test_money_of_the_dearest_target_and_all_attempts() -> None:
    request = Asked(1000, 100, bounded=True)
    assert dollars(request, PRICES, 2) == Decimal("0.009")
    assert dollars(Asked(10, 100, bounded=True), PRICES, 1) == Decimal("0.00301")
    assert dollars(request, [None], 2) is None
    assert dollars(Asked(1000, 100, bounded=True, dearer=2), PRICES, 1) == Decimal("0.0075")
    assert found(chat([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}])).dearer == 2


def test_what_is_reserved_of_each_unit() -> None:
    assert amounts(Asked(10, 5, bounded=True), Decimal("0.0000000015"), 2) == {
        "requests": 1, "concurrency": 1, "input_tokens": 20, "output_tokens": 10, "tokens": 30, "cost": 2,
    }  # fmt: skip
    assert amounts(Asked(10, 5, bounded=True), None, 1)["cost"] == 0
