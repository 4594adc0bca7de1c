"""Errors: the provider's, and those that its answers are."""

from collections.abc import Mapping

from extproc.answering.credential import OURS, UNKNOWN, complaint, is_ours, refused
from extproc.answering.terms import Collected, Terms
from extproc.answering.way import BUFFERED_AT_MOST, Answering, length_of
from extproc.dialects.failing import advised
from extproc.errors import Fault
from extproc.values import BodyMode


class Failure(Answering):
    """An error of the provider's, read whole, and told in the client's dialect where it is not in that, or the error is ours.

    What it means stands in its body, and decides its status; so the head waits for that.
    """

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str], *, json: bool = True) -> None:
        """`json`: False for a load balancer's page, which no client's dialect knows."""
        super().__init__(502 if status == UNKNOWN or (status in OURS and not terms.raw) else status)
        self.mode = BodyMode.BUFFERED if 0 < length_of(headers) <= BUFFERED_AT_MOST else BodyMode.BUFFERED_PARTIAL
        self.rewrites = not terms.same or status == UNKNOWN or not json
        if self.rewrites:
            self.headers = {"content-type": "application/json"}
        self._told = status
        self._head = headers
        self._terms = terms
        self._body = Collected(terms)

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
        return [terms.error(fault)] if self.rewrites else [body]


class Told(Answering):
    """An error of ours to tell, whatever the provider still sends."""

    rewrites = True

    def __init__(self, terms: Terms, fault: Fault) -> None:
        super().__init__(fault.status)
        self.headers = {"content-type": "application/json"}
        self.error = fault.code
        self._body = [terms.error(fault)]

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        told, self._body = (self._body, []) if end else ([], self._body)
        return told


def no_answer(terms: Terms, why: str, status: int = 502) -> Told:
    """What cannot be read: neither JSON nor a stream where one of them was due, or too large. A captive portal, a wrong base URL.

    `status`: the provider's, which stands if it is that of an error.
    """
    terms.log(why)
    return Told(terms, Fault(status if status >= 400 else 502, "bad_provider_answer", f"The provider {terms.provider_name} {why}."))
