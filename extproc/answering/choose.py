"""Which way an answer goes, from its head."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from extproc.answering.apart import StreamApart, WholeApart
from extproc.answering.credential import REFUSING, UNKNOWN
from extproc.answering.failure import Failure, no_answer, redirected
from extproc.answering.terms import Terms
from extproc.answering.translated import StreamTranslated, WholeTranslated
from extproc.answering.uncounted import Uncounted
from extproc.answering.unpacked import PACKED, Unpacked
from extproc.answering.untouched import StreamUntouched, Untouched, WholeUntouched
from extproc.answering.way import BUFFERED_AT_MOST, Answering, length_of
from extproc.dialects.dialect import common
from extproc.usage import Usage
from extproc.values import BodyMode

_OK, _OTHERS, _SAME, _ERRORS = 200, 300, 304, 400
"""The usual status of an answer; the first one of redirects, and the one among those that points nowhere; the first one of errors."""
_BODILESS = (204, 205, 304)
"""Statuses that no body comes with (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5), and so no answer."""


def choose(status: int, headers: Mapping[str, str], terms: Terms) -> Answering:
    """The way of an answer with this head."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if terms.raw:
        return _about_the_key(status, headers, terms, encoding) or Untouched(status)
    if encoding in ("", "identity"):
        return _choose(status, headers, terms)
    if encoding in PACKED:
        # Its length is that of the packed body, and says nothing.
        plain = _choose(status, {name: value for name, value in headers.items() if name != "content-length"}, terms)
        return plain if plain.mode is BodyMode.NONE else Unpacked(plain, terms)
    return no_answer(terms, f"compressed its answer ({encoding[:50]}) though it was not asked to", status)


def _about_the_key(status: int, headers: Mapping[str, str], terms: Terms, encoding: str) -> Answering | None:
    """What passes unread is read after all where it may be that a provider refuses our credential, and repeat it."""
    if status == UNKNOWN:
        # Whatever it says: the key was ours, and none of it is told.
        return Failure(status, terms, headers)
    if status not in REFUSING or encoding not in ("", "identity", *PACKED):
        return None
    if _form(headers.get("content-type", ""), terms.provider.framing.media_type) != "json":
        return None
    failure = Failure(status, terms, headers)
    return Unpacked(failure, terms) if encoding in PACKED else failure


def _choose(status: int, headers: Mapping[str, str], terms: Terms) -> Answering:
    told = headers.get("content-type", "no content type")
    form = _form(told, terms.provider.framing.media_type)
    if status >= _ERRORS:
        return (Uncounted if common(terms.kind) == "count" else Failure)(status, terms, headers, json=form == "json")
    if _OTHERS <= status < _ERRORS and status != _SAME and terms.kind != "live":
        return redirected(terms, status, headers.get("location", ""))
    if status != _OK and status in _BODILESS and terms.kind != "live":
        return no_answer(terms, f"answered with status {status}, which has no body, where there is to be an answer")
    if form == "stream":
        if not terms.stream and common(terms.kind) == "chat":
            unasked = no_answer(terms, "sent a stream where none was asked for")
            unasked.at_once = True
            return unasked
        if terms.apart is not None:
            return StreamApart(status, terms, terms.apart)
        return StreamUntouched(status, terms) if terms.same else StreamTranslated(status, terms)
    if form == "json":
        size = length_of(headers)
        if size > terms.most:
            return no_answer(terms, f"sent an answer of {size} bytes, and at most {terms.most} are taken (limits.response_body)")
        whole = _whole(status, headers, terms)
        if terms.provider.counts[0] in headers:
            whole.counted = _counted(headers, terms.provider.counts)
        return whole
    if terms.same and (status >= _OTHERS or terms.kind == "live" or (form == "other" and _is_due(told, terms.gives))):
        return Untouched(status)
    if form == "page" or not terms.same:
        return no_answer(terms, f"answered with {told[:100]}, which is no answer; its base_url may be wrong")
    return _misnamed(status, headers, terms)


def _misnamed(status: int, headers: Mapping[str, str], terms: Terms) -> WholeUntouched | WholeTranslated:
    """JSON under another name, or none, as some small servers and proxies send it, is an answer to the clients of its own dialect, which do
    not look at that. All else is an error as a page is (a stream too: what sends one says so). The head waits for the body to tell that.
    """
    whole, size = _whole(status, headers, terms), length_of(headers)
    if not size:
        whole.mode = BodyMode.BUFFERED_PARTIAL
    elif size <= BUFFERED_AT_MOST:
        whole.mode = BodyMode.BUFFERED
    return whole


def _whole(status: int, headers: Mapping[str, str], terms: Terms) -> WholeUntouched | WholeTranslated:
    if terms.apart is not None:
        return WholeApart(status, terms, headers, terms.apart)
    return WholeUntouched(status, terms, headers) if terms.same else WholeTranslated(status, terms, headers)


def _counted(headers: Mapping[str, str], counts: tuple[str, str]) -> Usage:
    given, made = (int(value) if (value := headers.get(name, "")).isascii() and value.isdigit() else 0 for name in counts)
    return Usage(input=given, output=made)


@lru_cache(maxsize=256)
def _form(content_type: str, stream: str) -> Literal["json", "stream", "page", "other"]:
    bare = content_type.partition(";")[0].strip().lower()
    if bare == stream:
        return "stream"
    if bare.endswith("json"):
        return "json"
    return "page" if bare in _PAGES else "other"


_PAGES = ("text/html", "application/xhtml+xml")
"""What no provider answers with. A captive portal does, or who stands in front of the provider."""


def _is_due(content_type: str, gives: str) -> bool:
    """Whether what is neither JSON nor a stream is what is to be had there (`Place.gives`)."""
    return gives == "text" or (gives == "audio" and not content_type.lower().startswith(_TEXTS))


_TEXTS = ("text/", "application/xml")
