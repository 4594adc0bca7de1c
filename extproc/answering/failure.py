"""Errors: the provider's, and those that its answers are."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from extproc.answering.credential import OURS, UNKNOWN, complaint, is_ours, refused
from extproc.answering.terms import Collected, Terms
from extproc.answering.way import Answering, held
from extproc.dialects.failing import advised, decoded, inside
from extproc.errors import Fault
from extproc.resets import resets
from extproc.values import BodyMode

BAD_REQUEST = 400
"""The first status of an error."""
LIMITING = (429, 503, 529)
"""Statuses of what is over after a while, which may be told."""


class Failure(Answering):
    """An error of the provider's, read whole, and told in the client's dialect where it is not in that, or the error is ours.

    What it means stands in its body, and decides its status; so the head waits for that.
    """

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str], *, json: bool = True) -> None:
        """`json`: False for a load balancer's page, which no client's dialect knows."""
        super().__init__(502 if status == UNKNOWN or (status in OURS and not terms.raw) else status)
        self.mode = held(headers, BodyMode.BUFFERED_PARTIAL)
        self.rewrites = not terms.same or status == UNKNOWN or not json
        if self.rewrites:
            self.headers = {"content-type": "application/json"}
        self._told = status
        self._head = headers
        self._terms = terms
        self._body = Collected(terms)

    def completes(self, chunk: bytes) -> bool:
        return self._body.completes(chunk)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._body.add(chunk)
        if not end:
            return []
        terms, body = self._terms, self._body.whole()
        fault = terms.provider.read_error(self._told, body)
        # Of what is not inference, 403 is often told for a file that is not there.
        if is_ours(self._told, fault) and (fault.code == "invalid_api_key" or not terms.raw or self._told == UNKNOWN):
            terms.log(complaint(self._told, fault.message))  # which only the operator can mend
            fault, advice = refused(terms, self._told, fault.message), {"content-type": "application/json"}
            if terms.client.id_header:
                advice[terms.client.id_header] = terms.request_id
            self.rewrites = True
        else:
            fault, advice = advised(fault, self._head)
        # A client of the provider's own dialect knows its status for what it is.
        self.status = fault.status if self.rewrites else self._told
        self.headers = {**self.headers, **advice}
        self.error, self.finished = fault.code, True
        if self._told in LIMITING:
            self.resets = resets(self._head, body)
        return [terms.error(fault)] if self.rewrites else [body]


class Told(Answering):
    """An error of ours to tell, whatever the provider still sends."""

    rewrites = True

    def __init__(self, terms: Terms, fault: Fault, body: bytes = b"") -> None:
        """`body`: what tells it in the client's dialect already."""
        super().__init__(fault.status)
        self.headers = {"content-type": "application/json"}
        self.error = fault.code
        self._body = [body or terms.error(fault)]

    @property
    def voids(self) -> tuple[str, ...]:
        # Where a redirect points to: a client would go there with its own key.
        return (*super().voids, "location")

    def completes(self, chunk: bytes) -> bool:
        return True

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        told, self._body = (self._body, []) if end else ([], self._body)
        return told


_STATUS = 502
"""Of an error that has none, or an answer's."""


def instead(terms: Terms, fault: Fault, body: bytes, head: Mapping[str, str]) -> Told:
    """The error that a whole answer of the client's own dialect is, with the status that it means. What tells it in that dialect's form
    stays as it is.
    """
    if is_ours(fault.status, fault):
        terms.log(complaint(fault.status, fault.message))
        return Told(terms, refused(terms, fault.status, fault.message))
    if fault.status < BAD_REQUEST:
        fault = msgspec.structs.replace(fault, status=_STATUS)
    fault, advice = advised(fault, head)
    told = Told(terms, fault, body if _is_said(body, terms, fault) else b"")
    # A client of the provider's own dialect knows its status for what it is: OpenAI's for money that has run out is 429.
    told.status = _number(body) or told.status
    if told.status in LIMITING:
        told.resets = resets(head, body)
    told.headers |= advice
    return told


def _number(body: bytes) -> int:
    """The status that an error gives itself as its `code`; 0 if it gives none."""
    error = inside(decoded(body))
    number = error.get("code") if type(error) is dict else 0
    return number if type(number) is int and BAD_REQUEST <= number < 600 else 0


def _is_said(body: bytes, terms: Terms, fault: Fault) -> bool:
    """Whether it has what an error has in the client's dialect, or more."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    form = terms.client.write_error(fault, "")
    return type(given) is dict and all(type(given.get(name)) is type(value) for name, value in form.items())


def redirected(terms: Terms, status: int, location: str) -> Told:
    """A redirect. Nobody follows it: the gateway's credential would go to another host, and so would the client's."""
    return no_answer(
        terms, f"answered with status {status}, which points to {_place(location)} and is not followed; its base_url may be wrong"
    )


def _place(location: str) -> str:
    """Where a redirect points to, without what may be a secret: a query, a user's name."""
    try:
        parts = urlsplit(location)
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "no address"
    told = "".join(filter(str.isprintable, f"{parts.scheme}://{host}{parts.path}" if host else parts.path))
    return told[:_LONGEST] or "no address"


_LONGEST = 200
"""Of an address that is told, in characters."""


def no_answer(terms: Terms, why: str, status: int = 502) -> Told:
    """What cannot be read: neither JSON nor a stream where one of them was due, or too large. A captive portal, a wrong base URL.

    `status`: the provider's, which stands if it is that of an error.
    """
    terms.log(why)
    return Told(
        terms, Fault(status if status >= BAD_REQUEST else _STATUS, "bad_provider_answer", f"The provider {terms.provider_name} {why}.")
    )
