"""Answers to requests that may be asked for twice: the same one again, for a day."""

import pytest
from sqlalchemy import select

from extproc.errors import Reject
from extproc.store.audit import KEPT, Answer
from extproc.store.models import Actor, Idempotency
from extproc.store.store import Store

ALICE, BOB = Actor("user_alice"), Actor("user_bob")


def test_the_same_answer_again(store: Store) -> None:
    now = 1_000
    later = Store(store.database, lambda: now)
    one, two = Answer(201, b"{}"), Answer(200, b"two")
    with later.write(ALICE) as tables:
        assert tables.answers.find("a", b"1") is None
        tables.answers.keep("a", b"1", one)
        assert tables.answers.find("a", b"1") == one
    with later.write(ALICE) as tables:
        assert tables.answers.find("a", b"1") == one
        with pytest.raises(Reject) as error:
            tables.answers.find("a", b"2")
    assert error.value.fault.code == "idempotency_key_reused"
    with later.write(BOB) as tables:
        assert tables.answers.find("a", b"1") is None, "it is another's"
        tables.answers.keep("a", b"2", two)
    now += KEPT
    with later.write(ALICE) as tables:
        assert tables.answers.find("a", b"2") is None
        tables.answers.keep("a", b"2", two)
    with later.write(BOB) as tables:
        assert tables.answers.find("a", b"2") is None
    with later.database.read() as connection:
        assert connection.execute(select(Idempotency.actor, Idempotency.request)).all() == [("user_alice", b"2")], "old ones are forgotten"
