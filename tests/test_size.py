"""How large a request is, by its bytes."""

import base64
import json
import random

import pytest

from extproc.size import input_tokens, output_limit

ENGLISH = "The quick brown fox jumps over the lazy dog, and the dog does not mind. "
PICTURE = base64.b64encode(random.Random(1).randbytes(300_000)).decode()


def body(*contents: str) -> bytes:
    messages = [{"role": "user", "content": content} for content in contents]
    return json.dumps({"model": "m", "messages": messages}, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text", ["", "Hi", ENGLISH * 10, ENGLISH * 1000, "犬は気にしない。" * 5000, "é" * 50_000, '{"a": [1, 2, "three"]}' * 900]
)
def test_text_counts_by_its_bytes(text: str) -> None:
    asked = body(text)
    assert input_tokens(asked) == -(-len(asked) // 4)


def test_a_picture_counts_as_one() -> None:
    asked = body(ENGLISH * 100, f"data:image/png;base64,{PICTURE}", ENGLISH * 100)
    assert abs(input_tokens(asked) - len(PICTURE) // 256 - 2 * 100 * len(ENGLISH) // 4) < 1_000
    assert input_tokens(body(PICTURE)) < 2_000


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        (b'{"max_tokens": 100}', 100),
        (b'{"max_tokens":100,"max_completion_tokens":7}', 100),
        (b'{"tools":[{"max_tokens":{"type":"integer"}}],"max_completion_tokens" : 7}', 7),
        (b'{"max_output_tokens":8}', 8),
        (b'{"generationConfig":{"maxOutputTokens":9}}', 9),
        (b'{"inferenceConfig":{"maxTokens":10}}', 10),
        (b'{"options":{"num_predict":11}}', 11),
        (b'{"options":{"num_predict":-1}}', 0),
        (b'{"max_tokens":null}', 0),
        (b'{"max_tokens":1e3}', 0),
        (b'{"content":"max_tokens: 5"}', 0),
        (b"", 0),
        (b'{"messages":"' + b"x" * 70_000 + b'","max_tokens":12}', 12),
        (b'{"messages":"' + b"x" * 65_500 + b'","max_tokens":13}', 13),
        (b'{"max_tokens":14,"messages":"' + b"x" * 300_000 + b'"}', 14),
    ],
)
def test_what_an_answer_may_have(asked: bytes, limit: int) -> None:
    assert output_limit(asked) == limit
