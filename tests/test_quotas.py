"""Slots of targets and providers: who is passed over, who is refused, who has said that it has too much to do."""

import asyncio

import pytest
from msgspec.structs import replace

from extproc.config.concurrency import Concurrency, Queue
from extproc.config.model import Aim, Config, Model
from extproc.errors import Reject
from extproc.quotas import Quotas
from extproc.slots.atonce import AtOnce
from extproc.slots.holding import Holding
from extproc.slots.local import LocalSlots
from extproc.tried import LATE, Tried
from extproc.values import Request, Response, Target
from tests.scene import ANTHROPIC, OPENAI, Scene, request, run

GPT, CLAUDE = Target("openai", "gpt"), Target("anthropic", "claude")


def config(*targets: str | Aim, provider: int | None = None, queue: Queue | None = None) -> Config:
    return Config(
        providers={"openai": replace(OPENAI, concurrency=provider), "anthropic": ANTHROPIC},
        models=(Model(name="m", targets=targets, queue=queue), Model(name="n", targets=("openai/gpt",))),
    )


def asked(*targets: Target, model: str = "m") -> Request:
    made = request()
    made.targets = targets
    made.record.model = made.record.route = model
    return made


def take(quotas: Quotas, *targets: Target) -> tuple[Holding | None, tuple[Target, ...]]:
    made = asked(*(targets or (GPT, CLAUDE)))
    return run(quotas.request(made)), made.targets


def test_nothing_bounded_is_no_filter() -> None:
    assert not Quotas(config("openai/gpt"), AtOnce())
    snapshot = Scene().engine.current
    assert not any(isinstance(one, Quotas) for one in (*snapshot.early, *snapshot.filters))


def test_it_is_the_last_filter() -> None:
    scene = Scene(config(Aim(to="openai/gpt", concurrency=1)))
    assert isinstance(scene.engine.current.filters[-1], Quotas)


def test_what_is_not_bounded_takes_nothing() -> None:
    quotas = Quotas(config("openai/gpt", Aim(to="anthropic/claude", concurrency=1)), AtOnce())
    assert take(quotas) == (None, (GPT, CLAUDE))
    assert run(quotas.request(asked())) is None
    assert quotas.slots.counts() == {}


def test_a_full_target_is_passed_over() -> None:
    quotas = Quotas(config(Aim(to="openai/gpt", concurrency=1), Aim(to="anthropic/claude", concurrency=1)), AtOnce())
    first, targets = take(quotas)
    assert targets == (GPT, CLAUDE)
    second, targets = take(quotas)
    assert targets == (CLAUDE,)
    with pytest.raises(Reject, match=r"The target 'openai/gpt' has as many.*'m' has no other that is free\. Try again") as refused:
        take(quotas)
    fault = refused.value.fault
    assert (fault.status, fault.code, refused.value.headers) == (503, "concurrency_limit", (("retry-after", "1"),))
    assert first is not None and second is not None
    run(first.end(Response(200, {})))
    assert take(quotas)[1] == (GPT, CLAUDE)
    assert quotas.slots.refusals() == {"target": 1}


def test_one_without_a_bound_is_always_to_be_had() -> None:
    quotas = Quotas(config(Aim(to="openai/gpt", concurrency=1), "anthropic/claude"), AtOnce())
    take(quotas)
    for _ in range(3):
        assert take(quotas)[1] == (CLAUDE,)


def test_a_provider_over_all_its_models() -> None:
    quotas = Quotas(config("openai/gpt", provider=2), AtOnce())
    take(quotas, GPT)
    take(quotas, Target("openai", "other"))
    with pytest.raises(Reject, match="The provider 'openai'"):
        take(quotas, Target("openai", ""))
    assert quotas.slots.counts()["provider"].held == 2


def test_a_target_that_keeps_the_name_is_one_for_all_names() -> None:
    quotas = Quotas(config(Aim(to="openai", concurrency=1)), AtOnce())
    take(quotas, GPT)
    with pytest.raises(Reject, match="The target 'openai'"):
        take(quotas, Target("openai", "other"))


@pytest.mark.parametrize(
    ("status", "error", "tried", "lower"),
    [
        (200, "", (), False),
        (0, "", (Tried("openai", "gpt", reason=LATE),), False),
        (429, "", (), True),
        (503, "", (), True),
        (529, "", (), True),
        (500, "", (), False),
        (200, "overloaded", (), True),
        (0, "upstream_per_try_timeout", (), True),
        (0, "connect", (), False),
        (200, "", (Tried("openai", "gpt", 429, "rate_limit_exceeded"), Tried("anthropic", "claude", 200)), True),
        (503, "", (Tried("openai", "gpt", 500, "internal_error"), Tried("anthropic", "claude", 503, "overloaded")), False),
    ],
)
def test_who_says_that_it_has_too_much_to_do(status: int, error: str, tried: tuple[Tried, ...], lower: bool) -> None:
    slots = AtOnce()
    quotas = Quotas(config(Aim(to="openai/gpt", concurrency=Concurrency(most=100, adapt=True))), slots)
    made = asked(GPT, CLAUDE)
    tap = run(quotas.request(made))
    assert tap is not None
    made.record.error, made.record.tried = error, tried
    run(tap.end(Response(status, {}, origin="provider" if status else "envoy")))
    limit = slots.table.limit("target:openai/gpt")
    assert (limit is not None and limit < 100) == lower
    assert slots.counts() == {}


def test_a_fixed_bound_stays() -> None:
    slots = AtOnce()
    quotas = Quotas(config(Aim(to="openai/gpt", concurrency=100)), slots)
    tap = run(quotas.request(asked(GPT)))
    assert tap is not None
    run(tap.end(Response(429, {}, origin="provider")))
    assert slots.table.scopes == 0


async def test_the_record_says_how_long_it_stood_in_line() -> None:
    quotas = Quotas(config(Aim(to="openai/gpt", concurrency=1), queue=Queue()), LocalSlots())
    first = await quotas.request(asked(GPT))
    assert first is not None
    waiting = asked(GPT)
    task = asyncio.ensure_future(quotas.request(waiting))
    await asyncio.sleep(0.01)
    await first.end(Response(200, {}))
    assert await task is not None
    assert 0.01 <= waiting.record.queue < 60
