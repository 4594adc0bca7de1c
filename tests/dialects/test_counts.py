"""Counts that are no whole numbers, and answers in which they are looked for in vain."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from extproc.dialects import DIALECTS, counts
from extproc.usage import natural
from tests.cases import cases
from tests.counts.counting import allocated


class _In(Struct):
    cached: int | None = None


class _Counts(Struct, rename="camel"):
    """All kinds of types that counts have."""

    all_tokens: int | None = None
    details: _In | None = None
    parts: list[_In] | None = None
    model: str = ""
    raw: list[msgspec.Raw] | None = None
    meta: dict[str, Any] | None = None
    one: _In | list[msgspec.Raw] | None = None


_decoder = msgspec.json.Decoder(_Counts, strict=False)
_lists = msgspec.json.Decoder(list[_Counts], strict=False)
_VECTORS = json.dumps([[0.0123] * 100] * 500)

ODD: list[tuple[str, Any, _Counts | None]] = [
    ("whole", {"allTokens": 12.0}, _Counts(all_tokens=12)),
    ("average", {"allTokens": 11.6, "model": "m"}, _Counts(all_tokens=12, model="m")),
    ("texts", {"allTokens": "11.6", "details": {"cached": "3"}}, _Counts(all_tokens=12, details=_In(3))),
    ("within", {"details": {"cached": 3.2, "other": [1.5]}, "other": {"a": 1.5}}, _Counts(details=_In(3))),
    ("lists", {"parts": [{"cached": 3.2}, {"cached": 4}, {}]}, _Counts(parts=[_In(3), _In(4), _In()])),
    ("either", {"one": {"cached": 1.2}}, _Counts(one=_In(1))),
    ("any", {"allTokens": 1.2, "meta": {"some": 1.5}}, _Counts(all_tokens=1, meta={"some": 1.5})),
    ("beyond", {"allTokens": 1e300, "details": {"cached": 2.0}}, _Counts(details=_In(2))),
    ("nothing", {"allTokens": 1.5, "details": None, "parts": None}, _Counts(all_tokens=2)),
    ("words", {"allTokens": "many"}, None),
    ("another shape", {"allTokens": 1.5, "details": [1.5]}, None),
    ("a list", [{"allTokens": 1.5}], None),
    ("a number", 1.5, None),
]


@pytest.mark.parametrize(("told", "read"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_odd_counts(told: Any, read: _Counts | None) -> None:
    assert counts.decode(json.dumps(told).encode(), _decoder) == read
    assert counts.read(told, _Counts) == read


def test_raw_values_stay() -> None:
    told = counts.decode(b'{"allTokens":1.5,"raw":[ 1.5,{"a":1}],"one":[2.5]}', _decoder)
    assert told is not None
    assert told.all_tokens == 2
    assert isinstance(told.one, list)
    assert [bytes(one) for one in [*(told.raw or ()), *told.one]] == [b"1.5", b'{"a":1}', b"2.5"]


def test_lists_of_counts() -> None:
    assert counts.decode(b'[{"allTokens":1.6},{"allTokens":3}]', _lists) == [_Counts(all_tokens=2), _Counts(all_tokens=3)]


@pytest.mark.parametrize("body", [b"", b"{", b'{"model":"\xff"}', b"[" * 100_000, b'{"meta":' + b"[" * 100_000], ids=range(5))
def test_what_is_no_json(body: bytes) -> None:
    assert counts.decode(body, _decoder) is None


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", [_VECTORS, f'{{"model":{_VECTORS}}}', f'{{"embeddings":{_VECTORS},"usage":{{"prompt_tokens":1.5}}}}'])
def test_nothing_is_made_of_what_is_not_counted(dialect: str, body: str) -> None:
    usage = DIALECTS[dialect].usage
    usage(body.encode())
    assert allocated(usage, body.encode()).peak < len(body) / 2


@pytest.mark.parametrize(("told", "counted"), [(None, 0), (0, 0), (-1, 0), (1, 1), (2**40 - 1, 2**40 - 1), (2**40, 0), (10**20, 0)])
def test_what_can_have_been_counted(told: int | None, counted: int) -> None:
    assert natural(told) == counted


@cases("count", ["100000000000000000000", "9007199254740993", "1e18", "-5"])
@cases(
    ("dialect", "usage"),
    [
        ("openai", '"usage":{"prompt_tokens":COUNT,"completion_tokens":COUNT,"total_tokens":COUNT}'),
        ("openai", '"usage":{"total_tokens":COUNT}'),
        ("responses", '"usage":{"input_tokens":COUNT,"output_tokens":COUNT,"output_tokens_details":{"reasoning_tokens":COUNT}}'),
        ("anthropic", '"usage":{"input_tokens":COUNT,"output_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":COUNT}}'),
        ("gemini", '"usageMetadata":{"promptTokenCount":COUNT,"candidatesTokenCount":COUNT,"thoughtsTokenCount":COUNT}'),
        ("cohere", '"usage":{"billed_units":{"input_tokens":COUNT,"output_tokens":COUNT}}'),
        ("cohere", '"meta":{"billed_units":{"input_tokens":COUNT,"output_tokens":COUNT}}'),
        ("ollama", '"prompt_eval_count":COUNT,"eval_count":COUNT'),
        ("bedrock", '"usage":{"inputTokens":COUNT,"outputTokens":COUNT,"cacheReadInputTokens":COUNT}'),
        ("bedrock", '"inputTextTokenCount":COUNT'),
    ],
)
def test_no_dialect_counts_more(dialect: str, usage: str, count: str) -> None:
    """The ledger would take the whole record for nonsense."""
    told, _ = DIALECTS[dialect].usage(f"{{{usage.replace('COUNT', count)}}}".encode())
    assert told is None or told.total <= 1
