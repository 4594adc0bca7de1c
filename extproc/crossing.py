"""Which headers may cross: from a caller to a provider, and from a provider to a caller.

Nobody's credential reaches somebody else, and what is internal stays inside. Callers put secrets in headers of any name, so what
merely looks like one is held back too; a `headers` rule can send anything on purpose.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import filterfalse
from typing import Annotated
from urllib.parse import unquote_plus

from msgspec import Meta

ClientHeader = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$", description="a header's name in lower case")]
"""The name of a header that a client sends, as the configuration has it (RFC 9110, section 5.1)."""

CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-openai-key", "x-anthropic-key", "x-litellm-api-key")
"""Where clients put keys, in the order in which they are looked at."""

KEY_PARAMETER = "key"
"""Where Google's clients may put a key: a parameter of the path's query."""

KEY_PROTOCOL = "openai-insecure-api-key."
"""Begins a WebSocket's subprotocol that is a key: a browser cannot set headers, so OpenAI takes one there."""

_SECRET = re.compile(r"auth|key|token|secret|passw|credential|cookie|session|signature|jwt|oidc|saml|csrf|xsrf")

# Harmless in spite of their names.
_NO_SECRET = frozenset({"idempotency-key", "sec-websocket-key"})

_INBOUND = re.compile(
    r"x-(headgate|envoy|forwarded|original|real|b3|client-cert|amzn|amz|cloud-trace|datadog|correlation|azure)(-|$)"
    r"|cf-|cdn-|sec-fetch-|sec-ch-|proxy-|traceparent$|tracestate$|baggage$|b3$|forwarded$|via$|origin$|referer$|dnt$"
    # The account of whoever called, which is not the account of the key that we send.
    r"|openai-organization$|openai-project$|x-goog-user-project$"
    # For a gateway, and read here (`conditions.py`).
    r"|x-litellm-tags$"
    # Another method than the one that was judged.
    r"|x-http-method(-override)?$|x-method-override$"
    # What Envoy and the attempt set themselves; the last one may hold a key.
    r"|host$|content-length$|connection$|keep-alive$|te$|transfer-encoding$|trailer$|expect$|priority$|sec-websocket-protocol$"
)
_OUTBOUND = re.compile(
    r"set-cookie|openai-organization$|openai-project$|anthropic-organization-id$|x-(headgate|envoy|amzn|amz|served|cache|robots|xss)(-|$)"
    r"|cf-|cdn-|server$|via$|alt-svc$|strict-transport-security$|report-to$|nel$|x-request-id$|www-authenticate$|access-control-"
    r"|x-content-type-options$|x-frame-options$|content-security-policy|x-powered-by$|clear-site-data$|connection$|keep-alive$"
    r"|transfer-encoding$|trailer$|proxy-|refresh$|location$"
)

# What a request keeps when it is translated: nothing that belongs to a dialect.
_NEUTRAL = frozenset({"user-agent", "x-client-request-id"})
_NEUTRAL_BACK = frozenset({"retry-after", "retry-after-ms", "x-should-retry", "content-type", "date", "cache-control"})


@lru_cache(maxsize=4096)
def to_provider(name: str) -> bool:
    """May a caller's header go to a provider of the caller's dialect?"""
    if name.startswith(":") or _INBOUND.match(name):
        return False
    return not looks_secret(name)


def looks_secret(name: str) -> bool:
    """Whether a header of that name may hold a secret."""
    return name not in _NO_SECRET and _SECRET.search(name) is not None


@lru_cache(maxsize=4096)
def to_other_provider(name: str) -> bool:
    """May a caller's header go to a provider of another dialect?"""
    return name in _NEUTRAL


@lru_cache(maxsize=4096)
def to_caller(name: str) -> bool:
    """May a provider's header go to the caller?"""
    return name.startswith(":") or not _OUTBOUND.match(name)


@lru_cache(maxsize=4096)
def to_other_caller(name: str) -> bool:
    """May a provider's header go to a caller of another dialect?"""
    return name.startswith(":") or name in _NEUTRAL_BACK


def without_credential(path: str) -> str:
    """A caller's path without what of its query looks like a credential: Google's clients may put their key there."""
    bare, _, query = path.partition("?")
    if not query:
        return path
    kept = [pair for pair in query.split("&") if not _SECRET.search(unquote_plus(pair.partition("=")[0]).lower())]
    return f"{bare}?{'&'.join(kept)}" if kept else bare


@lru_cache(maxsize=512)
def those(names: tuple[str, ...], may: Callable[[str], bool]) -> tuple[str, ...]:
    """Those of `names` that `may`, in their order.

    A client's requests have all the same names in the same order, and so have a provider's answers: one look-up does for a whole head.
    """
    return tuple(filter(may, names))


@lru_cache(maxsize=512)
def others(names: tuple[str, ...], may: Callable[[str], bool]) -> tuple[str, ...]:
    """Those of `names` that may not."""
    return tuple(filterfalse(may, names))


@lru_cache(maxsize=512)
def withheld(seen: tuple[str, ...], same: bool, upgraded: bool, removed: tuple[str, ...]) -> tuple[str, ...]:
    """What no client gets of a provider's headers. `removed`: by the provider's edits."""
    held = others(seen, to_caller if same else to_other_caller)
    if upgraded:
        # Without `connection: upgrade` an upgrade is none (RFC 9110, section 7.8).
        held = tuple(name for name in held if name != "connection")
    return (*held, *(name for name in removed if name in seen and name not in held))


@lru_cache(maxsize=512)
def taken_off(seen: tuple[str, ...], remove: tuple[str, ...], set_: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be removed from a head: those of `remove` that are there and not set anyway, once each."""
    return tuple(name for name in dict.fromkeys(remove) if name in seen and name not in set_)


def may_remove(name: str) -> bool:
    """Whether a header may be taken off before Envoy routes the request: it finds no route without `x-forwarded-proto`, which its
    routes take off themselves.
    """
    return name[0] != ":" and name != "x-forwarded-proto"
