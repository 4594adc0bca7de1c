"""Calls of tools that take a text, as calls of functions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import texts
from extproc.dialects.hub import Custom, Tool

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(list('"\\/\n\t{}u😀é\x00')))


def unwrapped(pieces: list[str]) -> str:
    unwrapping = texts.Unwrapping()
    return "".join(map(unwrapping.feed, pieces)) + unwrapping.end()


@given(TEXTS, st.booleans(), st.sampled_from([None, 1]), st.data())
def test_a_text_comes_out_of_its_pieces_as_it_was(said: str, ascii_only: bool, indent: int | None, data: st.DataObject) -> None:
    whole = json.dumps({"input": said}, ensure_ascii=ascii_only, indent=indent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=9)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert unwrapped(pieces) == said == texts.text(whole)
    assert unwrapped(list(whole)) == said


@given(TEXTS, TEXTS)
def test_pieces_of_a_text_make_arguments(one: str, other: str) -> None:
    pieces = [texts.OPENING, texts.piece(one), texts.piece(other), texts.CLOSING]
    assert "".join(pieces) == texts.arguments(one + other)
    assert json.loads(texts.arguments(one + other)) == {"input": one + other}
    assert unwrapped(pieces) == one + other


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"input":"a\nb"}', "a\nb"),
        (r'{"input":"\d+\\d\x"}', r"\d+\d\x"),
        (r'{"input":"\ud83d!"}', "\N{REPLACEMENT CHARACTER}!"),
        (r'{"input":"\udc00!"}', "\N{REPLACEMENT CHARACTER}!"),
        (r'{"input":"\uzz and more"}', r"\uzz and more"),
        (r'{"input":"cut o', "cut o"),
        (r'{"input":"cut \u00', r"cut \u00"),
        ('{"input":"a","more":"b"}', "a"),
        ('{"more":"b","input":"a"}', "a"),
        ('{"input":"a","input":"b"}', "a"),
        ('{"input":"a","input":7}', "a"),
        (r'{"input":"a","in\u0070ut":"b"}', "a"),
        (r'{"in\u0070ut":"a"}', "a"),
        (r'{"input":"a\u0070"}', "ap"),
        (r'{"input":"{\"input\":\"a\"}"}', '{"input":"a"}'),
        ('{"input":"input"}', "input"),
        ('{"more":"b","input":"a","input":"b"}', "b"),
        ('{"text":"a"}', '{"text":"a"}'),
        ('{"input":7}', '{"input":7}'),
        ("no JSON", "no JSON"),
        ("x" * 100, "x" * 100),
        ("{}", "{}"),
        ("", ""),
    ],
)
def test_what_models_write_besides(written: str, said: str) -> None:
    assert unwrapped(list(written)) == said == texts.text(written)


def test_what_is_not_in_the_form_is_the_text() -> None:
    assert texts.text("no JSON") == "no JSON"
    assert texts.text('["input"]') == '["input"]'


def test_a_tool_is_a_function_of_a_text() -> None:
    made = texts.tool("calc", "Calculates.", Custom(syntax="lark", definition='start: "1"'))
    assert made.schema == {
        "type": "object",
        "properties": {"input": {"type": "string", "description": 'A text that matches this lark grammar:\nstart: "1"'}},
        "required": ["input"],
        "additionalProperties": False,
    }
    assert texts.names([made, Tool(name="f")]) == ["calc"]
    assert texts.names(None) == []
