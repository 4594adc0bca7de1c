"""One request to the admin API: who asks, and the one transaction in which it is answered, with what must not happen twice.

A change and what is answered to it are committed together, and changes are made one at a time: so a request that comes a second time with
the same `Idempotency-Key` waits for the first, and gets its answer.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from anyio import to_thread
from fastapi import Depends, Request, Response
from msgspec import Struct

from extproc.admin.access import Access
from extproc.admin.caller import Caller
from extproc.admin.credentials import Credentials
from extproc.admin.opened import Opened
from extproc.admin.pages import Page
from extproc.admin.problems import request_id
from extproc.admin.unknown import near
from extproc.envoy.names import API_ADDRESS_HEADER
from extproc.errors import Reject
from extproc.store.audit import Answer
from extproc.store.models import Actor
from extproc.store.store import Store, Tables

LARGEST = 1 << 20
"""Bytes of a body."""
_TAG = re.compile(r'(?:W/)?"([0-9]{1,15})"')
_IDEMPOTENT = re.compile(r"[\x21-\x7e]{1,255}")
_JSON = "application/json"
T = TypeVar("T")


class Given(Struct, frozen=True):
    """What an answer is made of."""

    body: Any
    """Encoded by msgspec."""
    status: int = 200
    version: int | None = None
    """Of the thing in it: its ETag."""
    location: str = ""
    """Path of what was made."""
    kept: Any = None
    """What is kept for whoever asks once more with the same idempotency key; None: the body."""

    def answer(self) -> Response:
        """It, as it is sent."""
        headers = {"etag": _tag(self.version)} if self.version is not None else {}
        if self.location:
            headers["location"] = self.location
        return Response(msgspec.json.encode(self.body), self.status, headers, _JSON)


class Call:
    """One request."""

    def __init__(self, store: Store, caller: Caller, request: Request, content: bytes) -> None:
        self.caller = caller
        self.ids: dict[str, str] = request.path_params
        """What the path names."""
        self.request_id = request_id(request)
        self._store = store
        self._request = request
        self._content = content

    @property
    def has_body(self) -> bool:
        """Whether anything was sent."""
        return bool(self._content)

    def body(self, type: type[T]) -> T:
        """What was sent. Raises `Reject` 415 or 422, which names the field."""
        media = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in {_JSON, "application/merge-patch+json"}:
            raise Reject(415, "unsupported_media_type", "Send `content-type: application/json`.", param="content-type")
        try:
            return msgspec.json.decode(self._content, type=type)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$")
            where = path.strip("`.").removeprefix("[...]")
            raise Reject(422, "invalid", f"{message}{near(message, type, where)}.", param=where or None) from None
        except ValueError:
            raise Reject(400, "invalid_json", "The body is no JSON.") from None

    def read(self, look: Callable[[Tables, Access], T]) -> T:
        """One look at one moment of the store."""
        with self._store.read() as tables:
            return look(tables, Access(tables, self.caller))

    def show(self, look: Callable[[Tables, Access], Given]) -> Response:
        """Answers with one thing; 304 to who has it already (`If-None-Match`)."""
        given = self.read(look)
        if given.version is not None and (seen := self._versions("if-none-match")) is not None and (not seen or given.version in seen):
            return Response(status_code=304, headers={"etag": _tag(given.version)})
        return given.answer()

    def list(self, look: Callable[[Tables, Access], tuple[Sequence[Any], str]]) -> Response:
        """Answers with a part of a list, and what to ask for to get the next."""
        items, after = self.read(look)
        return Given(Page(list(items), after or None)).answer()

    def write(self, change: Callable[[Tables, Access], Given | None]) -> Response:
        """Changes something and answers; None: with 204. All of it happens, or nothing."""
        key = self._idempotency_key()
        actor = Actor(self.caller.actor, self.request_id)
        with self._store.write(actor) as tables:
            asked = self._asked()
            if key and (before := tables.answers.find(key, asked)) is not None:
                return Response(before.body, before.status, {"idempotent-replayed": "true"}, _JSON if before.body else None)
            given = change(tables, Access(tables, self.caller))
            answer = given.answer() if given is not None else Response(status_code=204)
            if key:
                kept = given.kept if given is not None and given.kept is not None else None
                content = msgspec.json.encode(kept) if kept is not None else bytes(answer.body)
                tables.answers.keep(key, asked, Answer(answer.status_code, content))
        return answer

    def expected(self, entity: Any) -> int | None:
        """The version that the caller has seen (`If-Match`), if he says so. Raises `Reject` 412 if that is another one."""
        seen = self._versions("if-match")
        if seen and entity.version not in seen:
            message = f"It has been changed by somebody else: it is at version {entity.version}."
            raise Reject(412, "version_mismatch", message, headers=(("etag", _tag(entity.version)),))
        return entity.version if seen else None

    def _versions(self, header: str) -> set[int] | None:
        """The versions that a header names; none of them for `*`, None where it is not there or names what no ETag of ours is."""
        text = self._request.headers.get(header)
        if text is None:
            return None
        if text.strip() == "*":
            return set()
        found = {int(version) for version in _TAG.findall(text)}
        # An ETag that we never gave fits nothing.
        return found or {-1}

    def _idempotency_key(self) -> str:
        key = self._request.headers.get("idempotency-key", "")
        if key and not _IDEMPOTENT.fullmatch(key):
            raise Reject(422, "invalid", "An idempotency key has 1 to 255 printable ASCII characters.", param="idempotency-key")
        return key

    def _asked(self) -> bytes:
        """SHA-256 of all that makes the request what it is."""
        head = (self._request.method, self._request.url.path, self._request.headers.get("if-match", ""))
        return hashlib.sha256(msgspec.json.encode(head) + self._content).digest()


def _tag(version: int) -> str:
    return f'"{version}"'


async def _read(request: Request) -> bytes:
    too_large = Reject(413, "request_too_large", f"At most {LARGEST} bytes are taken.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > LARGEST:
        raise too_large
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > LARGEST:
            raise too_large
    return bytes(content)


async def called(request: Request) -> Call:
    """The request, once it is known who asks. Raises `Reject` 401."""
    credentials: Credentials = request.app.state.credentials
    opened: Opened = request.app.state.store
    # Who comes by Envoy comes by a Unix socket, and Envoy says from where.
    address = request.client.host if request.client is not None else request.headers.get(API_ADDRESS_HEADER, "")
    caller = await credentials.caller(request.headers, address)
    content = await _read(request)
    return Call(await to_thread.run_sync(opened), caller, request, content)


Called = Annotated[Call, Depends(called)]
"""The first parameter of every endpoint."""
