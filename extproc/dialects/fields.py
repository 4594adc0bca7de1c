"""Taking typed fields out of decoded JSON, and saying which one is wrong.

A reader copies an object and takes out what it knows; what is left is the object's `extra`. A null counts as absent and stays there.
"""

import hashlib
import re
from types import TracebackType
from typing import Any

import msgspec

from extproc.errors import Reject

_NAMES = {str: "a string", dict: "an object", list: "a list", bool: "a boolean", int: "an integer", float: "a number", type(None): "null"}

_DATA_URL = re.compile(r"data:([^;,]*);base64,", re.IGNORECASE)
_GOOD_ID = re.compile(r"[a-zA-Z0-9_-]+")
_BAD_ID = re.compile(r"[^a-zA-Z0-9_-]")


class FieldError(ValueError):
    """The field at `path` has the wrong type."""

    def __init__(self, path: str, wanted: str, value: object) -> None:
        super().__init__(f"{path}: expected {wanted}, got {_NAMES.get(type(value), 'something else')}")
        self.path = path


class _Refusing:
    """A class, since a generator as a context manager takes three times as long."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, FieldError):
            raise Reject(400, "invalid_request", str(error), param=error.path) from None


_REFUSING = _Refusing()


def refusing() -> _Refusing:
    """A wrong field is the caller's: it becomes a `Reject`."""
    return _REFUSING


def obj(value: Any, path: str) -> dict[str, Any]:
    """A copy of an object, to take fields out of."""
    if type(value) is not dict:
        raise FieldError(path, "an object", value)
    return value.copy()


def items(value: Any, path: str) -> list[Any]:
    """A list."""
    if type(value) is not list:
        raise FieldError(path, "a list", value)
    return value


def _taken(rest: dict[str, Any], key: str, kind: type, path: str) -> Any:
    """What is at `key`, and no null."""
    value = rest[key]
    if type(value) is not kind:
        raise FieldError(path + key, _NAMES[kind], value)
    del rest[key]
    return value


def take_str(rest: dict[str, Any], key: str, path: str = "") -> str | None:
    """The string at `key`, taken out of `rest`; None if it is absent."""
    value = rest.get(key)
    if type(value) is str:
        del rest[key]
        return value
    if value is None:
        return None
    raise FieldError(path + key, "a string", value)


def take_bool(rest: dict[str, Any], key: str, path: str = "") -> bool | None:
    """The boolean at `key`, taken out of `rest`."""
    if rest.get(key) is None:
        return None
    found: bool = _taken(rest, key, bool, path)
    return found


def take_obj(rest: dict[str, Any], key: str, path: str = "") -> dict[str, Any] | None:
    """The object at `key`, taken out of `rest`."""
    if rest.get(key) is None:
        return None
    found: dict[str, Any] = _taken(rest, key, dict, path)
    return found


def take_list(rest: dict[str, Any], key: str, path: str = "") -> list[Any] | None:
    """The list at `key`, taken out of `rest`."""
    if rest.get(key) is None:
        return None
    found: list[Any] = _taken(rest, key, list, path)
    return found


def take_strings(rest: dict[str, Any], key: str, path: str = "") -> list[str] | None:
    """The list of strings at `key`, taken out of `rest`."""
    found = take_list(rest, key, path)
    for i, value in enumerate(found or ()):
        if type(value) is not str:
            raise FieldError(f"{path}{key}[{i}]", "a string", value)
    return found


def take_int(rest: dict[str, Any], key: str, path: str = "") -> int | None:
    """The integer at `key`, taken out of `rest`. `100.0` counts: JavaScript and some proxies write integers so."""
    value = rest.get(key)
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise FieldError(path + key, "an integer", value)
    del rest[key]
    return value


def take_number(rest: dict[str, Any], key: str, path: str = "") -> float | None:
    """The number at `key`, taken out of `rest`."""
    value = rest.get(key)
    if value is None:
        return None
    if type(value) is not float and type(value) is not int:
        raise FieldError(path + key, "a number", value)
    del rest[key]
    return value


def need_str(rest: dict[str, Any], key: str, path: str = "") -> str:
    """The string at `key`, which must be there."""
    value = rest.get(key)
    if type(value) is not str:
        raise FieldError(path + key, "a string", value)
    del rest[key]
    return value


def length(text: str) -> int:
    """The UTF-8 bytes of a text, lone surrogates too."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def object_of(text: str) -> dict[str, Any]:
    """A tool call's arguments as an object. Of a tool without parameters some say nothing, or `null`. A model that was cut off leaves no
    JSON: that is wrapped, as https://docs.claude.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming advises.
    """
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {"INVALID_JSON": text}
    if value is None:
        return {}
    return value if type(value) is dict else {"INVALID_JSON": text}


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data of a `data:` URL (RFC 2397); None if it is another kind of URL."""
    match = _DATA_URL.match(url)
    return (match[1].lower(), url[match.end() :]) if match else None


def tool_id(given: str, longest: int) -> str:
    """A tool call's id in the characters and length that every provider takes; the same for the call and its result.

    Anthropic wants ^[a-zA-Z0-9_-]+$, OpenAI at most 40 characters. What is cut gets a hash, so that ids stay different.
    """
    if len(given) <= longest and _GOOD_ID.fullmatch(given):
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_BAD_ID.sub('_', given)[: longest - 17]}_{digest}"
