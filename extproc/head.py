"""The head of an answer: what becomes of a provider's until a client has it."""

from collections.abc import Mapping

from msgspec import Struct

from extproc.answering import Answering
from extproc.attempt import Attempt
from extproc.crossing import taken_off
from extproc.uploads import UPLOAD_URLS, through_us
from extproc.values import BodyMode, Request, Response

Edits = tuple[dict[str, str], tuple[str, ...]]
"""Headers to set, and to take off."""


class Head(Struct, frozen=True):
    """The head of an answer, as the client is to get it."""

    mode: BodyMode
    headers: dict[str, str]
    remove: tuple[str, ...]


def attempted(attempt: Attempt, answering: Answering, headers: Mapping[str, str], request: Request) -> Edits:
    """What a provider's head says to the only attempt."""
    set_headers, remove = attempt.response_headers(headers)
    if answering.rewrites:
        remove += answering.voids
    for name in UPLOAD_URLS:
        if name in headers:
            set_headers[name] = through_us(headers[name], attempt.upstream, attempt.root, request)
    set_headers.update(answering.headers)
    return set_headers, remove


def made(headers: Mapping[str, str], status: int, response: Response, mode: BodyMode, edits: Edits) -> Head:
    """The head that had these headers and this status, for `response`."""
    set_headers, remove = edits
    if response.status != status:
        set_headers[":status"] = str(response.status)
    for name, value in response.headers.items():
        if value is None:
            remove += (name,)
        elif headers.get(name) != value:
            set_headers[name] = value
    return Head(mode, set_headers, taken_off(tuple(headers), remove, tuple(set_headers)) if remove else ())
