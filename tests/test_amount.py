"""What is counted where there are no tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.amount import Amount, amount_of, searches_of, spoken


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        (b'{"text":"Hello","usage":{"type":"duration","seconds":9}}', Amount("seconds", 9)),
        (b'{"text":"Hello","duration":"8.47","usage":{"type":"duration","seconds":8.5}}', Amount("seconds", 8.5)),
        (b'{"created":1,"data":[{"b64_json":"aGk="},{"url":"https://x/1","revised_prompt":"A cat"}]}', Amount("images", 2)),
        (b'{"created":1,"data":[{"b64_json":"aGk=","url":null}],"usage":{"input_tokens":1}}', Amount("images", 1)),
        (b'{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"aGk="}]}', Amount("images", 1)),
        (b'{"text":"Hello","usage":{"type":"tokens","input_tokens":1}}', None),
        (b'{"results":[{"flagged":true}]}', None),
        (b'{"data":[{"embedding":[1]}],"usage":{"seconds":-1}}', None),
        (b'{"data":[{"url":null}]}', None),
        (b'{"usage":{"seconds":1e999}}', None),
        (b'{"data":"none"}', None),
        (b"[]", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 10_000, None),
    ],
)
def test_answers(body: bytes, amount: Amount | None) -> None:
    assert amount_of(body) == amount


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        (b'{"results":[],"meta":{"billed_units":{"search_units":2}}}', Amount("searches", 2)),
        (b'{"results":[],"meta":{"billed_units":{"search_units":0}}}', None),
        (b'{"results":[],"meta":{"billed_units":{"search_units":1e300}}}', None),
        (b'{"results":[],"meta":{"billed_units":{"search_units":"x"}}}', None),
        (b'{"results":[{"document":{"text":"search_units"}}],"meta":{}}', None),
        (b'{"search_units":1}', None),
        (b'"search_units"', None),
    ],
)
def test_searches(body: bytes, amount: Amount | None) -> None:
    assert searches_of(body) == amount


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        ('{"model":"tts-1","input":"Grüß \\ud83d\\ude00","voice":"alloy"}'.encode(), Amount("characters", 6)),
        (b'{"input":""}', None),
        (b'{"input":3}', None),
        (b"none", None),
    ],
)
def test_texts_to_be_spoken(body: bytes, amount: Amount | None) -> None:
    assert spoken(body) == amount


@given(st.binary(max_size=40))
def test_garbage_counts_nothing(body: bytes) -> None:
    assert amount_of(body) is None
    assert spoken(body) is None
