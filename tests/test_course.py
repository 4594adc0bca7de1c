"""What an attempt needs before it begins, and who is asked after it: slots, budgets, breakers, pauses."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from extproc.call import Call
from extproc.config.concurrency import Concurrency
from extproc.config.model import Aim, Config, Model
from extproc.config.pool import ProviderKey
from extproc.config.retries import Retries
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.retrying import STOP
from extproc.slots.slot import NO_LINE, Taken
from extproc.standing.told import Stand, encode
from extproc.tried import FULL, Tried, attempts_told, header
from extproc.values import Target
from tests.playbook import Reply, one, request_body, request_headers, response_headers
from tests.scene import ANTHROPIC, CHAT, OPENAI, Scene, head, run
from tests.trying import JSON, Try, gated

GPT, CLAUDE, OTHER = Target("openai", "gpt"), Target("anthropic", "claude"), Target("openai", "other")
SCOPE, FIRST = "target:anthropic/claude", "target:openai/gpt"
TOO_LONG = b'{"error": {"message": "no", "type": "invalid_request_error", "code": "context_length_exceeded"}}'


def config(*targets: str | Aim, **more: Any) -> Config:
    bounded = targets or (Aim(to="openai/gpt", concurrency=2), Aim(to="anthropic/claude", concurrency=1), "openai/other")
    return Config(providers={"openai": OPENAI, "anthropic": ANTHROPIC}, models=(Model(name="m", targets=bounded, **more),))


class Asked:
    """One request, and its attempts one after the other, as Envoy makes them."""

    def __init__(self, scene: Scene, model: str = "m") -> None:
        self.scene = scene
        self.given = gated(scene, {**CHAT, "model": model})
        self.told: dict[str, str] = {}
        self.planned = self._plan
        self.count = 0

    @property
    def _plan(self) -> tuple[Target, ...]:
        return msgspec.json.decode(self.given[2][names.NAMESPACE][names.CALL], type=Call).targets

    def attempt(self) -> Try:
        """The next one."""
        self.count += 1
        return Try(self.scene, self.given, self.count, f"provider_{self._plan[min(self.count, len(self._plan)) - 1].provider}")

    def fails(self, made: Try, status: int = 500, body: bytes = b'{"error": {"message": "no"}}') -> Reply:
        """It answers with an error; what it left in metadata counts from now on."""
        made.answer({**JSON, ":status": str(status)})
        head, *_ = made.piece(body, end=True)
        for space, told in head.metadata.items():
            self.given[2].setdefault(space, {}).update(told)
        self.told |= {name: text for name, text in head.metadata[names.USE_NAMESPACE].items() if isinstance(text, str)}
        made.session.close()
        return head

    def tried(self) -> tuple[Tried, ...]:
        return attempts_told(self.told, self.planned, self.count)


def held(scene: Scene, scope: str) -> int:
    return scene.engine.slots.table.held(scope)  # type: ignore[attr-defined, no-any-return]


def fill(scene: Scene, target: Target) -> bytes:
    """Somebody else has its only slot."""
    assert scene.engine.current.quotas is not None
    taken = run(scene.engine.slots.take((scene.engine.current.quotas.wants(target.provider, target.model),), NO_LINE))
    assert isinstance(taken, Taken)
    return taken.ticket


def test_each_attempt_has_the_slot_of_its_own_target_for_as_long_as_it_lasts() -> None:
    asked = Asked(scene := Scene(config()))
    first = asked.attempt()
    assert (held(scene, FIRST), held(scene, SCOPE)) == (1, 0)
    assert asked.fails(first).headers[":status"] == "503"
    assert held(scene, SCOPE) == 1, "it is kept for the next attempt"
    second = asked.attempt()
    assert (second.first.part, held(scene, FIRST), held(scene, SCOPE)) == ("request_headers", 0, 1)
    asked.fails(second, 503)
    assert (held(scene, FIRST), held(scene, SCOPE)) == (0, 0)
    third = asked.attempt()
    assert (third.first.part, held(scene, FIRST), held(scene, SCOPE)) == ("request_headers", 0, 0)
    third.session.close()


def test_who_has_no_room_is_passed_over_and_told_of() -> None:
    asked = Asked(scene := Scene(config()))
    made = asked.attempt()
    fill(scene, CLAUDE)
    assert asked.fails(made).headers[":status"] == "503"
    third = asked.attempt()
    assert (third.cluster, held(scene, SCOPE)) == ("provider_openai", 1)
    assert third.sent()[1]["model"] == "other"
    asked.fails(third)
    assert [(one.provider, one.status, one.reason) for one in asked.tried()] == [
        ("openai", 500, "internal_error"), ("anthropic", 0, FULL), ("openai", 500, "internal_error"),
    ]  # fmt: skip
    assert f'anthropic/claude;reason="{FULL}"' in header(asked.tried())


def test_where_nobody_has_room_the_failure_is_the_answer() -> None:
    asked = Asked(scene := Scene(config("openai/gpt", Aim(to="anthropic/claude", concurrency=1))))
    made = asked.attempt()
    fill(scene, CLAUDE)
    head = asked.fails(made)
    assert (head.headers.get(":status"), head.headers[STOP]) == (None, "true")
    assert [(one.model, one.reason) for one in asked.tried()] == [("claude", FULL), ("gpt", "internal_error")]


def test_who_is_full_when_envoy_goes_on_by_itself_refuses() -> None:
    asked = Asked(scene := Scene(config()))
    asked.attempt().session.close()
    fill(scene, CLAUDE)
    second = asked.attempt()
    assert (second.first.status, second.first.headers["retry-after"]) == (503, "1")
    assert b"concurrency_limit" in (second.first.body or b"")
    second.session.close()
    assert (held(scene, FIRST), held(scene, SCOPE)) == (0, 1)


def test_who_is_known_to_be_full_is_asked_last() -> None:
    scene = Scene(config("openai/gpt", Aim(to="anthropic/claude", concurrency=1), "openai/other"))
    assert Asked(scene).planned == (GPT, CLAUDE, OTHER)
    ticket = fill(scene, CLAUDE)
    assert Asked(scene).planned == (GPT, OTHER, CLAUDE)
    scene.engine.slots.release(ticket)
    assert Asked(scene).planned == (GPT, CLAUDE, OTHER)


def test_an_adapting_bound_heeds_fallbacks() -> None:
    asked = Asked(scene := Scene(config("openai/gpt", Aim(to="anthropic/claude", concurrency=Concurrency(most=10, adapt=True)))))
    asked.fails(asked.attempt())
    asked.fails(asked.attempt(), 529)
    assert scene.engine.slots.table.limit(SCOPE) < 10  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", ["", "open", "cooling", "limited", "full"])
def test_who_is_named_for_a_refusal_has_to_be_there(state: str) -> None:
    bounded = config("openai/gpt", on_context_length=("anthropic/claude",))
    other = Model(name="n", targets=(Aim(to="anthropic/claude", concurrency=1),))
    asked = Asked(scene := Scene(replace(bounded, models=(*bounded.models, other))))
    made = asked.attempt()
    if state == "full":
        fill(scene, CLAUDE)
    elif state:
        scene.engine.standing.take(encode([Stand("anthropic", "claude", "", state, 30.0, 1.0)]))  # type: ignore[arg-type]
    head = asked.fails(made, 400, TOO_LONG)
    goes_on = state in ("", "limited")
    assert (head.headers.get(":status") == "409", STOP in head.headers) == (goes_on, not goes_on)


def test_who_was_not_asked_after_all_is_told_and_not_booked(caplog: pytest.LogCaptureFixture) -> None:
    """Envoy has gone on by itself, and here it turns out that there is no room: its own answer names our refusal."""
    scene = Scene(config("openai/gpt", Aim(to="anthropic/claude", concurrency=1)))
    session = GateSession(scene.engine)
    one(session, request_headers(head()))
    one(session, request_body(msgspec.json.encode({**CHAT, "model": "m"})))
    refused = {":status": "503", "content-type": "application/json"}
    one(session, response_headers(refused, cluster="provider_anthropic", attempt=2, details=f"{names.DETAILS_PREFIX}{FULL}"))
    session.close()
    (record,) = scene.books
    assert (record.provider, record.attempts, record.error) == ("openai", 1, FULL)
    assert [(one.provider, one.reason, one.asked) for one in record.tried] == [("openai", "no_answer", True), ("anthropic", FULL, False)]
    assert "no answer from openai, and anthropic is not asked: it has no room" in caplog.text


def test_so_many_requests_go_on_to_another_target() -> None:
    """Whether the one before has answered, or Envoy goes on by itself."""
    scene = Scene(config("openai/gpt", "anthropic/claude", retries=Retries(fallback_budget=0.0)))
    for _ in range(5):
        asked = Asked(scene)
        assert asked.fails(asked.attempt()).headers[":status"] == "503"
        assert asked.attempt().first.part == "request_headers"
        asked = Asked(scene)
        asked.attempt().session.close()
        assert asked.attempt().first.part == "request_headers"
    asked = Asked(scene)
    head = asked.fails(asked.attempt())
    assert (head.headers.get(":status"), head.headers[STOP]) == (None, "true")
    asked = Asked(scene)
    asked.attempt().session.close()
    refused = asked.attempt().first
    assert (refused.status, refused.headers["retry-after"], b"retry_budget_spent" in (refused.body or b"")) == (503, "1", True)
    assert scene.engine.budgets.spent == 2


def test_a_budget_is_the_configured_models_by_whatever_name_it_is_asked_for() -> None:
    retries = Retries(fallback_budget=0.0)
    settings = config("openai/gpt", "anthropic/claude", retries=retries)
    scene = Scene(replace(settings, models=(replace(settings.models[0], name="m*", aliases=("other",)),)))
    went_on = 0
    for number in range(30):
        asked = Asked(scene, "other" if number % 3 == 0 else f"m{number}")
        went_on += asked.fails(asked.attempt()).headers.get(":status") == "503"
    assert went_on == 10


def test_the_first_slot_is_given_back_also_where_an_attempt_never_got_here() -> None:
    asked = Asked(scene := Scene(config()))
    asked.attempt().session.close()
    assert held(scene, FIRST) == 1
    asked.count += 1
    third = asked.attempt()
    assert (third.cluster, held(scene, FIRST)) == ("provider_openai", 0)
    third.session.close()


def test_refusals_are_not_what_a_budget_is_for() -> None:
    scene = Scene(config("openai/gpt", on_context_length=("anthropic/claude",), retries=Retries(fallback_budget=0.0)))
    for _ in range(12):
        asked = Asked(scene)
        assert asked.fails(asked.attempt(), 400, TOO_LONG).headers[":status"] == "409"


def test_an_attempt_with_another_key_waits_where_the_one_before_had_no_answer() -> None:
    keyed = replace(OPENAI, key=None, keys=tuple(ProviderKey(key=f"sk-{name}", name=name) for name in "ab"))
    settings = replace(config("openai/gpt", retries=Retries(again=1, pause=0.5)), providers={"openai": keyed})
    for answers, waits in ((False, True), (True, False)):
        pauses: list[float] = []
        scene = Scene(settings)

        async def wait(seconds: float, pauses: list[float] = pauses) -> None:
            pauses.append(seconds)

        scene.engine.pause = wait
        asked = Asked(scene)
        made = asked.attempt()
        if answers:
            asked.fails(made, 429)
        else:
            made.session.close()
        asked.attempt().session.close()
        assert bool(pauses) is waits
