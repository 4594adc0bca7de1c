"""What a request wants of limits, what its answer says of them, and how it is refused: values in, values out."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from extproc import Reject, Request, Response, Target
from extproc.identity.levels import Level, inherit
from extproc.identity.record import Owner
from extproc.identity.settings import Limit, Settings
from extproc.limits.leased import LeasedLimits
from extproc.limits.limit import Granted, Held, LimitsDown, Refused
from extproc.limits.money import NANOS
from extproc.limits.news import Exhausted
from extproc.limits.reserved import Leased
from extproc.limits.rule import Want
from extproc.limits.shared import SharedLimits
from extproc.limits.table import Table
from extproc.price import Price, Step
from extproc.retrying import UNSAID, Refusals
from extproc.values import Identity
from filters.limits import Limits
from tests.scene import CHAT, environment, head, request, run

PRICES = {
    "openai/gpt": Price((Step(-1, Decimal("0.001"), Decimal("0.002")),)),
    "anthropic/claude": Price((Step(-1, Decimal("0.002"), Decimal("0.001")),)),
}
TARGET = Target("openai", "gpt")
USER = {**CHAT, "max_tokens": 10, "user": "ann"}


class Near:
    """A table without a link."""

    def __init__(self) -> None:
        self.table = Table()
        self.away = False
        self.freed: list[bytes] = []

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        if self.away:
            raise LimitsDown("away")
        self.wants = wants
        return self.table.reserve(ticket, wants, at, 300)

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        self.table.release(ticket)

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        self.freed.append(ticket)
        self.table.free(ticket)

    def hold(self, held: Any) -> None:
        for one in held:
            assert isinstance(one, Held)

    def shrink(self, held: Held) -> None:
        for want in held.wants:
            self.table.shrink(held.ticket, want.counter, want.amount)

    async def close(self) -> None:
        pass


class List:
    """A price list that knows one model more."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def find(self, provider: str, model: str) -> Price | None:
        self.asked.append(f"{provider}/{model}")
        return PRICES["openai/gpt"] if model == "dated" else None


class Scene:
    """The filter, and who counts for it."""

    def __init__(self, *rules: dict[str, Any], plans: dict[str, Any] | None = None, **more: Any) -> None:
        self.near, self.told = Near(), list[Exhausted]()
        self.counters = SharedLimits(self.near, lambda: 2, self.told.append)
        settings = msgspec.convert({"rules": rules, "plans": plans or {}, **more}, Limits)
        self.list = List()
        self.leased = LeasedLimits(self.counters, lambda: 2)
        of = replace(environment(), limits=self.counters, leased=self.leased, prices=PRICES, quotes=self.list)
        self.handler: Any = settings.open(of)

    def ask(self, asked: Request | None = None) -> Any:
        return run(self.handler.request(asked or made()))

    def wanted(self, asked: Request | None = None) -> dict[str, int]:
        """What a request wants, by counter."""
        assert self.ask(asked) is not None
        return {want.counter: want.amount for want in self.near.wants}

    def refused(self, asked: Request | None = None) -> Reject:
        with pytest.raises(Reject) as refused:
            self.ask(asked)
        return refused.value


def made(
    body: dict[str, Any] | bytes = USER,
    path: str = "/v1/chat/completions",
    *,
    tenant: str = "red",
    targets: tuple[Target, ...] = (TARGET,),
    more: dict[str, str] | None = None,
) -> Request:
    found = request(head(path, **(more or {})), body, tenant)
    found.targets, found.record.model, found.record.route = targets, "gpt", "gpt"
    return found


def each_hour(**more: Any) -> dict[str, Any]:
    return {"requests": 2, "window": "hour", **more}


def test_whom_no_rule_is_about_passes() -> None:
    assert Scene().ask() is None
    assert Scene(each_hour()).ask(made(targets=())) is None, "it is answered here"
    assert Scene(each_hour(only={"model": ["claude-*"]})).ask() is None
    assert Scene(each_hour(per=["organization"])).ask() is None, "it has none"
    asked = made()
    assert Scene(each_hour(per="tag:team")).ask(asked) is None and asked.record.reserved is None


@pytest.mark.parametrize(
    ("per", "counter"),
    [
        ("tenant", "red"), ("key", "red"), ("model", "gpt"), ("provider", "openai"), ("end_user", "ann"), ("tag:team", "blue"),
        (["tenant", "end_user"], "red|ann"), ([], ""),
    ],
)  # fmt: skip
def test_whose_counter_it_is(per: Any, counter: str) -> None:
    asked = made(more={"x_headgate_tags": "other,team=blue"})
    assert list(Scene(each_hour(name="r", per=per)).wanted(asked)) == ["|".join(filter(None, ("r", counter)))]


@pytest.mark.parametrize(
    ("body", "headers", "name"),
    [
        ({"metadata": {"user_id": "bob"}}, {}, "bob"), ({"safety_identifier": "eve", "user": "ann"}, {}, "eve"),
        ({"user": "ann"}, {"x_headgate_user": "zoe"}, "zoe"), ({"user": 7, "metadata": {"user_id": " x "}}, {}, "x"),
        ({"user": "n" * 300}, {}, "n" * 256),
    ],
)  # fmt: skip
def test_who_the_end_user_is(body: dict[str, Any], headers: dict[str, str], name: str) -> None:
    asked = made({**CHAT, **body}, more=headers)
    (counter,) = Scene(each_hour(name="r", per="end_user")).wanted(asked)
    assert asked.record.end_user == name, "reports know, too"
    assert counter in (f"r|{name}", counter if len(name) > 200 else "")


def test_a_pattern_counts_each_name_and_an_alias_counts_as_its_model() -> None:
    scene = Scene(each_hour(name="r", per="model"))
    asked = made()
    asked.record.model, asked.record.route = "claude-5", "claude-*"
    assert list(scene.wanted(asked)) == ["r|claude-5"]
    asked = made()
    asked.record.model = "quick"
    assert list(scene.wanted(asked)) == ["r|gpt"]


def test_what_is_reserved_is_the_most_that_it_can_use_at_the_dearest_target() -> None:
    units = ("requests", "input_tokens", "output_tokens", "tokens")
    rules = [{"name": unit, unit: 10**9, "window": "day"} for unit in units]
    scene = Scene(*rules, {"name": "cost", "cost": "1000", "window": "day"}, {"name": "concurrency", "concurrency": 50}, answer=100)
    wanted = scene.wanted(made(targets=(TARGET, Target("anthropic", "claude"))))
    size = wanted["input_tokens"]
    assert size >= len(msgspec.json.encode(USER)) and wanted["output_tokens"] == 10 and wanted["tokens"] == size + 10
    assert (wanted["requests"], wanted["concurrency"]) == (1, 1)
    assert wanted["cost"] == max(size + 20, 2 * size + 10) * NANOS // 1000
    assert scene.wanted(made(CHAT))["output_tokens"] == 100, "nobody bounds it"
    assert scene.wanted(made(targets=(Target("openai", "unknown"),)))["cost"] == 1, "nobody knows the price"
    assert scene.wanted(made({"model": "gpt", "input": "x"}, "/v1/embeddings"))["output_tokens"] == 0
    assert scene.wanted(made(b"--x", "/v1/audio/transcriptions", more={"content_type": "multipart/form-data; boundary=x"}))["tokens"] == 1
    assert scene.wanted(made(USER, "/v1/messages/count_tokens"))["cost"] == 0


def test_who_is_asked_after_a_refusal_may_be_the_dearest() -> None:
    asked = made()
    scene = Scene({"name": "cost", "cost": "1000", "window": "day"})
    usual = scene.wanted(asked)["cost"]
    asked.retrying = replace(UNSAID, refusals=Refusals(length=(Target("anthropic", "claude"),)))
    assert usual < scene.wanted(asked)["cost"]


def test_prices_that_the_snapshot_does_not_have_are_asked_for_where_money_is_counted() -> None:
    dated = made(targets=(Target("openai", "dated"),))
    money = Scene({"name": "c", "cost": "50", "window": "day"})
    assert money.wanted(dated)["c"] > NANOS // 100 and money.list.asked == ["openai/dated"]
    tokens = Scene({"name": "t", "tokens": 5000, "window": "day"})
    assert tokens.wanted(dated)["t"] > 1 and not tokens.list.asked


def test_a_bulky_body_is_measured_all_the_same() -> None:
    asked = made({**USER, "messages": [{"role": "user", "content": "x" * 10_000}]})
    asked.bulky = True
    wanted = Scene({"name": "t", "tokens": 10**6, "window": "day", "per": "end_user"}).wanted(asked)
    assert wanted["t|ann"] > 10_000


def test_the_record_has_what_was_reserved() -> None:
    asked = made()
    scene = Scene(each_hour(name="r"), {"name": "c", "cost": "5", "window": "month"})
    scene.ask(asked)
    told = asked.record.reserved
    assert told is not None and [(one.counter, one.unit, one.terms.most) for one in told.counted] == [
        ("r", "requests", 2), ("c", "cost", 5 * NANOS),
    ]  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(asked.record), type=type(asked.record)) == asked.record
    assert scene.near.table.tickets == 1


def test_answers_say_what_is_left() -> None:
    scene = Scene(each_hour(name="wide", requests=100), each_hour(name="narrow"), {"tokens": 1000, "window": "day"})
    answer = Response(200, {}, origin="provider")
    scene.ask().start(answer)
    told = answer.headers
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("2", "1")
    assert str(told["x-ratelimit-reset-requests"]).endswith("s") and told["x-ratelimit-limit-tokens"] == "1000"
    theirs = Response(200, {}, origin="provider")
    scene.ask(made(USER, "/v1/messages")).start(theirs)
    assert theirs.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert (
        str(theirs.headers["anthropic-ratelimit-tokens-reset"]).endswith("T00:00:00Z")
        and "x-ratelimit-limit-requests" not in theirs.headers
    )


def test_a_soft_rule_warns_and_refuses_nobody() -> None:
    scene = Scene({"name": "gentle", "requests": 1, "window": "day", "hard": False})
    for _ in range(3):
        tap = scene.ask()
    scene.near.table.use(next(iter(scene.near.table._held)))
    answer = Response(200, {}, origin="provider")
    scene.ask().start(answer)
    assert "gentle: 100% of 1 requests used, starts anew at" in str(answer.headers["x-headgate-limit-warning"])
    assert "x-ratelimit-limit-requests" not in answer.headers and tap.passes


def test_limits_are_429_and_say_which_and_until_when() -> None:
    scene = Scene(each_hour(per="tenant"))
    for _ in range(2):
        scene.ask()
    refused = scene.refused()
    assert (refused.fault.status, refused.fault.code) == (429, "rate_limit_exceeded")
    assert "requests an hour per tenant: 2 requests an hour" in refused.fault.message
    told = dict(refused.headers)
    assert 0 < int(told["retry-after"]) <= 3601 and told["x-ratelimit-remaining-requests"] == "0"
    assert scene.ask(made(tenant="blue")) is not None
    scene.refused()
    assert scene.counters.refusals == {"requests an hour per tenant": 2} and len(scene.told) == 1, "told once in a window"


def test_budgets_are_402() -> None:
    scene = Scene({"name": "b", "cost": "0.15", "window": "month"})
    scene.ask()
    refused = scene.refused()
    assert (refused.fault.status, refused.fault.code) == (402, "insufficient_quota")
    assert "b: 0.15 USD a month" in refused.fault.message and "of up to" in refused.fault.message
    assert refused.fault.message.endswith(" Or ask for less: allow a shorter answer with `max_tokens`.")


def test_what_never_fits_is_told_to_ask_for_less() -> None:
    scene = Scene({"name": "t", "tokens": 50, "window": "day"})
    refused = scene.refused()
    assert "Ask for less" in refused.fault.message and "retry-after" not in dict(refused.headers)
    assert not scene.told, "others may have room"
    unbounded = scene.refused(made({key: value for key, value in USER.items() if key != "max_tokens"}))
    assert unbounded.fault.message.endswith(" Ask for less: allow a shorter answer with `max_tokens` (4096 tokens were assumed).")


def test_slots_are_free_when_the_request_is_over_and_all_is_when_it_went_nowhere() -> None:
    scene = Scene({"name": "s", "concurrency": 1}, each_hour(name="r", requests=10))
    tap = scene.ask()
    refused = scene.refused()
    assert (refused.fault.status, refused.fault.code, dict(refused.headers)["retry-after"]) == (429, "concurrency_limit", "1")
    run(tap.end(Response(200, {}, origin="provider")))
    assert len(scene.near.freed) == 1 and scene.near.table.tickets == 1, "the rest is settled later"
    tap = scene.ask()
    run(tap.end(Response(503, {}, origin="gateway")))
    assert scene.near.table.tickets == 1


async def test_what_is_taken_of_a_lease_is_in_the_record() -> None:
    scene = Scene(each_hour(name="r", requests=1000, lease="auto"))
    answers = []
    for _ in range(20):
        asked = made()
        answers.append((asked, await scene.handler.request(asked)))
        await asyncio.gather(*scene.leased._tasks)
    (lease,) = scene.leased.leases
    first, last = answers[0][0].record.reserved, answers[-1][0].record.reserved
    assert first is not None and first.leases == (), "reserved for itself"
    assert last is not None and last.leases == (Leased(lease.ticket.hex(), 1),)
    free = lease.free
    await answers[-1][1].end(Response(503, {}, origin="gateway"))
    assert lease.free == free + 1 and answers[-1][0].record.reserved is None, "it is not given back once more"
    asked, tap = answers[-2]
    await tap.end(Response(200, {}))
    assert lease.free == free + 1 and asked.record.reserved is not None, "it comes back when it is settled"
    scene.leased.close()


def test_without_a_rule_that_leases_nobody_looks_for_one() -> None:
    assert Scene(each_hour()).handler._counters is not Scene(each_hour(lease="auto")).handler._counters
    plain = Scene(each_hour(name="r"))
    assert plain.handler._counters is plain.counters


def test_while_nobody_can_count_each_rule_says_what_happens() -> None:
    for policy, answers in (("open", [200] * 3), ("closed", [503] * 3), ("share", [200, 429, 429])):
        scene = Scene(each_hour(on_outage=policy))
        scene.near.away = True
        assert [outcome(scene) for _ in range(3)] == answers and not scene.told


def outcome(scene: Scene) -> int:
    try:
        scene.ask()
    except Reject as reject:
        return reject.fault.status
    return 200


def test_a_caller_is_told_the_name_of_his_key_and_not_its_id() -> None:
    key = "key_0123456789abcdefghjk"
    own = Level(kind="key", id=key, settings=Settings(limits=(Limit(unit="requests", amount=Decimal(0), window="day"),)))
    asked = made()
    asked.identity = Identity("red", "ann-laptop", key, Owner("org_1"), None, inherit([own]))
    assert "key ann-laptop: requests a day: 0 requests a day" in Scene().refused(asked).fault.message


def test_limits_of_whoever_calls_are_counted_beside() -> None:
    team = Level(kind="team", id="t1", settings=Settings(limits=(Limit(unit="requests", amount=Decimal(1), window="day"),)))
    grant = inherit([team])
    scene = Scene(each_hour(name="r", requests=10))

    def theirs(user: str) -> Request:
        asked = made()
        asked.identity = Identity("red", "k", "key_1", Owner("org_1", team="t1", user=user), None, grant)
        return asked

    assert scene.wanted(theirs("ann")) == {"r": 1, "team t1: requests a day": 1}
    assert scene.near.wants[1].group == "org_1"
    assert "team t1: requests a day: 1 requests a day" in scene.refused(theirs("bob")).fault.message
    assert scene.counters.refusals == {"team": 1}, "few labels, whoever is refused"
    assert list(scene.wanted(made())) == ["r"]


def test_plans_are_counted_for_each_tenant() -> None:
    plans = {"free": {"only": {"tenant": ["red*"]}, "rules": [each_hour()]}, "all": {"rules": [each_hour(per="model")]}}
    scene = Scene(plans=plans)
    assert list(scene.wanted()) == ["plan free/requests an hour per tenant|red", "plan all/requests an hour per model|gpt"]
    assert list(scene.wanted(made(tenant="blue"))) == ["plan all/requests an hour per model|gpt"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "none is there"), ({"requests": 1, "tokens": 1}, "got requests and tokens"), ({"requests": 1}, "either `window` or"),
        ({"requests": 1, "window": "day", "seconds": 5}, "either"), ({"concurrency": 1, "window": "day"}, "in no window"),
        (each_hour(zone="Mars/Base"), "no time zone"), (each_hour(per="modle"), 'did you mean "model"'),
        (each_hour(only={"tenants": []}), 'did you mean "tenant"'), (each_hour(per=["key", "key"]), "twice"),
        (each_hour(thresholds=[0.9, 0.5]), "rise"), ({"cost": "10000000", "window": "day"}, "regex"), (each_hour(name="a:b"), "regex"),
        ({"requests": 1, "seconds": 5, "lease": "auto"}, "for rules with `window`"), ({"concurrency": 1, "lease": "auto"}, "with `window`"),
    ],
)  # fmt: skip
def test_mistakes_are_told(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert({"rules": [wrong]}, Limits)


def test_two_rules_need_two_names() -> None:
    with pytest.raises(msgspec.ValidationError, match="give one of them a `name`"):
        msgspec.convert({"rules": [each_hour(), each_hour(hard=False)]}, Limits)
    msgspec.convert({"rules": [each_hour(), each_hour(name="soft", hard=False)]}, Limits)
