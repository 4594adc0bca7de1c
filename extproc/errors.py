"""The three kinds of error: `Reject` is the caller's, `ConfigError` the operator's, anything else is our bug.

A `Fault` is an error as a value, of no dialect: each dialect reads its provider's errors into one and writes one for its clients.
"""

import math

from msgspec import Struct


class Fault(Struct, frozen=True):
    """An error to tell a client, in no dialect yet."""

    status: int
    """HTTP status."""
    code: str
    """What went wrong in one snake_case word, for programs: `model_not_found`, `invalid_api_key`, `context_length_exceeded`, ..."""
    message: str
    """What went wrong and what to do, for people."""
    param: str | None = None
    """The field of the request that is to blame, if one is."""
    type: str | None = None
    """The provider's own word for the kind of error, where it came from a provider of the client's dialect."""
    retry_after: float | None = None
    """Seconds after which to try again, where the error's body tells them."""


INTERNAL = Fault(500, "internal_error", "The gateway failed. Its log has the reason, under this request's id.")
"""What a client is told of a bug of ours."""

GONE = Fault(503, "gateway_ending", "The gateway is being stopped, and the time for what was under way is over. Try again.")
"""What the client of a stream is told that the gateway does not live to see the end of."""


class Reject(Exception):
    """The caller's request is refused. Raised by filters and dialects; the client sees it in its own dialect."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.fault = Fault(status, code, message, param)
        self.headers = headers
        """Extra response headers, such as `retry-after`."""


def come_again(seconds: float) -> tuple[str, str]:
    """The header that says after how many seconds to try again: whole ones, and never none (RFC 9110, section 10.2.3)."""
    return "retry-after", str(max(1, math.ceil(seconds)))


class ConfigError(Exception):
    """The operator's configuration is wrong at `path` (like `$.providers.openai.key`)."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


def headline(error: Exception) -> str:
    """What is wrong, of an error of SQLAlchemy: behind the first line it puts the statement, and what was asked with it."""
    return str(error).partition("\n")[0]
