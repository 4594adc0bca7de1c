"""Calls of Gemini's whose arguments come in pieces, each with a path, reach other dialects whole."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.fields import FieldError
from extproc.dialects.gemini.partial import PartialCall, is_piece, steps_of
from extproc.dialects.hub import BlockStart, Error, Stop, StopReason, TextDelta, ToolCall
from tests.dialects.traffic import hub_events, rewrite

BEGIN = {"functionCall": {"name": "f", "willContinue": True}}
END: dict[str, Any] = {"functionCall": {}}


def piece(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
    return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], **({"willContinue": True} if more else {})}}


def stream(*chunks: list[dict[str, Any]], finish: str | None = "STOP") -> bytes:
    told: list[dict[str, Any]] = [{"content": {"role": "model", "parts": parts}} for parts in chunks]
    if finish:
        told.append({"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": finish})
    return b"".join(b"data: " + json.dumps({"candidates": [{**one, "index": 0}]}).encode() + b"\n\n" for one in told)


def calls(told: bytes) -> list[tuple[str, Any]]:
    found = [event.block for event in hub_events("gemini", told) if isinstance(event, BlockStart)]
    return [(block.name, json.loads(block.arguments)) for block in found if isinstance(block, ToolCall)]


LIGHT = [
    piece("$.brightness", numberValue=50),
    piece("$.color", stringValue="wa", willContinue=True),
    piece("$.color", stringValue="rm"),
    piece("$.on", boolValue=True),
    piece("$.until", nullValue="NULL_VALUE"),
    piece("$.rooms[0].name", stringValue="a"),
    piece("$.rooms[1].name", stringValue=""),
    piece("$['a b'][\"c\"]", numberValue=1.5),
]
SAID = {
    "brightness": 50, "color": "warm", "on": True, "until": None, "rooms": [{"name": "a"}, {"name": ""}], "a b": {"c": 1.5},
}  # fmt: skip


@pytest.mark.parametrize("client", ["openai", "anthropic", "responses", "cohere", "ollama", "bedrock", "gemini"])
def test_a_call_is_told_whole(client: str) -> None:
    told = stream([BEGIN], *[[one] for one in LIGHT], [END])
    assert calls(told) == [("f", SAID)]
    assert b"warm" in rewrite("gemini", client, told)


def test_its_last_part_may_say_something_or_be_missing() -> None:
    assert calls(stream([BEGIN], [piece("$.a", stringValue="x", more=False)], [END])) == [("f", {"a": "x"})]
    assert calls(stream([BEGIN], [piece("$.a", stringValue="x")])) == [("f", {"a": "x"})]
    assert calls(stream([BEGIN], [END])) == [("f", {})]
    assert calls(stream([BEGIN, piece("$.a", numberValue=1), {"functionCall": {"name": "g", "willContinue": True}}, END])) == [
        ("f", {"a": 1}),
        ("g", {}),
    ]
    assert calls(stream([{"functionCall": {"name": "f", "args": {"b": 2}, "willContinue": True}}, piece("$.a", numberValue=1), END])) == [
        ("f", {"a": 1, "b": 2})
    ]
    assert calls(stream([END])) == []


def test_words_and_whole_calls_may_stand_beside_it() -> None:
    whole = {"functionCall": {"name": "g", "args": {"x": 1}}}
    told = stream([{"text": "Hm"}, BEGIN], [{"text": "so"}], [whole, piece("$.a", numberValue=1)], [END])
    assert calls(told) == [("g", {"x": 1}), ("f", {"a": 1})]
    events = hub_events("gemini", told)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hmso"
    assert [event.reason for event in events if isinstance(event, Stop)] == [StopReason.TOOL]


@pytest.mark.parametrize(
    ("path", "name"), [("$['it\\'s']", "it's"), ("$['\"']", '"'), ('$["\\u00e9"]', "é"), ("$['\\\\']", "\\"), ("$['\\ud83d\\ude00']", "😀")]
)
def test_names_in_quotes(path: str, name: str) -> None:
    assert steps_of(path, "jsonPath") == [name]


def test_its_id_and_signature_are_kept() -> None:
    first = {"functionCall": {"id": "c-1", "name": "f", "willContinue": True}, "thoughtSignature": "c2lnbmVk"}
    (block,) = [one.block for one in hub_events("gemini", stream([first], [END])) if isinstance(one, BlockStart)]
    assert isinstance(block, ToolCall) and block.seal is not None
    assert (block.id, block.seal.value, block.seal.origin) == ("c-1", "c2lnbmVk", "google-gemini-v1")


WRONG: list[dict[str, Any]] = [
    piece("$.a[1]", numberValue=1),
    piece("$[0]", numberValue=1),
    piece("$", numberValue=1),
    piece("a", numberValue=1),
    piece("$.a.*", numberValue=1),
    piece("$..a", numberValue=1),
    piece("$.a[*]", numberValue=1),
    piece("$['\\ud800']", numberValue=1),
    piece("$.a"),
    piece("$.a", stringValue=5),
    piece("$" + ".a" * 65, numberValue=1),
    {"functionCall": {"partialArgs": [{"numberValue": 1}]}},
    {"functionCall": {"partialArgs": 5}},
    {"functionCall": {"partialArgs": [5]}},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_leads_nowhere_is_an_error(wrong: dict[str, Any]) -> None:
    for begun in ([BEGIN], [BEGIN, piece("$.a", stringValue="x")]):
        last = hub_events("gemini", stream(begun, [wrong], [END]))[-1]
        if wrong["functionCall"].get("partialArgs") != [{"jsonPath": "$.a"}] or begun == [BEGIN]:
            assert isinstance(last, Error) and last.fault.code == "bad_provider_event"


def test_what_breaks_off_is_an_error() -> None:
    last = hub_events("gemini", stream([BEGIN], [piece("$.a", stringValue="x")], finish=None))[-1]
    assert isinstance(last, Error) and last.fault.code == "stream_interrupted"
    last = hub_events("gemini", stream([piece("$.a", stringValue="x", more=False)]))[-1]
    assert isinstance(last, Error), "a call without a name"


def test_what_is_of_another_kind_takes_its_place() -> None:
    told = stream([BEGIN], [piece("$.a", numberValue=1), piece("$.a", stringValue="x"), piece("$.a", boolValue=False)], [END])
    assert calls(told) == [("f", {"a": False})]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9999, 9999) | st.text(max_size=9),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=3),
    max_leaves=8,
)


def pieces(value: Any, path: str) -> Iterator[dict[str, Any]]:
    """A value as the pieces of it."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from pieces(inner, f"{path}[{json.dumps(name)}]")
        case list():
            for i, inner in enumerate(value):
                yield from pieces(inner, f"{path}[{i}]")
        case str():
            for at in range(0, len(value), 2):
                yield {"jsonPath": path, "stringValue": value[at : at + 2], "willContinue": True}
            yield {"jsonPath": path, "stringValue": ""}
        case bool():
            yield {"jsonPath": path, "boolValue": value}
        case None:
            yield {"jsonPath": path, "nullValue": None}
        case _:
            yield {"jsonPath": path, "numberValue": value}


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_whatever_comes_in_pieces_is_put_together(arguments: dict[str, Any]) -> None:
    call = PartialCall()
    assert not call.add(BEGIN, "p")
    for one in pieces(arguments, "$"):
        part = {"functionCall": {"partialArgs": [one], "willContinue": True}}
        assert is_piece(part) and call.follows(part) and not call.add(part, "p")
    assert call.add(END, "p")
    assert call.part() == {"functionCall": {"name": "f", "args": arguments}}


@given(st.text() | st.text("$.[]'\"ab0*", max_size=12).map("$".__add__))
def test_a_path_is_read_or_refused(path: str) -> None:
    try:
        steps = steps_of(path, "jsonPath")
    except FieldError:
        return
    assert steps and all(type(step) in (str, int) for step in steps)
