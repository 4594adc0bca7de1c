"""Secrets taken out of what is compared. Where nobody can know whether something is one, it is taken for one.

What stands in place of a secret (its mark) is the same wherever that stands, so that one that has changed is told from one that has not.
"""

import re
from typing import Any

HIDDEN = "(secret)"
HEADERS = re.compile("auth|cookie|credential|key|pass|secret|token", re.IGNORECASE)
"""In the name of a header that may carry a secret."""
_REFERENCE = re.compile(r"(env|file):\S+|\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_FIELDS = re.compile("credential|inline_?(bytes|string)|key_?id|pass|private_?key|secret|token|api_?key|auth_value", re.IGNORECASE)
"""In the name of a field of Envoy's whose text may be a secret, as may be whatever stands there in place of a file."""
_NAMED = ("key", "name", "header_name", "headerName")
"""Fields that say of which header the others are."""
_VALUES = re.compile("value$|raw_?value|match$|^exact$", re.IGNORECASE)
"""Those others."""
_USER = re.compile(r"(?<=://)[^/?#\s]+(?=@)")
_QUERY = re.compile(r"([?&][^=&\s]*(?:key|pass|secret|sig|token)[^=&\s]*=)[^&#\s]+", re.IGNORECASE)

Marks = dict[str, str]
"""What stands in place of secrets, by these."""


def mark(secret: str, marks: Marks) -> str:
    """The one for this secret."""
    return marks.setdefault(secret, f"not-shown-{len(marks) + 1}")


def is_reference(text: str) -> bool:
    """Whether it says where a value is, and nothing of what it is, as `${NAME:-default}` does."""
    return _REFERENCE.fullmatch(text) is not None


def url_hidden(text: str) -> str:
    """Without what URLs in it have of users, passwords and secrets in queries."""
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _USER.sub(HIDDEN, text))


def fragment_hidden(value: Any, marks: Marks, *, secret: bool = False) -> Any:
    """A part of Envoy's configuration, as an operator has written it, without secrets. `secret`: all texts in it are some."""
    if isinstance(value, list):
        return [fragment_hidden(one, marks, secret=secret) for one in value]
    if isinstance(value, dict):
        carrier = any(isinstance(name := value.get(field), str) and HEADERS.search(name) for field in _NAMED)
        return {
            field: one if field == "@type" else fragment_hidden(one, marks, secret=secret or _is_secret(field, one, carrier=carrier))
            for field, one in value.items()
        }
    if not isinstance(value, str) or is_reference(value):
        return value
    return mark(value, marks) if secret else url_hidden(value)


def _is_secret(field: str, value: Any, *, carrier: bool) -> bool:
    if carrier and _VALUES.search(field):
        return True
    texts = value if isinstance(value, list) else [value]
    # A section that is named so has fields that are harmless, such as where the secret is to be had.
    return all(isinstance(one, str) for one in texts) and _FIELDS.search(field) is not None
