"""Both protocols against a client that does as the specification says."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.xds.kinds import CLUSTERS, ENDPOINTS, LISTENERS, ROUTES
from extproc.xds.messages import Refused, Taken
from extproc.xds.resources import Version
from tests.xds.model import LINGER, Client, delta, made, whole

BOTH = pytest.mark.parametrize("connect", [whole, delta])
Connect = Callable[..., Client]

CLUSTER_SETS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)
LISTENER_SETS = st.dictionaries(st.sampled_from(["l", "m"]), st.integers(0, 2), min_size=1, max_size=2)
VERSIONS = st.builds(made, CLUSTER_SETS, LISTENER_SETS, st.integers(0, 2))
STEPS = st.lists(VERSIONS | st.sampled_from(["read", "wait", "wait long", "again"]), max_size=30)


def contents(version: Version) -> dict[str, dict[str, str]]:
    return {kind: {name: one.version for name, one in version.of(kind).items()} for kind in (CLUSTERS, ENDPOINTS, LISTENERS, ROUTES)}


def begun(connect: Connect, version: Version) -> Client:
    client = connect()
    client.offer(version)
    client.start()
    client.settle()
    return client


@BOTH
def test_all_is_told_in_order(connect: Connect) -> None:
    client = connect()
    client.offer(made({"a": 0}))
    client.start()
    client.settle()
    assert client.contents() == contents(made({"a": 0}))
    assert client.stream.news() == [Taken(made({"a": 0}).id)]
    assert not client.starved


@BOTH
def test_who_comes_before_there_is_a_version_is_told_when_there_is(connect: Connect) -> None:
    client = connect()
    client.start()
    assert not client.inbox
    client.offer(made({"a": 0}))
    client.settle()
    assert client.stream.complete == made({"a": 0}).id


@BOTH
def test_what_is_the_same_is_not_told(connect: Connect) -> None:
    client = begun(connect, made({"a": 0}))
    before = client.answers
    client.offer(made({"a": 0}))
    client.offer(made({"a": 0}, routes=1))
    client.settle()
    assert client.answers == before + 1


@BOTH
def test_a_changed_cluster_is_told_its_endpoints_again(connect: Connect) -> None:
    client = begun(connect, made({"a": 0}))
    client.offer(made({"a": 2}))
    client.settle()
    assert not client.starved


@BOTH
def test_what_is_gone_lingers(connect: Connect) -> None:
    client = begun(connect, made({"a": 0, "b": 0}))
    client.offer(made({"b": 0}))
    client.settle()
    assert set(client.has[CLUSTERS]) == {"a", "b"}
    assert client.stream.complete == made({"b": 0}).id
    client.pass_(LINGER / 2)
    client.settle()
    assert set(client.has[CLUSTERS]) == {"a", "b"}
    client.pass_(LINGER)
    client.settle()
    assert client.contents() == contents(made({"b": 0}))


@BOTH
def test_what_comes_back_stays(connect: Connect) -> None:
    client = begun(connect, made({"a": 0}))
    client.offer(made({}))
    client.settle()
    client.offer(made({"a": 0}, routes=1))
    client.settle()
    client.pass_(LINGER * 2)
    client.settle()
    assert client.contents() == contents(made({"a": 0}, routes=1))


@BOTH
def test_a_refusal_is_told_and_not_pressed_on(connect: Connect) -> None:
    client = begun(connect, made({"a": 0}))
    client.stream.news()
    client.bad = frozenset({"l 1"})
    bad = made({"a": 0, "b": 0}, {"l": 1}, routes=1)
    client.offer(bad)
    client.settle()
    assert client.stream.news() == [Refused(bad.id, LISTENERS, "bad")]
    # Clusters were before it, routes would have been behind.
    assert set(client.has[CLUSTERS]) == {"a", "b"}
    assert client.has[ROUTES]["r"].body == b"r 0"
    client.pass_(1)
    assert not client.inbox
    client.offer(made({"a": 0}))
    client.settle()
    client.pass_(LINGER)
    client.settle()
    assert client.contents() == contents(made({"a": 0}))


@BOTH
def test_after_another_version_the_refused_one_may_be_offered_again(connect: Connect) -> None:
    client = begun(connect, made({"a": 0}))
    client.bad = frozenset({"l 1"})
    client.offer(made({"a": 0}, {"l": 1}))
    client.settle()
    client.offer(made({"a": 0}))
    client.settle()
    client.bad = frozenset()
    client.offer(made({"a": 0}, {"l": 1}))
    client.settle()
    assert client.contents() == contents(made({"a": 0}, {"l": 1}))


@BOTH
def test_after_a_restart_of_the_control_plane_nothing_is_told(connect: Connect) -> None:
    version = made({"a": 0, "b": 1})
    before = begun(connect, version)
    client = connect(before=before)
    client.offer(version)
    client.start()
    client.settle()
    assert client.answers == 0
    assert client.stream.news() == [Taken(version.id)]


@BOTH
def test_after_a_restart_what_has_changed_meanwhile_is_told(connect: Connect) -> None:
    before = begun(connect, made({"a": 0, "b": 0}))
    client = connect(before=before)
    # Its endpoints are the same, and it waits for them all the same.
    client.offer(made({"b": 2}))
    client.start()
    client.settle()
    assert not client.starved
    assert client.stream.complete == made({"b": 2}).id
    client.pass_(LINGER)
    client.settle()
    assert client.contents() == contents(made({"b": 2}))


@BOTH
def test_what_is_being_taken_away_does_not_come_back(connect: Connect) -> None:
    client = connect(before=begun(connect, made({"a": 0, "b": 0})))
    client.offer(made({"a": 0, "b": 0}))
    client.start()
    client.offer(made({"b": 0}))
    client.settle()
    client.pass_(LINGER)
    assert client.inbox
    # The node has not said yet that it has gone.
    client.offer(made({"b": 0}, routes=1))
    client.settle()
    assert client.contents() == contents(made({"b": 0}, routes=1))


@BOTH
@given(first=VERSIONS, steps=STEPS, bad=st.frozensets(st.sampled_from(["a 1", "b 2", "l 1", "m 2", "r 1"]), max_size=2))
def test_whatever_happens_in_the_end_a_node_has_what_it_is_to_have(
    connect: Connect, first: Version, steps: list[Version | str], bad: frozenset[str]
) -> None:
    client = connect(bad)
    client.offer(first)
    client.start()
    for step in steps:
        if isinstance(step, Version):
            client.offer(step)
        elif step == "read" and client.inbox:
            client.read()
        elif step == "again":
            # The connection breaks.
            client = connect(bad, client)
            client.offer(first)
            client.start()
        elif step.startswith("wait"):
            client.pass_(LINGER * 2 if step == "wait long" else 1)
    client.bad = frozenset()
    last = made({"a": 0, "c": 1}, {"l": 0}, 2)
    client.offer(made({}, routes=7))
    client.settle()
    client.offer(last)
    client.settle()
    client.pass_(LINGER)
    client.settle()
    assert client.contents() == contents(last)
    assert client.stream.complete == last.id
    assert not client.starved


@BOTH
@given(versions=st.lists(CLUSTER_SETS, min_size=2, max_size=8))
def test_a_cluster_that_both_versions_have_is_never_missing(connect: Connect, versions: list[dict[str, int]]) -> None:
    client = begun(connect, made(versions[0]))
    for old, new in pairwise(versions):
        client.offer(made(new, routes=sum(new.values())))
        while client.inbox:
            # Neither what workers that know the old configuration name, nor, once the routes have come, what the new one does.
            assert set(old) <= set(client.has[CLUSTERS])
            client.read()
        assert set(old) | set(new) <= set(client.has[CLUSTERS])
