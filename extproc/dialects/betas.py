"""Anthropic's betas: the names of what is tried out. Its own API has them in a header, clouds in the body, as `anthropic_beta`.

https://docs.claude.com/en/api/beta-headers
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

import re
from typing import Any

import msgspec

from extproc.errors import Reject

MEMBER = "anthropic_beta"
HEADER = "anthropic-beta"
MAKER = "anthropic"
"""The dialect whose bodies have them."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What may stand in a header's list: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2"""
_MOST = 4096
"""Bytes of all of them: there is an end to what a provider takes of headers."""


def read_betas(given: Any) -> list[str]:
    """The names in a body's `anthropic_beta`, each once. Raises `Reject` 400 for what could not stand in a header."""
    names = [] if given is None else given
    if type(names) is not list or not all(type(name) is str for name in names):
        raise _refused("a list of names is wanted")
    # A header of several is made a list by clients as it is, spaces and all.
    names = [name for name in dict.fromkeys(name.strip(" ") for name in names) if name]
    if not all(map(_TOKEN.fullmatch, names)):
        raise _refused("a name has letters, digits and signs, and no space")
    if sum(map(len, names)) > _MOST:
        raise _refused("the names are too long, or too many")
    return names


def betas_in(text: bytes) -> list[str]:
    """The same of JSON, of which no more is decoded than may stand there."""
    if len(text) > 2 * _MOST:
        raise _refused("the names are too long, or too many")
    try:
        return read_betas(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _refused("a list of names is wanted") from None


def joined(header: str, betas: list[str]) -> str:
    """The value of a header for `betas` beside those that it has."""
    known = {name.strip() for name in header.split(",")}
    return ",".join([header] * bool(header) + [name for name in betas if name not in known])


def _refused(why: str) -> Reject:
    return Reject(400, "invalid_request", f"{MEMBER}: {why}", param=MEMBER)
