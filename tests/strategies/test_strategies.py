"""Strategies: none loses or doubles a target, and each keeps what it promises, over many requests."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import permutations
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import Candidate, Order, Target
from extproc.config.lookup import STRATEGIES
from extproc.strategies.cheapest import Cheapest
from extproc.strategies.least_busy import LeastBusy
from extproc.strategies.least_latency import LeastLatency
from extproc.strategies.ordered import Ordered
from extproc.strategies.round_robin import RoundRobin, Turns
from extproc.strategies.sticky import Sticky, opening
from extproc.strategies.weighted import Lots, Weighted
from tests.scene import CHAT, head, request

WEIGHTS = st.lists(st.one_of(st.just(0.0), st.floats(0.001, 1000.0)), min_size=2, max_size=8)
ALL = (
    Ordered(), RoundRobin(), Weighted(), LeastBusy(), LeastLatency(), LeastLatency(of="whole"), Cheapest(),
    *(Sticky(by=by) for by in ("conversation", "prefix", "caller", "header")),
)  # fmt: skip


def candidates(*weights: float) -> list[Candidate]:
    return [Candidate(Target(f"p{at}", "m"), weight) for at, weight in enumerate(weights)]


def firsts(order: Order, among: list[Candidate], bodies: list[bytes]) -> Counter[str]:
    return Counter(order.arrange(request(body=body), among)[0].target.provider for body in bodies)


def chats(count: int) -> list[bytes]:
    return [b'{"messages":[{"role":"user","content":"%d"}]}' % at for at in range(count)]


def test_all_are_here() -> None:
    assert {type(one) for one in ALL} == {STRATEGIES.find(name) for name in STRATEGIES.names()}


@given(WEIGHTS, st.binary(max_size=64))
def test_none_is_lost_and_none_doubled(weights: list[float], body: bytes) -> None:
    among = candidates(*weights)
    for strategy in ALL:
        order = strategy.open()
        for _ in range(3):
            assert sorted(order.arrange(request(body=body), among), key=among.index) == among


def test_ordered_is_as_written() -> None:
    among = candidates(0, 5, 1)
    assert Ordered().open().arrange(request(), among) == among


@pytest.mark.parametrize("begin", range(3))
def test_round_robin_takes_turns(begin: int) -> None:
    among, turns = candidates(1, 1, 1), Turns(lambda _: begin)
    told = [turns.arrange(request(), among) for _ in range(6)]
    assert [one[0].target.provider for one in told] == [f"p{(begin + at) % 3}" for at in range(6)]
    assert all(one == among[among.index(one[0]) :] + among[: among.index(one[0])] for one in told)


def test_round_robin_where_there_are_fewer_than_before() -> None:
    among, turns = candidates(1, 1, 1), Turns(lambda count: count - 1)
    assert turns.arrange(request(), among)[0] is among[2]
    assert turns.arrange(request(), among[:2])[0] is among[1]


def test_round_robin_heeds_no_weight_but_nought() -> None:
    among, turns = candidates(0, 5, 1, 0), Turns(lambda _: 0)
    told = [[among.index(one) for one in turns.arrange(request(), among)] for _ in range(3)]
    assert told == [[1, 2, 0, 3], [2, 1, 0, 3], [1, 2, 0, 3]]
    assert turns.arrange(request(), among[:1] * 2) == among[:1] * 2


def test_weighted_draws_by_weight() -> None:
    """Each order comes up as often as by drawing without putting back: within five standard deviations."""
    weights, count = (1.0, 2.0, 5.0), 20_000
    among, lots = candidates(*weights), Lots(Random(4711).random)
    seen = Counter(tuple(among.index(one) for one in lots.arrange(request(), among)) for _ in range(count))
    for first, second, third in permutations(range(3)):
        rest = sum(weights) - weights[first]
        chance = weights[first] / sum(weights) * weights[second] / rest
        assert abs(seen[first, second, third] - count * chance) < 5 * (count * chance * (1 - chance)) ** 0.5


def test_without_weight_one_only_steps_in() -> None:
    among, lots = candidates(0, 1, 0), Lots(Random(1).random)
    assert {lots.arrange(request(), among)[0].target.provider for _ in range(200)} == {"p1"}


def test_lots_of_nought_do_no_harm() -> None:
    among = candidates(1, 2)
    assert len(Lots(lambda: 0.0).arrange(request(), among)) == 2


def test_sticky_stays() -> None:
    """A conversation that goes on, the same in two workers."""
    one, other, among = Sticky().open(), Sticky().open(), candidates(1, 1, 1)
    for begun in chats(50):
        longer = begun[:-2] + b',{"role":"assistant","content":"yes"},{"role":"user","content":"more"}]}'
        assert one.arrange(request(body=begun), among) == other.arrange(request(body=longer), among)


def test_sticky_spreads_by_weight() -> None:
    seen = firsts(Sticky().open(), candidates(1, 3), chats(4_000))
    assert abs(seen["p1"] - 3_000) < 5 * (4_000 * 0.75 * 0.25) ** 0.5


def test_when_one_goes_only_its_own_move() -> None:
    order, among = Sticky().open(), candidates(1, 1, 1, 1)
    for body in chats(200):
        before = order.arrange(request(body=body), among)
        assert order.arrange(request(body=body), [one for one in among if one is not before[0]]) == before[1:]


@pytest.mark.parametrize(
    ("settings", "same", "others"),
    [
        (Sticky(by="header"), {"x_session_id": "a"}, {"x_session_id": "b"}),
        (Sticky(by="header", header="x-user"), {"x_user": "a"}, {"x_user": "b"}),
    ],
)
def test_sticky_by_a_header(settings: Sticky, same: dict[str, str], others: dict[str, str]) -> None:
    order, among = settings.open(), candidates(1, 1, 1, 1, 1, 1, 1, 1)
    told = {tuple(one.target for one in order.arrange(request(head(**same), body), among)) for body in chats(20)}
    assert len(told) == 1
    assert tuple(one.target for one in order.arrange(request(head(**others)), among)) not in told
    without = {order.arrange(request(body=body), among)[0].target for body in chats(40)}
    assert len(without) > 1, "requests that do not say it go by their conversation"


def test_sticky_by_caller() -> None:
    order, among = Sticky(by="caller").open(), candidates(1, 1, 1, 1, 1, 1, 1, 1)
    of = {tenant: {order.arrange(request(body=body, tenant=tenant), among)[0].target for body in chats(9)} for tenant in "abcdefgh"}
    assert all(len(targets) == 1 for targets in of.values())
    assert len(set().union(*of.values())) > 1


def test_sticky_by_prefix() -> None:
    order, among = Sticky(by="prefix", length=64).open(), candidates(1, 1, 1, 1, 1, 1, 1, 1)
    assert len(firsts(order, among, [b"x" * 64 + body for body in chats(20)])) == 1
    assert len(firsts(order, among, chats(40))) > 1


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant"}]}', 2),
        (b'{"messages":[{"role":"developer","content":"s"}]}', 1),
        (b'{"system":"s","messages":[{"role":"user","content":"u"},{"role":"assistant"}]}', 2),
        (b'{"systemInstruction":{},"contents":[{"parts":[]},{"role":"model"}]}', 2),
        (b'{"system_instruction":{},"contents":[{"parts":[]},{"role":"model"}]}', 2),
        (b'{"instructions":"s","input":[{"role":"user"},{"type":"reasoning"}]}', 2),
        (b'{"input":"hello"}', 1),
        (b'{"prompt":"hello"}', 1),
    ],
)
def test_what_a_conversation_begins_with(body: bytes, found: int) -> None:
    assert opening(body).count(b"\0") + 1 == found
    assert all(part in body for part in opening(body).split(b"\0"))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'{"messages":[]}', b'{"messages":7}', b'{"messages":[3, {"role":"system"}]', b"\xff",
        b'{"messages":[{"role":"\xff"}]}', b'{"messages":[{"role":"\\ud800"}]}', b'{"messages":' + b"[" * 60_000,
        b'{"messages":[{"role":' + b"[" * 60_000 + b"]" * 60_000 + b"}]}",
    ],
)  # fmt: skip
def test_no_conversation(body: bytes) -> None:
    assert opening(body) == b""
    assert Sticky().open().arrange(request(body=body), candidates(1, 1))


def conversation(user: str, more: int, size: int = 100) -> bytes:
    """One that has gone on for `more` messages."""
    messages = [{"role": "system", "content": "s" * 20_000}, {"role": "user", "content": user}]
    return msgspec.json.encode({"messages": messages + [{"role": "assistant", "content": "a" * size}] * more})


def test_a_long_conversation_is_known_by_how_it_begins() -> None:
    short, long = conversation("u", 1), conversation("u", 1000, 900)
    assert len(long) > 900_000
    assert opening(long) == opening(short) != opening(conversation("v", 1000, 900))


@pytest.mark.parametrize("bulky", [partial(conversation, more=3000), partial(conversation, more=20, size=100_000)])
def test_one_too_bulky_to_look_into_is_known_by_its_first_bytes(bulky: Callable[[str], bytes]) -> None:
    """Those that begin with the same system prompt are told apart all the same, and one that goes on stays."""
    assert opening(bulky("u")) == b""
    order, among = Sticky().open(), candidates(1, 1, 1, 1)
    first = {user: order.arrange(request(body=bulky(user)), among) for user in map(str, range(20))}
    assert len({told[0].target for told in first.values()}) > 1
    for user, told in first.items():
        longer = bulky(user)[:-2] + b',{"role":"user","content":"more"}]}'
        assert order.arrange(request(body=longer), among) == told


def test_chat_of_the_scene() -> None:
    assert opening(request(body=CHAT).body)
