"""Tokens that a provider was asked to count, and does not: it has no such endpoint, or not for this model."""

import re

from extproc.answering.failure import Failure
from extproc.aside import is_bearable
from extproc.bodies import invoked
from extproc.errors import Fault, Reject
from extproc.estimate import ESTIMATED, Estimate

_NOWHERE = (404, 405, 501)
"""Statuses of an endpoint that is not there: Anthropic's and OpenAI's dialects are spoken by many who have no more than conversations."""
_UNABLE = (400, 422)
_COUNTING, _UNSUPPORTED = r"(count\w* (of )?tokens|token[ -]count\w*)", r"(not|n't|un)[ -]?support"
_WORDS = re.compile(rf"{_UNSUPPORTED}.{{0,40}}{_COUNTING}|{_COUNTING}.{{0,60}}{_UNSUPPORTED}", re.IGNORECASE)
"""Bedrock's "The provided model doesn't support counting tokens.", and others' words for it."""


class Uncounted(Failure):
    """An error in place of a count. Where it says that nobody counts there, the client gets an estimate, as it does for models of which
    that is known beforehand; a model that is not there stays an error.
    """

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        told = super().feed(chunk, end)
        terms = self._terms
        if not end or not self._is_missing(terms.provider.read_error(self._told, self._body.whole())) or not self._is_bearable():
            return told
        try:
            made = Estimate(terms.client.name, terms.model, terms.kind).work(terms.question)
        except Reject:
            return told
        self.status, self.error, self.rewrites = 200, "", True
        self.headers = {"content-type": "application/json", ESTIMATED: "tokens"}
        return [made.body]

    def _is_bearable(self) -> bool:
        question = self._terms.question
        return is_bearable(question) and (self._terms.kind == "count" or is_bearable(invoked(question)))

    def _is_missing(self, fault: Fault) -> bool:
        if self._told in _NOWHERE:
            return fault.code != "model_not_found"
        return self._told in _UNABLE and _WORDS.search(fault.message) is not None
