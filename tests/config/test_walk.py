import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct, field

from extproc.config.document import parse_document
from extproc.config.problem import Problems
from extproc.config.references import References
from extproc.config.walk import INVALID, Walker, child
from tests.cases import cases
from tests.examples import examples


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=5)]
    word: Literal["on", "off"] = "on"


class Outer(Struct, frozen=True, forbid_unknown_fields=True):
    whole: Annotated[int, Meta(ge=1, le=10, multiple_of=2)] = 2
    real: Annotated[float, Meta(gt=0, lt=10)] = 1.0
    flag: bool = False
    text: str = ""
    maybe: str | None = None
    either: int | str = 0
    colour: Colour = Colour.RED
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    names: dict[Annotated[str, Meta(pattern="^[a-z]+$")], int] = field(default_factory=dict)
    numbers: Annotated[list[int], Meta(max_length=2)] = field(default_factory=list)
    words: frozenset[str] = frozenset()
    renamed: int = field(default=0, name="re-named")
    anything: Any = None


class Checked(Struct, frozen=True):
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("`low` is above `high`")


ENVIRON = {"N": "4", "T": "true", "S": "secret", "Q": "12"}


def _read(text: str, type_: type[Struct] = Outer, *, lenient: bool = False) -> tuple[Any, list[tuple[str, int, str]]]:
    problems = Problems()
    node = parse_document(text, problems)
    assert node is not None, problems.listed()
    value = Walker(problems, References(ENVIRON, Path()), lenient=lenient).struct(node, type_, "$")
    return value, [(problem.path, problem.line, problem.message) for problem in problems.listed()]


@cases(
    ("text", "key", "expected"),
    [
        ("whole: 4", "whole", 4),
        ("whole: 0x4", "whole", 4),
        ("whole: ${N}", "whole", 4),
        ('whole: "${N}"', "whole", 4),
        ("whole: env:N", "whole", 4),
        ("whole: ${NONE:-8}", "whole", 8),
        ("real: 4", "real", 4.0),
        ("real: .5", "real", 0.5),
        ("real: 1e-3", "real", 0.001),
        ("flag: true", "flag", True),
        ("flag: ${T}", "flag", True),
        ("text: plain", "text", "plain"),
        ("text: 1.10", "text", "1.10"),
        ("text: 2024-05-13", "text", "2024-05-13"),
        ("text: no", "text", "no"),
        ("text: ${T}", "text", "true"),
        ('text: "true"', "text", "true"),
        ("text: !!str true", "text", "true"),
        ('text: ""', "text", ""),
        ("maybe:", "maybe", None),
        ("maybe: x", "maybe", "x"),
        ("either: 12", "either", 12),
        ("either: x", "either", "x"),
        ('either: "12"', "either", "12"),
        ("colour: blue", "colour", Colour.BLUE),
        ("inner: {text: a}", "inner", Inner("a")),
        ("inner:", "inner", None),
        ("inners: [{text: a}, {text: b, word: off}]", "inners", (Inner("a"), Inner("b", "off"))),
        ("names: {a: 1}", "names", {"a": 1}),
        ("numbers: [1, 2]", "numbers", [1, 2]),
        ("words: [a, b, a]", "words", frozenset({"a", "b"})),
        ("re-named: 3", "renamed", 3),
        ("anything: [1, {a: null}, x, '1', 1.5, true]", "anything", [1, {"a": None}, "x", "1", 1.5, True]),
    ],
)
def test_values(text: str, key: str, expected: object) -> None:
    value, problems = _read(text)
    assert problems == []
    assert getattr(value, key) == expected
    assert type(getattr(value, key)) is type(expected)


@cases(
    ("text", "path", "message"),
    [
        ("whole: x", "$.whole", "expected a whole number, got text"),
        ("whole: '4'", "$.whole", "expected a whole number, got text; take the quotes off"),
        ("whole: 1.5", "$.whole", "expected a whole number"),
        ("whole: true", "$.whole", "expected a whole number, got true"),
        ("whole:", "$.whole", "expected a whole number, got nothing"),
        ("whole: [4]", "$.whole", "expected a whole number, got a list"),
        ("whole: 0", "$.whole", "the value is out of range: it has to be at least 1"),
        ("whole: 12", "$.whole", "the value is out of range: it has to be at most 10"),
        ("whole: 3", "$.whole", "the value is out of range: it has to be a multiple of 2"),
        ("whole: ${S}", "$.whole", "expected a whole number, got something else from this reference"),
        ("whole: ${Q}", "$.whole", "the value is out of range: it has to be at most 10"),
        ("whole: 1_0", "$.whole", "expected a whole number, got text"),
        ("real: 0", "$.real", "the value is out of range: it has to be more than 0"),
        ("real: .inf", "$.real", "expected a number, got text"),
        ("real: .nan", "$.real", "expected a number, got text"),
        ("flag: yes", "$.flag", 'expected true or false, got "yes", which is text in YAML 1.2'),
        ("flag: 1", "$.flag", "expected true or false, got a number"),
        ("text: true", "$.text", "expected text, got true; put it in quotes if it is meant as text"),
        ("text:", "$.text", "expected text, got nothing; put it in quotes if it is meant as text"),
        ("text: {secret: x}", "$.text", "expected text, got a section with keys"),
        ('text: "a\\0b"', "$.text", "the value holds a NUL character"),
        ("colour: rad", "$.colour", '"rad" is not known here; did you mean "red"?'),
        ("colour: ${S}", "$.colour", 'what this reference gives is not known here; it is either "red", "blue"'),
        ("inner: [x]", "$.inner", "expected a section with keys, got a list"),
        ("inner: {}", "$.inner", 'the key "text" is missing'),
        ("inner: {txt: a}", "$.inner.txt", 'unknown key "txt"; did you mean "text"?'),
        ("inner: {text: ''}", "$.inner.text", "the value is empty"),
        ("inner: {text: abcdef}", "$.inner.text", "the value is too long: at most 5 characters"),
        ("inner: {text: a, word: of}", "$.inner.word", '"of" is not known here; did you mean "off"?'),
        ("inners: {text: a}", "$.inners", "expected a list, got a section with keys"),
        ("numbers: 1", "$.numbers", "expected a list, got a number; put it in brackets: `[...]`"),
        ("numbers: [1, 2, 3]", "$.numbers", "at most 2 entries allowed, got 3"),
        ("numbers: [1, x]", "$.numbers[1]", "expected a whole number, got text"),
        ("names: {A: 1}", "$.names.A", 'the key "A" does not look as it should: `^[a-z]+$`'),
        ("names: {'a.b': 1}", '$.names["a.b"]', 'the key "a.b" does not look as it should: `^[a-z]+$`'),
        ("names: [1]", "$.names", "expected a mapping of names to values, got a list"),
        ("either: [1]", "$.either", "expected a whole number or text, got a list"),
        ("text: ${NONE}", "$.text", "the environment variable NONE is not set"),
        ("re_named: 3", "$.re_named", 'unknown key "re_named"; did you mean "re-named"?'),
    ],
)
def test_mistakes(text: str, path: str, message: str) -> None:
    value, problems = _read(text)
    assert problems == [(path, 1, message)]
    assert "secret" not in problems[0][2]
    assert isinstance(value, Outer)


def test_every_mistake_is_found_at_once() -> None:
    value, problems = _read("whole: x\nunknown: 1\nwhole: 4\ninner:\n  word: maybe\nnumbers: [a, 1]\n")
    assert [(path, line) for path, line, _ in problems] == [
        ("$.whole", 1),
        ("$.unknown", 2),
        ("$", 3),
        ("$.inner", 5),
        ("$.inner.word", 5),
        ("$.numbers[0]", 6),
    ]
    assert value.numbers == [INVALID, 1]
    assert value.whole == 2


def test_what_a_type_checks_itself() -> None:
    assert _read("low: 3\nhigh: 4", Checked) == (Checked(3, 4), [])
    assert _read("low: 3", Checked) == (INVALID, [("$", 1, "`low` is above `high`")])
    # With a key wrong, its default would stand in, and the check would say what is not so.
    assert [path for path, _, _ in _read("low: 3\nhigh: x", Checked)[1]] == ["$.high"]


def test_lenient_keeps_silent_only_of_what_is_missing() -> None:
    assert _read("text: ${NONE}", lenient=True)[1] == []
    assert len(_read("text: ${NONE", lenient=True)[1]) == 1


def test_paths() -> None:
    assert child("$.a", "b-c") == "$.a.b-c"
    assert child("$.a", 'x"y') == '$.a["x"y"]'
    assert child("$", "") == '$[""]'


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_KEYS = st.sampled_from([*Outer.__struct_fields__, "text", "word", "zzz"]) | st.text(max_size=4)
_TREES = st.recursive(_SCALARS, lambda tree: st.lists(tree, max_size=3) | st.dictionaries(_KEYS, tree, max_size=4), max_leaves=12)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=st.dictionaries(_KEYS, _TREES, max_size=5))
def test_no_document_raises(tree: dict[str, Any]) -> None:
    problems = Problems()
    node = parse_document(yaml.safe_dump(tree), problems)
    if node is None:
        assert problems.errors
        return
    value = Walker(problems, References({}, Path("/nonexistent"))).struct(node, Outer, "$")
    assert problems.errors or isinstance(value, Outer)
