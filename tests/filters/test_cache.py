"""The exact cache: what is looked up, what is the same, what is kept, and what is told of it."""

import copy
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from extproc import Entry, Identity, Lead, Request, Response, Tap, Target, Usage
from extproc.aside import Here
from filters.cache import Cache, _Cache, _key
from tests.examples import examples
from tests.scene import CHAT, Shelf, environment, head, request, run

ZERO = {**CHAT, "temperature": 0}
TARGETS = (Target("openai", "gpt"), Target("anthropic", "claude"))


class Desk:
    """A cache and its store."""

    def __init__(self, **fields: Any) -> None:
        self.shelf = Shelf()
        settings = Cache(**fields)
        self.cache = _Cache(settings, self.shelf, Here())

    def ask(
        self, body: Any = ZERO, path: str = "/v1/chat/completions", *, tenant: str = "", **headers: str
    ) -> tuple[Request, Response | Tap | None]:
        made = request(head(path, **headers), body, tenant)
        made.targets = TARGETS
        return made, run(self.cache.request(made))

    def keep(self, body: Any = ZERO, answer: bytes = b'{"id":1}', **headers: str) -> None:
        _, tap = self.ask(body, **headers)
        follow(tap, answered(), [answer])


def answered(
    status: int = 200, *, origin: Any = "provider", attempts: int = 1, stream: bool = False, target: Target | None = TARGETS[0]
) -> Response:
    made = Response(status, {"content-type": "application/json"}, origin=origin, stream=stream)
    made.target, made.attempts, made.usage, made.answered = target, attempts, Usage(input=3, output=4), "gpt-1"
    return made


def follow(tap: Any, response: Response, events: list[bytes], *, ended: Any = "complete", finished: bool = True) -> Response:
    assert isinstance(tap, Tap)
    tap.start(response)
    if not tap.passes:
        for event in events:
            assert tap.events([event]) == [event]
    response.ended, response.finished = ended, finished
    run(tap.end(response))
    return response


@pytest.mark.parametrize(
    ("body", "path", "all", "looked_up"),
    [
        (ZERO, "/v1/chat/completions", False, True), ({**CHAT, "temperature": 0.0}, "/v1/messages", False, True),
        ({"contents": [], "generationConfig": {"temperature": 0}}, "/v1beta/models/gpt:generateContent", False, True),
        ({"contents": [], "generation_config": {"temperature": 0.0}}, "/v1beta/models/gpt:generateContent", False, True),
        ({"contents": [], "generationConfig": {"temperature": 1}}, "/v1beta/models/gpt:generateContent", False, False),
        ({"contents": [], "generationConfig": {}}, "/v1beta/models/gpt:generateContent", False, False),
        (CHAT, "/v1/chat/completions", False, False), ({**CHAT, "temperature": 0.1}, "/v1/chat/completions", False, False),
        ({**CHAT, "temperature": None}, "/v1/chat/completions", False, False), (CHAT, "/v1/chat/completions", True, True),
        ({"input": "x"}, "/v1/embeddings?x=1", False, True), ({"input": "x"}, "/v1/moderations", False, True),
        ({"input": "x"}, "/v1/responses", False, False), (b"", "/v1/files", True, False),
    ],
)  # fmt: skip
def test_what_is_looked_up(body: Any, path: str, all: bool, looked_up: bool) -> None:
    desk = Desk(deterministic_only=not all)
    made, outcome = desk.ask(body, path)
    assert (len(desk.shelf.asked) == 1) == looked_up == (outcome is not None)
    assert made.record.cache == ("miss" if looked_up else "")


def test_a_hit() -> None:
    desk = Desk()
    desk.keep()
    made, outcome = desk.ask()
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body, outcome.origin, outcome.stream) == (200, b'{"id":1}', "cache", False)
    assert outcome.headers == {"content-type": "application/json", "x-headgate-cache": "hit", "age": outcome.headers["age"]}
    assert int(outcome.headers["age"] or "") >= 0
    assert (outcome.usage, outcome.answered, outcome.target, made.record.cache) == (Usage(input=3, output=4), "gpt-1", TARGETS[0], "hit")


def test_a_stream_is_replayed_as_one() -> None:
    desk = Desk()
    _, tap = desk.ask({**ZERO, "stream": True})
    # Nobody waits for a stream.
    assert desk.shelf.leads == {}
    follow(tap, answered(stream=True), [b"data: 1\n\n", b"data: 2\n\n"])
    _, outcome = desk.ask({**ZERO, "stream": True})
    assert isinstance(outcome, Response) and outcome.stream
    assert outcome.body == b"data: 1\n\ndata: 2\n\n"


def test_what_is_kept() -> None:
    desk = Desk()
    before = int(time.time())
    desk.keep()
    (entry,) = desk.shelf.kept.values()
    assert before <= entry.created <= time.time()
    assert msgspec.structs.replace(entry, created=0) == Entry(
        status=200, headers=(("content-type", "application/json"),), body=b'{"id":1}', usage=Usage(input=3, output=4), provider="openai",
        target="gpt", answered="gpt-1", created=0, stream=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        {"status": 500}, {"status": 201}, {"origin": "envoy"}, {"origin": "gateway"}, {"target": TARGETS[1]}, {"target": None},
        {"ended": "client_closed"}, {"ended": "provider_broke"}, {"finished": False}, {"events": [b"x" * 60, b"x" * 60]}, {"becomes": 502},
    ],
)  # fmt: skip
def test_what_is_not_kept(case: Mapping[str, Any]) -> None:
    desk = Desk(max_entry=100)
    _, tap = desk.ask()
    assert isinstance(tap, Tap)
    response = answered(case.get("status", 200), origin=case.get("origin", "provider"), target=case.get("target", TARGETS[0]))
    tap.start(response)
    assert response.headers["x-headgate-cache"] == "miss"
    for event in case.get("events", [b"{}"]):
        tap.events([event])
    response.status = case.get("becomes", response.status)
    response.ended, response.finished = case.get("ended", "complete"), case.get("finished", True)
    run(tap.end(response))
    assert desk.shelf.kept == {}
    # Whoever waits for it is told to go on alone.
    assert (desk.shelf.leads, len(desk.shelf.abandoned)) == ({}, 1)


def test_answers_of_fallbacks_on_request() -> None:
    desk = Desk(keep_fallbacks=True)
    _, tap = desk.ask()
    follow(tap, answered(attempts=2, target=TARGETS[1]), [b"{}"])
    assert len(desk.shelf.kept) == 1


def test_who_is_asked_again_is_no_fallback() -> None:
    desk = Desk()
    _, tap = desk.ask()
    follow(tap, answered(attempts=3), [b"{}"])
    assert len(desk.shelf.kept) == 1


@pytest.mark.parametrize("attempts", [1, 2])
def test_who_steps_in_for_one_that_is_passed_over_is_a_fallback(attempts: int) -> None:
    openai, anthropic = TARGETS
    for cut, first in ((False, None), (True, None), (False, openai), (False, anthropic)):
        desk = Desk()
        made = request(head(), ZERO)
        # As the filter before this one leaves them, and, with `cut`, one behind it.
        made.targets, made.first = (TARGETS if cut else TARGETS[1:]), first
        tap = run(desk.cache.request(made))
        if cut:
            made.targets = TARGETS[1:]
        follow(tap, answered(attempts=attempts, target=anthropic), [b"{}"])
        assert len(desk.shelf.kept) == (not cut and first != openai), (cut, first)


def test_one_leads_and_the_other_goes_on_alone() -> None:
    desk = Desk()
    _, first = desk.ask()
    _, second = desk.ask()
    assert [isinstance(lead, Lead) for lead in desk.shelf.leads.values()] == [True]
    follow(second, answered(), [b"2"])
    assert len(desk.shelf.leads) == 1
    follow(first, answered(), [b"1"])
    assert (desk.shelf.leads, [entry.body for entry in desk.shelf.kept.values()]) == ({}, [b"1"])


@pytest.mark.parametrize("wish", ["no-store", "No-Store", "max-age=0, no-store"])
def test_no_store(wish: str) -> None:
    desk = Desk()
    desk.keep()
    made, tap = desk.ask(cache_control=wish)
    response = follow(tap, answered(), [b"new"])
    assert (made.record.cache, response.headers["x-headgate-cache"]) == ("bypass", "bypass")
    assert [entry.body for entry in desk.shelf.kept.values()] == [b'{"id":1}']


def test_no_cache_asks_and_keeps_the_new_one() -> None:
    desk = Desk()
    desk.keep()
    made, tap = desk.ask(cache_control="no-cache")
    assert made.record.cache == "miss"
    follow(tap, answered(), [b"new"])
    assert [entry.body for entry in desk.shelf.kept.values()] == [b"new"]


@pytest.mark.parametrize(
    ("wish", "hit"),
    [("max-age=50", False), ("max-age=150", True), ("max-age=0", False), ("max-age=x", False), ("", True), ("public,,", True)],
)
def test_max_age(wish: str, hit: bool) -> None:
    desk = Desk()
    desk.keep()
    (key,) = desk.shelf.kept
    desk.shelf.kept[key] = msgspec.structs.replace(desk.shelf.kept[key], created=int(time.time()) - 100)
    _, outcome = desk.ask(cache_control=wish)
    assert isinstance(outcome, Response) == hit


def test_which_store() -> None:
    redis = Shelf()
    shared = environment(redis=redis)
    stores = [Cache(store=store).open(shared).store for store in (None, "memory", "redis")]  # type: ignore[attr-defined]
    assert stores == [redis, shared.memory, redis]
    alone = environment()
    assert Cache().open(alone).store is alone.memory  # type: ignore[attr-defined]


# What is the same.

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)), max_leaves=8
)
BODIES = st.dictionaries(st.text(max_size=4).map(lambda name: f"x{name}"), VALUES, min_size=1, max_size=4)


def key_of(
    body: Any, *, tenant: str = "acme", path: str = "/v1/chat/completions", targets: tuple[Target, ...] = TARGETS, **headers: str
) -> bytes:
    made = request(head(path, **headers), body, tenant)
    made.targets = targets
    return _key(made)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values stand in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, child in inner for place in places(child, (*path, step)))]


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copied = copy.deepcopy(document)
    at = copied
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return copied


@given(BODIES, st.data())
@settings(max_examples=examples(200), deadline=None)
def test_any_change_of_any_value_changes_the_key(body: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(body)[1:]))
    other = changed(body, place, data.draw(VALUES))
    assume(msgspec.json.encode(other) != msgspec.json.encode(body))
    assume(msgspec.json.encode(other, order="sorted") != msgspec.json.encode(body, order="sorted"))
    assert key_of(other) != key_of(body)


def test_numbers_of_any_size_have_keys_of_their_own() -> None:
    numbers = [2**63, 2**64 - 1, 2**64, 2**64 + 1, -(2**63), -(2**63) - 1, 2.0**64, 10**40]
    assert len({key_of({**CHAT, "seed": number}) for number in numbers}) == len(numbers)
    assert key_of({"seed": 2**70, "stop": "x"}) == key_of({"stop": "x", "seed": 2**70})


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(value)}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value


@given(BODIES)
@settings(max_examples=examples(100), deadline=None)
def test_order_and_space_do_not(body: dict[str, Any]) -> None:
    key = key_of(body)
    assert key_of(reordered(body)) == key
    assert key_of(b" \n" + msgspec.json.format(msgspec.json.encode(body), indent=3) + b"\n") == key
    assert len(key) == 32


DIFFERENT: list[dict[str, Any]] = [
    {"tenant": "other"}, {"tenant": ""}, {"path": "/v1/messages"}, {"path": "/v1/chat/completions?x=1"}, {"targets": TARGETS[:1]},
    {"targets": TARGETS[::-1]}, {"targets": (Target("openai", "gpt-2"), TARGETS[1])}, {"anthropic_version": "2023-06-01"},
    {"anthropic_beta": "x"}, {"openai_beta": "x"}, {"x_headgate_strict": "true"},
]  # fmt: skip


def test_who_asks_whom_and_how_changes_it() -> None:
    keys = [key_of(ZERO), *(key_of(ZERO, **case) for case in DIFFERENT)]
    assert len(set(keys)) == len(keys)
    # What only says who carried it does not.
    assert key_of(ZERO, user_agent="other/2", authorization="Bearer hg-2", cache_control="max-age=5") == keys[0]
    # One who is told the same in a form of his own is.
    assert key_of(ZERO, user_agent="mistral-client-python/3.7.0") not in keys


def test_targets_that_a_strategy_has_put_into_another_order_are_the_same() -> None:
    def key(targets: tuple[Target, ...], configured: tuple[Target, ...] = ()) -> bytes:
        made = request(body=ZERO)
        made.targets, made.configured = targets, configured
        return _key(made)

    assert key(TARGETS) == key(TARGETS, TARGETS) == key(TARGETS[::-1], TARGETS) != key(TARGETS[::-1])
    # Another filter has left some only.
    assert key(TARGETS[1:]) == key(TARGETS[1:], TARGETS) != key(TARGETS)


def test_what_rules_set_changes_it() -> None:
    made = request(body=ZERO)
    keys = set()
    for edits in ({}, {"x-a": "1"}, {"x-a": "2"}, {"x-a": None}, {"x-a": "1", "x-b": "1"}):
        made.set_headers = edits  # type: ignore[assignment]
        keys.add(_key(made))
    made.betas = "a-1"
    keys.add(_key(made))
    assert len(keys) == 6


@given(st.lists(st.text("ab/", max_size=3), min_size=2, max_size=4), st.lists(st.text("ab/", max_size=3), min_size=2, max_size=4))
def test_parts_do_not_run_into_each_other(one: list[str], two: list[str]) -> None:
    def key(parts: list[str]) -> bytes:
        made = request(body=ZERO)
        made.identity = Identity(parts[0], "")
        made.targets = tuple(Target("p", part) for part in parts[1:])
        return _key(made)

    assert (key(one) == key(two)) == (one == two)


@pytest.mark.parametrize(
    ("body", "all", "read"),
    [
        (b'{"temperature":0,"messages":[]}', False, True),
        (b'{"messages":["' + b"x" * 1000 + b'"], "temperature" : 0.0 }', False, True),
        (b'{"temperature":0.5}', False, False),
        (b'{"temperature":01}', False, False),
        (b'{"messages":[]}', False, False),
        (b'{"messages":[]}', True, True),
        (b'{"a":"' + b"x" * 500 + b'","temperature":0,"b":"' + b"x" * 500 + b'"}', False, False),
    ],
)
def test_what_is_decoded_whole_at_once(body: bytes, all: bool, read: bool) -> None:
    assert Desk(deterministic_only=not all).cache.reads(body) is read
