"""What is kept of changes: who made them, and what was answered to those that may be asked for twice."""

from hmac import compare_digest

from msgspec import Struct
from sqlalchemy import ColumnElement, delete, select

from extproc.errors import Reject
from extproc.store.models import AuditEntry, Idempotency
from extproc.store.repository import MOST, Work

KEPT = 24 * 3600 * 1000
"""Milliseconds for which an answer is kept."""
# Old answers that are forgotten with each new one: more than one, so they never grow.
_FORGOTTEN = 10


class Audit:
    """The log of all changes, which nobody changes."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def list(self, *conditions: ColumnElement[bool], before: str = "", limit: int = 50) -> list[AuditEntry]:
        """The newest first, at most `limit`; `before`: those that are older than the entry with this id."""
        query = select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc()).limit(max(1, min(limit, MOST)))
        if before:
            query = query.where(AuditEntry.id < before)
        return list(self._session.scalars(query))


class Answer(Struct, frozen=True):
    """What was answered."""

    status: int
    body: bytes


class Answers:
    """Answers to requests with an `Idempotency-Key`, kept in the transaction of what they tell: so both are there, or none."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._session = work.session

    def find(self, key: str, request: bytes) -> Answer | None:
        """What the same actor was answered under this key; `request`: SHA-256 of what he asks now.

        Raises `Reject` 422 where he asked something else then.
        """
        found = self._session.get(Idempotency, (self._work.actor.name, key))
        if found is None or found.expires_at <= self._work.now:
            return None
        if not compare_digest(found.request, request):
            message = "This idempotency key belongs to another request: take a new one for each."
            raise Reject(422, "idempotency_key_reused", message, param="idempotency-key")
        return Answer(found.status, found.body)

    def keep(self, key: str, request: bytes, answer: Answer) -> None:
        """Keeps an answer for a day. It must not hold a secret that is shown once: the store keeps none."""
        old = select(Idempotency.actor, Idempotency.key).where(Idempotency.expires_at <= self._work.now).limit(_FORGOTTEN)
        for row in self._session.execute(old).all():
            self._session.execute(delete(Idempotency).where(Idempotency.actor == row.actor, Idempotency.key == row.key))
        kept = Idempotency(
            actor=self._work.actor.name, key=key, request=request, status=answer.status, body=answer.body,
            expires_at=self._work.now + KEPT,
        )  # fmt: skip
        self._session.merge(kept)
        self._session.flush()
