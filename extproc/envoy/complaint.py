"""What Envoy says of a configuration that it refuses, without what it quotes: whole messages, in which there may be secrets."""

import re

_INVALID = re.compile(r"Proto constraint validation failed \(.*?\)(?=: |\s*$)", re.DOTALL)
_QUOTED = re.compile(r"\s*(?:goo\.gle/debug\w*|: \{\").*", re.DOTALL)
"""A message as text, which protobuf marks so, at random in one of several ways; or as JSON."""


def without_quotes(text: str, *, brief: bool = False) -> str:
    """On one line. `brief`: of several lines, the first. Envoy's older releases quote behind the reason, newer ones before it."""
    reason = _INVALID.search(text)
    before = text[: reason.start()] if reason is not None else text
    before = _QUOTED.sub("", before).strip()
    parts = [(before.partition("\n")[0] if brief else before).removesuffix(":"), reason[0] if reason is not None else ""]
    return " ".join(": ".join(filter(None, parts)).split())
