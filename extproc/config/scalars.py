"""Single values: what an unquoted scalar means, whether it fits a type, and how to say that it does not.

YAML 1.2's rules (`yes`, `on` and `1:30` are text, unlike in YAML 1.1), because editors and JSON schemas go by them. Where text is
wanted, a number is taken as it is written: `model: 1.10` and `input: 2.50` mean what they say.
"""

import re
from typing import Any

from msgspec import inspect

from extproc.config.document import Mapping, Node, Scalar, Sequence, boolean, is_null
from extproc.config.nearest import nearest, quoted

_INTEGER = re.compile(r"[-+]?[0-9]{1,30}|0x[0-9a-fA-F]{1,24}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")
_TEXTS = inspect.StrType | inspect.LiteralType | inspect.EnumType


def number(text: str) -> int | float | None:
    """What an unquoted scalar says, if it is a number. Infinities and NaN are none: nothing here can be either."""
    if _INTEGER.fullmatch(text):
        return int(text, 16 if text.startswith("0x") else 10)
    value = float(text) if _FLOAT.fullmatch(text) else None
    return None if value in (float("inf"), float("-inf")) else value


def meaning_of(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar says where anything is allowed."""
    if is_null(text):
        return None
    truth = boolean(text)
    if truth is not None:
        return truth
    value = number(text)
    return text if value is None else value


def is_nothing(node: Node) -> bool:
    """Whether a value was left empty, or is `null`."""
    return isinstance(node, Scalar) and node.plain and is_null(node.text)


def bare(type_: inspect.Type) -> inspect.Type:
    """A type without its description."""
    return type_.type if isinstance(type_, inspect.Metadata) else type_


def read_scalar(node: Scalar, text: str, type_: inspect.Type, *, referred: bool) -> Any:
    """The value of `type_` that `node` gives; `text` is what it stands for. Raises ValueError, without the text if it is `referred`."""
    kind = bare(type_)
    if isinstance(kind, _TEXTS):
        if not referred and node.plain and (is_null(text) or boolean(text) is not None):
            raise ValueError(f"expected {wanted(type_)}, got {given(node)}; put it in quotes if it is meant as text")
        return _text(text, type_, referred)
    # `"${PORT}"` is quoted because YAML wants it so in places, not because text is meant.
    value = meaning_of(text) if node.plain or referred else None
    match kind, value:
        case (inspect.BoolType(), bool()):
            return value
        case ((inspect.IntType() | inspect.FloatType()), (int() | float())) if not isinstance(value, bool):
            return _number(value, kind)
        case ((inspect.BoolType() | inspect.IntType() | inspect.FloatType()), _):
            raise ValueError(f"expected {wanted(type_)}, got {_unfit(node, referred)}")
    raise ValueError(f"a setting of the type {type(kind).__name__} cannot be given in YAML")


def _number(value: float, kind: inspect.IntType | inspect.FloatType) -> float:
    if isinstance(kind, inspect.FloatType):
        value = float(value)
    wrong = "expected a whole number" if isinstance(kind, inspect.IntType) and isinstance(value, float) else _out_of_range(value, kind)
    if wrong:
        raise ValueError(wrong)
    return value


def _text(text: str, type_: inspect.Type, referred: bool) -> Any:
    choices = _choices(bare(type_))
    if not choices:
        if wrong := wrong_text(text, type_):
            raise ValueError(f"the value {wrong}")
        return text
    if text in choices:
        return choices[text]
    near = None if referred else nearest(text, choices)
    known = f"it is {'either' if len(choices) < 3 else 'one of'} {', '.join(map(quoted, choices))}"
    shown = "what this reference gives" if referred else quoted(text)
    raise ValueError(f"{shown} is not known here; " + (f"did you mean {quoted(near)}?" if near else known))


def _choices(type_: inspect.Type) -> dict[str, Any]:
    if isinstance(type_, inspect.EnumType):
        return {str(member.value): member for member in type_.cls}
    return {str(value): value for value in type_.values} if isinstance(type_, inspect.LiteralType) else {}


def wrong_text(text: str, type_: inspect.Type) -> str:
    """What is wrong with a string of a type; nothing of the string itself, which may be a secret."""
    meaning = (type_.extra_json_schema or {}).get("description", "") if isinstance(type_, inspect.Metadata) else ""
    type_ = bare(type_)
    if not isinstance(type_, inspect.StrType):
        return ""
    if "\0" in text:
        return "holds a NUL character"
    if type_.min_length is not None and len(text) < type_.min_length:
        return "is empty" if not text else f"is too short: at least {type_.min_length} characters"
    if type_.max_length is not None and len(text) > type_.max_length:
        return f"is too long: at most {type_.max_length} characters"
    if type_.pattern is not None and not _matches(type_.pattern, text):
        return f"is not {meaning}" if meaning else f"does not look as it should: `{type_.pattern}`"
    return ""


def _matches(pattern: str, text: str) -> bool:
    # Python's `$` lets a last line feed pass, which neither JSON schema nor anybody who writes `^...$` means.
    if pattern.startswith("^") and pattern.endswith("$"):
        return re.fullmatch(pattern, text) is not None
    return re.search(pattern, text) is not None


def _out_of_range(value: float, kind: inspect.IntType | inspect.FloatType) -> str:
    wrong = (
        (kind.ge is not None and value < kind.ge, f"at least {kind.ge}"),
        (kind.gt is not None and value <= kind.gt, f"more than {kind.gt}"),
        (kind.le is not None and value > kind.le, f"at most {kind.le}"),
        (kind.lt is not None and value >= kind.lt, f"less than {kind.lt}"),
        (bool(kind.multiple_of) and value % (kind.multiple_of or 1) != 0, f"a multiple of {kind.multiple_of}"),
        # msgspec takes no more than this either.
        (isinstance(value, int) and not -(2**63) <= value < 2**64, "a number of 64 bits"),
    )
    return next((f"the value is out of range: it has to be {words}" for is_wrong, words in wrong if is_wrong), "")


_WANTED: dict[type[inspect.Type], str] = {
    inspect.StrType: "text",
    inspect.LiteralType: "a word",
    inspect.EnumType: "a word",
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.DictType: "a mapping of names to values",
    inspect.VarTupleType: "a list",
    inspect.ListType: "a list",
    inspect.SetType: "a list",
    inspect.FrozenSetType: "a list",
    inspect.StructType: "a section with keys",
}


def wanted(type_: inspect.Type) -> str:
    """What a type takes, for people."""
    return _WANTED.get(type(bare(type_)), "something else")


def given(node: Node) -> str:
    """What stands there, for people; never the text itself, which may be a secret."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a section with keys"
    if not node.plain:
        return "text in quotes"
    if is_null(node.text):
        return "nothing"
    if boolean(node.text) is not None:
        return node.text
    return "text" if number(node.text) is None else "a number"


def _unfit(node: Scalar, referred: bool) -> str:
    if referred:
        return "something else from this reference"
    if not node.plain and isinstance(meaning_of(node.text), bool | int | float):
        return "text; take the quotes off"
    if node.plain and node.text.lower() in ("yes", "no", "on", "off"):
        return f"{quoted(node.text)}, which is text in YAML 1.2"
    return given(node)


def fits(node: Node, type_: inspect.Type) -> bool:
    """Whether a member of a union is the one that `node` is meant as."""
    kind = bare(type_)
    if isinstance(node, Sequence):
        return _WANTED.get(type(kind)) == "a list"
    if isinstance(node, Mapping):
        return isinstance(kind, inspect.StructType | inspect.DictType)
    if isinstance(kind, inspect.BoolType):
        return node.plain and boolean(node.text) is not None
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        value = number(node.text) if node.plain else None
        return isinstance(value, int) or (value is not None and isinstance(kind, inspect.FloatType))
    return isinstance(kind, _TEXTS)
