r"""`x-forwarded-client-cert`: which client certificates a proxy in front has checked, and who that makes of a caller.

The form is Envoy's (configuration/http/http_conn_man/headers, x-forwarded-client-cert): elements with commas between them, one for each
proxy on the way; in each, pairs `key=value` with semicolons between them; a value with any of `,;=` in it stands in quotes, where `\"` is
a quote. What is not of this form is refused as a whole: where two readers could differ, somebody would profit.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from extproc.callers.joined import Claim
from extproc.config.callers import Mesh, Workload
from extproc.errors import Reject
from extproc.identity.claimed import Claimed
from extproc.values import Identity

HEADER = "x-forwarded-client-cert"

_LONGEST = 64 * 1024
_MOST = 32
"""Elements, and pairs of one element."""
_PAIR = re.compile(r'[ \t]*([A-Za-z][A-Za-z0-9_-]*)=(?:"((?:[^"\\]|\\.)*)"|([^",;=\s]*))[ \t]*')
_ESCAPED = re.compile(r"\\(.)")
_ONCE = ("hash", "cert", "chain", "subject")
_MANY = ("by", "uri", "dns")
_PART = {"uri": r"[A-Za-z0-9._~-]+", "dns": r"[A-Za-z0-9_-]+"}
"""What a placeholder stands for: one segment (SPIFFE-ID, section 2.2), or one label."""
_PLACE = re.compile(r"\{(tenant|key)\}|\*")


class Element(NamedTuple):
    """What one proxy says of its client."""

    by: tuple[str, ...] = ()
    """URIs of the proxy's own certificate."""
    hash: str = ""
    """SHA-256 of the client's."""
    subject: str = ""
    uri: tuple[str, ...] = ()
    """URIs of the client's."""
    dns: tuple[str, ...] = ()


def parse(value: str) -> list[Element]:
    """The elements of a header, the first client's first. Raises `ValueError` for what is not of the form above."""
    if len(value) > _LONGEST:
        raise ValueError("longer than any such header")
    elements: list[Element] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while True:
        found = _PAIR.match(value, at)
        if found is None or len(elements) >= _MOST or len(pairs) >= _MOST:
            raise ValueError(f"no pair of a key and a value at {at}, or too many")
        name, quoted, plain = found.groups()
        pairs.append((name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted)))
        at = found.end()
        sign = value[at : at + 1]
        if sign == ";":
            at += 1
            continue
        if sign not in ("", ","):
            raise ValueError(f"no end of a value at {at}")
        elements.append(_element(pairs))
        pairs = []
        if not sign:
            return elements
        at += 1


def _element(pairs: list[tuple[str, str]]) -> Element:
    """Raises `ValueError` where something is there twice that there is one of."""
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in _ONCE):
        raise ValueError("an element says something twice")
    one = dict(pairs)
    many = {name: tuple(value for known, value in pairs if known == name and value) for name in _MANY}
    return Element(hash=one.get("hash", ""), subject=one.get("subject", ""), **many)


class _Pattern(NamedTuple):
    field: str
    regex: re.Pattern[str]
    workload: Workload


class Certified:
    """The callers of a mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self._at = 0 if mesh.element == "first" else -1
        self._patterns = [_compiled(one) for one in mesh.workloads]

    def find(self, header: str) -> "Caller | None":
        """Who calls; None for a certificate of nobody that is known here. Raises `Reject` 401 where it cannot be read."""
        try:
            element = parse(header)[self._at]
        except ValueError:
            message = f"What the proxy in front of the gateway says of the client's certificate cannot be read (`{HEADER}`)."
            raise Reject(401, "invalid_client_certificate", message) from None
        for pattern in self._patterns:
            for name in _names(element, pattern.field):
                if (found := pattern.regex.fullmatch(name)) is not None:
                    return _caller(name, found.groupdict(), pattern.workload)
        return None


def _names(element: Element, field: str) -> Iterable[str]:
    return element.uri if field == "uri" else (name.lower() for name in element.dns)


def _compiled(workload: Workload) -> _Pattern:
    field, text = ("uri", workload.uri) if workload.uri is not None else ("dns", (workload.dns or "").lower())
    parts, at = [], 0
    for place in _PLACE.finditer(text):
        parts.append(re.escape(text[at : place.start()]))
        parts.append(f"(?P<{place[1]}>{_PART[field]})" if place[1] else _PART[field])
        at = place.end()
    return _Pattern(field, re.compile("".join(parts) + re.escape(text[at:])), workload)


def pattern_fault(text: str) -> str | None:
    """What is wrong with the pattern of a workload; None if nothing is."""
    places = [place[1] for place in _PLACE.finditer(text) if place[1]]
    if len(places) != len(set(places)):
        return "`{tenant}` and `{key}` stand here once each at most"
    rest = _PLACE.sub("", text)
    if "{" in rest or "}" in rest:
        return "nothing but `{tenant}` and `{key}` stands in braces here"
    if re.search(r"(\}|\*)(\{|\*)", text):
        return "between two places that stand for something there has to be a sign"
    return None


class Caller(NamedTuple):
    """Who calls, and whom of the store he belongs to."""

    identity: Identity
    claim: Claim | None


def _caller(name: str, found: dict[str, str], workload: Workload) -> Caller:
    key = found.get("key") or workload.key or name
    tenant = found.get("tenant") or workload.tenant
    said = [
        text.replace("{tenant}", tenant).replace("{key}", key) for text in (workload.organization, workload.team, workload.service_account)
    ]
    claim = Claim(Claimed("", said[0], said[1], "", said[2]), bool(tenant), refuse=True) if any(said) else None
    return Caller(Identity(tenant or key, key), claim)
