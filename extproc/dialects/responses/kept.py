"""What of the Responses API is about responses that somebody keeps: https://platform.openai.com/docs/guides/conversation-state

    POST   /v1/responses                     `previous_response_id`, `store`, `background`, `conversation`
    GET    /v1/responses/{id}
    GET    /v1/responses/{id}/input_items    `after`, `limit`, `order`
    DELETE /v1/responses/{id}
    POST   /v1/responses/{id}/cancel         of what runs in the background

What is kept of a request and its answer is a `Turn`, in JSON as it was: nothing is decoded deeper than it has to be.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from extproc.dialects.framing import split
from extproc.dialects.glimpse import data_of
from extproc.dialects.hub import Extra
from extproc.dialects.sse import SSE
from extproc.errors import Reject
from extproc.turns.turn import Turn

_MARK = "resp_hg"
"""Begins the id of a response that we keep. OpenAI's go on in hexadecimal digits, which `h` is none of."""

NEEDLE = f'"{_MARK}'.encode()
"""Stands in every request that names one of them as the one before it."""

REFERENCE = b'"item_reference"'
"""Stands in every request that names an item instead of holding it."""

_ENTROPY = 18
"""Random bytes of an id. As text they are within what ids of items repeat of it (`answer.Ids`)."""

_PATH = re.compile(r"/v1/responses/(resp_[A-Za-z0-9_-]{1,128})(?:/(input_items|cancel))?/?")
_OUR_ITEM = re.compile(r"[a-z]{2,4}_(hg[0-9a-f]{36})_[0-9]{1,6}")
_ENDED = (b"response.completed", b"response.incomplete")

REFERENCES, RESPONSES = 10_000, 500
"""Items of ours that a request may name by their ids alone, and the responses that they may be of: each is looked up."""

_LIMIT, _LIMIT_MOST = 20, 100
"""Items of a page, unless asked otherwise; and at most."""


_PREFIXES = {
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctc",
    "function_call": "fc",
    "function_call_output": "fc",
    "reasoning": "rs",
}
"""What begins the id of an item that is no message."""


class Asked(Struct):
    """What a request says of what is kept. Of whatever type: only the provider's dialect may refuse it."""

    previous_response_id: Any = None
    store: Any = None
    background: Any = None
    conversation: Any = None
    input: Raw | UnsetType = UNSET


class Named(Struct, frozen=True):
    """A kept response, and what is wanted of it."""

    id: str
    part: str
    """Empty: the response itself; else `input_items` or `cancel`."""
    query: str


class _Glance(Struct):
    """What is to be known of an item."""

    type: Any = None
    id: Any = None
    encrypted_content: Any = None


class _Last(Struct):
    type: str
    response: Raw


_asked = msgspec.json.Decoder(Asked).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_object = msgspec.json.Decoder(Extra).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_glanced = msgspec.json.Decoder(_Glance).decode
_last = msgspec.json.Decoder(_Last).decode
_encode = msgspec.json.encode


def _glance(item: Raw) -> _Glance:
    try:
        return _glanced(item)
    except msgspec.ValidationError:  # no object: the reader of the dialect will say so
        return _Glance()


def new_id() -> str:
    """An id that nobody can guess."""
    return _MARK + secrets.token_hex(_ENTROPY)


def ours(identifier: str) -> bool:
    """Whether an id is one of `new_id`."""
    return identifier.startswith(_MARK)


def named(path: str) -> Named | None:
    """The response that a path is about, query included; None if it is about none."""
    bare, _, query = path.partition("?")
    found = _PATH.fullmatch(bare)
    return Named(found[1], found[2] or "", query) if found else None


def read_asked(body: bytes) -> Asked | None:
    """What a request says of what is kept; None if it cannot be read, and somebody else will say so."""
    try:
        return _asked(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def own_input(asked: Asked) -> bytes:
    """JSON: the list of items of a request; a text is a message. Raises `Reject`."""
    given = asked.input
    text = b"null" if given is UNSET else bytes(given)
    if text.startswith(b"["):
        return text
    if text == b"null":
        return b"[]"
    if not text.startswith(b'"'):
        raise Reject(400, "invalid_request", "input: expected a string or a list of items", param="input")
    return _encode([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": Raw(text)}]}])


def gone_on(body: bytes, turns: tuple[Turn, ...], own: bytes, *, signed: bool) -> bytes:
    """The request with a conversation in front of its `own` input. `signed`: without reasoning that its maker could not read again, which
    OpenAI refuses.
    """
    before = [text for turn in turns for text in (turn.input, turn.output)]
    if signed:
        before = [_encode([item for item in _items(text) if not _unsigned(item)]) for text in before]
    members = _members(body)
    del members["previous_response_id"]
    # Lists are joined as texts: a conversation may be large, and nobody here has to look into it.
    inside = [inner for text in (*before, own) if (inner := text.strip()[1:-1].strip())]
    members["input"] = Raw(b"[" + b",".join(inside) + b"]")
    return _encode(members)


def without_store(body: bytes) -> bytes:
    """The request, that says nothing of storing."""
    members = _members(body)
    members.pop("store", None)
    return _encode(members)


def _unsigned(item: Raw) -> bool:
    glance = _glance(item)
    return glance.type == "reasoning" and not glance.encrypted_content


class Referred(Struct, frozen=True, tag=True):
    """What `Refer` finds."""

    times: dict[str, int]
    """By the id of an item of ours: how often the request names it."""


class Refer(Struct, frozen=True, tag=True):
    """The job to find the items of ours that a request names by their ids alone, see `aside`."""

    def work(self, body: bytes) -> Referred:
        """Does it. Raises `Reject` 400 where there are too many."""
        named = [glance.id for item in _input(body) if _response_of(glance := _glance(item))]
        times = Counter(named)
        responses = len({response_named(identifier) for identifier in times})
        if len(named) > REFERENCES or responses > RESPONSES:
            message = f"input: at most {REFERENCES} items can be referred to, of at most {RESPONSES} responses; send the items themselves."
            raise Reject(400, "invalid_request", message, param="input")
        return Referred(dict(times))


class Resolved(Struct, frozen=True, tag=True):
    """What `Resolve` makes."""

    body: bytes


class Resolve(Struct, frozen=True, tag=True):
    """The job to put items where a request names them, see `aside`."""

    items: dict[str, bytes]
    """JSON, by the item's id."""

    def work(self, body: bytes) -> Resolved:
        """Does it."""
        items = []
        for item in _input(body):
            glance = _glance(item)
            items.append(Raw(self.items[glance.id]) if _response_of(glance) else item)
        return Resolved(_encode(_members(body) | {"input": Raw(_encode(items))}))


def response_named(item: str) -> str:
    """The response of ours that an item's id says it is of; empty: none."""
    found = _OUR_ITEM.fullmatch(item)
    return f"resp_{found[1]}" if found else ""


def items_of(turn: Turn, wanted: Iterable[str]) -> dict[str, bytes]:
    """Those items of an answer that are wanted, by their ids, the first one of each."""
    left, found = set(wanted), {}
    for item in _items(turn.output):
        identifier = _glance(item).id
        if type(identifier) is str and identifier in left:
            left.remove(identifier)
            # A copy: what is left of the answer may go.
            found[identifier] = bytes(item)
    return found


def unknown_item(identifier: str) -> Reject:
    """OpenAI's answer to an `item_reference` to an item that it does not know."""
    return Reject(404, "not_found", f"Item with id '{identifier}' not found.", param="input")


def _input(body: bytes) -> list[Raw]:
    given = _members(body).get("input", Raw(b"[]"))
    return _items(given) if bytes(given).startswith(b"[") else []


def _response_of(item: _Glance) -> str:
    return response_named(item.id) if item.type == "item_reference" and type(item.id) is str else ""


def ended(events: bytes) -> bytes | None:
    """The whole response that one of these events tells, if it is the last one of a stream that came to its end."""
    if not any(events.find(word) >= 0 for word in _ENDED):
        return None
    for event in split(SSE, events):
        try:
            last = _last(data_of(event))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if last.type.encode() in _ENDED:
            return bytes(last.response)
    return None


def turn_of(response: bytes, previous: str, given: bytes) -> Turn | None:
    """The turn that ends with this response; None if it is none that one can go on from. `given`: the input, as `own_input` has it."""
    try:
        members = _members(response)
        identifier, status = (msgspec.json.decode(members[name]) for name in ("id", "status"))
        output = bytes(members.pop("output"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None
    if type(identifier) is not str or status not in ("completed", "incomplete") or not output.startswith(b"["):
        return None
    # A provider that keeps nothing says so, and knows of nothing that went before.
    members["store"], members["previous_response_id"] = Raw(b"true"), Raw(_encode(previous or None))
    return Turn(id=identifier, previous=previous, input=given, output=output, response=_encode(members))


def show(turn: Turn) -> bytes:
    """The response, as it was given."""
    return _encode(_members(turn.response) | {"output": Raw(turn.output)})


def show_input(turns: tuple[Turn, ...], query: str) -> bytes:
    """A page of what a response was an answer to: all items before its output, the latest first unless asked otherwise. Raises `Reject`."""
    told = {name: values[-1] for name, values in parse_qs(query).items()}
    items = [
        (item, _id_of(_glance(item), f"{turn.id.removeprefix('resp_')}_in{number}"))
        for turn in turns
        for number, item in enumerate(_items(turn.input) + ([] if turn is turns[-1] else _items(turn.output)))
    ]
    if told.get("order") != "asc":
        items.reverse()
    after = told.get("after")
    if after is not None:
        at = next((number for number, (_, name) in enumerate(items) if name == after), None)
        if at is None:
            raise Reject(400, "invalid_request", f"There is no item {after[:80]!r} here.", param="after")
        items = items[at + 1 :]
    limit = _limit(told.get("limit", ""))
    page = [_listed(_object(item), name) for item, name in items[:limit]]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return _encode({"object": "list", "data": page, **ends, "has_more": len(items) > limit})


def _id_of(item: _Glance, name: str) -> str:
    """An item's id; one that ends with `name`, if it has none."""
    return str(item.id) if item.id else f"{_PREFIXES.get(item.type, 'msg') if type(item.type) is str else 'msg'}_{name}"


def _listed(item: Extra, identifier: str) -> Extra:
    """An item as it is listed: with what clients may leave out."""
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    listed = {**item, "type": kind, "id": identifier}
    if kind == "message":
        content = listed.get("content")
        listed.setdefault("status", "completed")
        if type(content) is str:
            part = {"type": "output_text", "annotations": []} if item.get("role") == "assistant" else {"type": "input_text"}
            listed["content"] = [{**part, "text": content}]
    return listed


def _limit(text: str) -> int:
    if not text:
        return _LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LIMIT_MOST):
        raise Reject(400, "invalid_request", f"limit: expected a number from 1 to {_LIMIT_MOST}", param="limit")
    return int(text)


def show_deleted(identifier: str) -> bytes:
    """That a response is kept no more."""
    return _encode({"id": identifier, "object": "response", "deleted": True})


def unknown_previous(identifier: str) -> Reject:
    """OpenAI's answer to a `previous_response_id` that it does not know."""
    message = f"Previous response with id '{identifier[:200]}' not found."
    return Reject(400, "previous_response_not_found", message, param="previous_response_id")


def unknown(identifier: str) -> Reject:
    """OpenAI's answer to a path with an id that it does not know."""
    return Reject(404, "not_found", f"Response with id '{identifier[:200]}' not found.")
