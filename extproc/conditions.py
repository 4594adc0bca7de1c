"""Which requests a target is for, as `when` and `lacks` say."""

import re
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from extproc.config.model import Aim
from extproc.config.when import When
from extproc.globs import regex
from extproc.needs import needs
from extproc.size import input_tokens
from extproc.values import Request

TAGS, THEIR_TAGS = "x-headgate-tags", "x-litellm-tags"
"""Headers with a request's tags, commas between them: https://docs.litellm.ai/docs/proxy/tag_routing"""
REGION = "x-headgate-region"
"""Header with the region that a request belongs to."""


class Facts:
    """What conditions ask of one request. What takes a look at the body is found out once, and only if one of them asks."""

    __slots__ = ("_needs", "_size", "_tags", "_wanted", "request")

    def __init__(self, request: Request, wanted: frozenset[str] = frozenset()) -> None:
        """`wanted`: the needs that any of the conditions asks for."""
        self.request = request
        self._wanted = wanted
        self._needs: frozenset[str] | None = None
        self._tags: frozenset[str] | None = None
        self._size = -1

    @property
    def needs(self) -> frozenset[str]:
        """Those of `wanted` that it has."""
        if self._needs is None:
            self._needs = needs(self.request, self._wanted)
        return self._needs

    @property
    def tags(self) -> frozenset[str]:
        """Its tags, of whichever header, and of its body."""
        if self._tags is None:
            headers = self.request.headers
            told = ",".join(headers[name] for name in (TAGS, THEIR_TAGS) if name in headers)
            listed = [*told.split(","), *(_tagged(self.request.body) if self.request.endpoint.json else ())]
            self._tags = frozenset(tag for one in listed if (tag := one.strip()))
        return self._tags

    @property
    def size(self) -> int:
        """Tokens of input, estimated; 0 for what is no JSON."""
        if self._size < 0:
            self._size = input_tokens(self.request.body) if self.request.endpoint.json else 0
        return self._size


class Conditions:
    """What must hold of a request, all of it."""

    __slots__ = ("_at_least", "_at_most", "_headers", "_lacks", "_needs", "_regions", "_tags", "_tenants", "wanted")

    def __init__(self, when: When, lacks: Iterable[str] = ()) -> None:
        self._headers = tuple((name, _pattern([wanted])) for name, wanted in when.headers.items())
        self._tenants, self._regions, self._tags = (
            _pattern(globs) if globs else None for globs in (when.tenants, when.regions, when.tags)
        )  # fmt: skip
        self._at_least, self._at_most = when.input.at_least, when.input.at_most
        self._needs, self._lacks = frozenset[str](when.needs), frozenset(lacks)
        self.wanted = self._needs | self._lacks
        """Needs that it asks for."""

    def fails(self, facts: Facts) -> str:
        """What does not hold, by its name in the configuration; empty if the target is for this request. The cheapest is asked first."""
        request = facts.request
        if self._tenants is not None and not self._tenants.fullmatch(request.identity.tenant):
            return "tenants"
        headers = request.headers
        for name, wanted in self._headers:
            if name not in headers or not wanted.fullmatch(headers[name]):
                return "headers"
        if self._regions is not None and not self._regions.fullmatch(headers.get(REGION, "")):
            return "regions"
        return self._fails_in_body(facts)

    def _fails_in_body(self, facts: Facts) -> str:
        if self._tags is not None and not any(map(self._tags.fullmatch, facts.tags)):
            return "tags"
        if (self._at_least and facts.size < self._at_least) or (self._at_most is not None and facts.size > self._at_most):
            return "input"
        if self._needs and self._needs.isdisjoint(facts.needs):
            return "needs"
        return "lacks" if self._lacks and not self._lacks.isdisjoint(facts.needs) else ""


def conditions(aim: Aim) -> Conditions | None:
    """The conditions that a target has; None where it has none."""
    return Conditions(aim.when, aim.lacks) if aim.when != When() or aim.lacks else None


def _pattern(globs: Iterable[str]) -> re.Pattern[str]:
    """Any of them."""
    return re.compile("|".join(map(regex, globs)), re.DOTALL)


class _Tagged(Struct):
    tags: list[str] | str | None = None


class _Told(Struct):
    tags: Raw = Raw()
    metadata: Raw = Raw()


_decode_told = msgspec.json.Decoder(_Told).decode
_decode_tagged = msgspec.json.Decoder(_Tagged).decode


def _tagged(body: bytes) -> Iterator[str]:
    """What a body says by `tags` or `metadata.tags`: a list or, as OpenAI's metadata are texts, a text with commas."""
    if b'"tags"' not in body:
        return
    try:
        told = _decode_told(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # a filter before this one has read it, so it is nested too deeply
    for holder in (b'{"tags":%b}' % bytes(told.tags) if told.tags else b"", bytes(told.metadata)):
        try:
            found = _decode_tagged(holder).tags if holder else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # tags, or metadata, of another kind
        yield from found.split(",") if isinstance(found, str) else found or ()
