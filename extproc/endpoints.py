"""What a path means: which dialect its client speaks, and what is asked. The rows are the dialects' own (`Dialect.places`)."""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from msgspec.structs import replace

from extproc.deployments import MODEL_PARAMETERS, may_name_deployment
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Place
from extproc.dialects.forms import MEDIA_TYPE
from extproc.errors import Reject
from extproc.inference import infers, infers_live, may_ask, misplaced
from extproc.inference import plain as read_leniently
from extproc.values import Endpoint

FALLBACK = "openai"
"""The dialect of whoever does not say: most providers and tools speak it."""

_MISTRAL = re.compile(r"mistral-client-|mistralai")
"""In what Mistral's SDKs say of themselves: `mistral-client-python/3.7.0`, or what they are generated with:
`speakeasy-sdk/python 3.7.0 2.935.1 1.0.0 mistralai`."""

_SHARED = "/v1/"
"""Begins paths of many dialects: of a path there that is no row's, it says nothing."""

_NAMED = "/providers/"
_TOLD_HERE = {"/v1/providers/status": "status", "/v1/teams": "teams"}
"""Paths of our own, and what is asked there."""


class _Row(NamedTuple):
    dialect: str
    place: Place

    def endpoint(self, model: str = "", rest: str = "") -> Endpoint:
        place = self.place
        return Endpoint(
            self.dialect, place.kind, model, place.stream, place.asks_usage, rest, place.body, place.spoken,
            gives=place.gives, reading=place.reading,
        )  # fmt: skip


class _Rows:
    """Rows of some methods, found by path: most have no name in it, and are found at once."""

    def __init__(self, methods: tuple[str, ...], dialects: Iterable[str]) -> None:
        rows = [_Row(name, place) for name in dialects for place in DIALECTS[name].places if place.method in methods]
        self.exact = {row.place.path: row.endpoint() for row in reversed(rows) if "{" not in row.place.path}
        self._named = [row for row in rows if "{model}" in row.place.path]
        # One expression for all: which of them matched is told by the number of its group.
        self._pattern = re.compile("|".join(_expression(row.place.path) for row in self._named) or r"(?!)", re.IGNORECASE)

    def find(self, path: str) -> Endpoint | None:
        """What is asked at `path`, which has no query."""
        if (known := self.exact.get(path)) is not None:
            return known
        found = self._pattern.fullmatch(path)
        if found is None or found.lastindex is None:
            return None
        return self._named[found.lastindex - 1].endpoint(unquote(found[found.lastindex]), path[found.end(found.lastindex) :])


def _expression(path: str) -> str:
    before, after = ("[^/]+".join(map(re.escape, part.split("{}"))) for part in path.split("{model}"))
    return f"{before}(.+){after}"


_ASKED = _Rows(("POST",), DIALECTS)
_LISTED = {name: _Rows(("GET",), [name]) for name in DIALECTS}
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")

# Where forms are taken, some providers take the same as JSON, with files named by URL.
_AS_JSON = {path: replace(known, kind="json") for path, known in _ASKED.exact.items() if known.kind == "form"}
FORM_PATHS = tuple(sorted(_AS_JSON))
"""Where forms that name a model are taken."""

_LIVE = {place.path: Endpoint(name, "live") for name, dialect in DIALECTS.items() for place in dialect.places if place.kind == "live"}

_MARKS = [(dialect.mark, name) for name, dialect in DIALECTS.items() if dialect.mark]
_PREFIXES = sorted(((prefix, name) for name, dialect in DIALECTS.items() for prefix in dialect.prefixes), key=lambda pair: -len(pair[0]))
_RAW = {name: Endpoint(name, "raw") for name in DIALECTS}


def endpoint(method: str, path: str, headers: dict[str, str]) -> Endpoint:
    """The endpoint that a request is for. Unknown paths are `raw`: they pass through to a provider of the client's dialect.

    A provider may be lenient about how its paths are written. What it might take for inference must not pass as `raw`, or a caller
    would have models that are not configured, and nobody would count them.
    """
    bare = path.partition("?")[0]
    plain = _plain(bare) if may_ask(method, headers) else ""
    if plain.startswith(_NAMED):
        # Of two names none is believed: the provider may be a gateway like this one.
        return Endpoint(FALLBACK, "misplaced")
    if plain and (meant := _ASKED.find(plain)) is not None:
        known = _ASKED.find(bare)
        if known is None or known.kind != meant.kind or "upgrade" in headers:
            return Endpoint(meant.dialect, "misplaced")
        if method != "POST":
            return Endpoint(meant.dialect, "other_method")
        multipart = headers.get("content-type", "").lower().startswith("multipart/")
        if known.kind == "form":
            return known if multipart else _AS_JSON[bare]
        if (known.asks_usage or known.kind == "embeddings") and "mistral" in (agent := headers.get("user-agent", "")):
            known = _heard(known, agent)
        return Endpoint(meant.dialect, "misplaced") if multipart else known
    if plain and (may_name_deployment(plain) or infers(plain)):
        return Endpoint(FALLBACK, "misplaced")
    if "upgrade" in headers:
        return _live(path, headers)
    dialect = _speaker(bare, headers)
    if method in _CHANGING and _is_list(dialect, bare):
        return Endpoint(dialect, "other_method")
    if (here := _TOLD_HERE.get(bare)) is not None:
        return Endpoint(dialect, here if method in ("GET", "HEAD") else "other_method")
    listed = _LISTED[dialect].find(bare.rstrip("/")) if method in ("GET", "HEAD") else None
    return _told(listed, headers) if listed and listed.kind != "live" else _RAW[dialect]


def _is_list(dialect: str, path: str) -> bool:
    """Whether the list of models, which is ours, is to be had there. One of them may be a provider's to delete (fine-tuned ones)."""
    listed = _LISTED[dialect].exact.get(path.rstrip("/"))
    return listed is not None and listed.kind == "models"


def _heard(known: Endpoint, agent: str) -> Endpoint:
    """What is asked for by POST, in the form that the client reads."""
    own = known.dialect == FALLBACK and known.kind in ("chat", "embeddings") and _MISTRAL.search(agent)
    return replace(known, sdk="mistral") if own else known


def _told(listed: Endpoint, headers: dict[str, str]) -> Endpoint:
    """What is asked for by GET, in the form that the client reads."""
    mistral = listed.dialect == FALLBACK and _MISTRAL.search(headers.get("user-agent", ""))
    return replace(listed, sdk="mistral") if mistral else listed


def _live(path: str, headers: dict[str, str]) -> Endpoint:
    """A WebSocket: of a known API, whose model is routed and whose use is counted, or of none."""
    bare, _, query = path.partition("?")
    known = _LIVE.get(bare)
    pairs = (pair.partition("=") for pair in query.split("&"))
    # Whatever the case of the parameter's name: a provider may be lenient there, too.
    models = [unquote_plus(value) for name, _, value in pairs if unquote_plus(name).lower() in MODEL_PARAMETERS]
    if known is None:
        speaker = _speaker(bare, headers)
        return Endpoint(speaker, "misplaced") if models or infers_live(_plain(bare)) else _RAW[speaker]
    # Of two models the provider might take the other one.
    one = len(models) == 1 and models[0]
    return (replace(known, model=one) if one else Endpoint(known.dialect, "misplaced")) if models else known


def _speaker(path: str, headers: dict[str, str]) -> str:
    """The dialect of a client that asks for what is no row's."""
    for prefix, name in _PREFIXES:
        if prefix != _SHARED and path.startswith(prefix):
            return name
    return next((name for mark, name in _MARKS if mark in headers), FALLBACK)


def _plain(path: str) -> str:
    return path if path in _ASKED.exact else read_leniently(path)


def named_provider(path: str) -> tuple[str, str]:
    """The provider that a path names, and the rest: `/providers/openai/v1/files` is `/v1/files` there. Empty where it names none.

    For clients that can be given a base URL, but no header.
    """
    if not path.startswith(_NAMED):
        return "", path
    name, slash, rest = path[len(_NAMED) :].partition("/")
    return (unquote(name), slash + rest) if name else ("", path)


def check_path(path: str) -> None:
    """Raises `Reject` 400 for a path that would lead out of a provider's prefix."""
    bare = path.partition("?")[0]
    if bare in _ASKED.exact:
        return
    bare = unquote(bare)
    if "\\" in bare or any(segment in (".", "..") for segment in bare.split("/")):
        raise Reject(400, "invalid_path", "The path holds `.`, `..` or a backslash, escaped or not; write it without.")


def check_head(meant: Endpoint, path: str, headers: dict[str, str], most: int) -> None:
    """What can be told of a request from its head alone. `most`: bytes of a body that is to be read whole. Raises `Reject`."""
    check_path(path)
    if meant.kind == "misplaced":
        raise misplaced()
    if meant.kind == "other_method":
        bare = path.partition("?")[0]
        allow = "GET" if bare in _TOLD_HERE or _is_list(meant.dialect, bare) else "POST"
        raise Reject(405, "method_not_allowed", f"This endpoint takes a {allow}, not another method.", headers=(("allow", allow),))
    if not meant.buffered:
        return
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        check_size(int(length), most)
    if encoding := headers.get("content-encoding"):
        raise Reject(415, "unsupported_encoding", f"The request body is compressed ({encoding}); send it as it is.")
    # Envoy buffers JSON and such forms only, so that a big upload is not held up; a body that it does not buffer cannot be read here.
    told, wanted = headers.get("content-type", "none"), MEDIA_TYPE if meant.kind == "form" else "application/json"
    if not told.lower().startswith(wanted):
        raise Reject(415, "unsupported_media_type", f"The content-type is {told}; send `content-type: {wanted}`.")


def check_size(size: int, most: int) -> None:
    """Raises `Reject` 413 for a body of more than `most` bytes."""
    if size > most:
        raise Reject(413, "request_too_large", f"The request body has {size} bytes; at most {most} are taken.")
