"""Targets that fail, or have asked to be left alone, are passed over; who has nobody left is refused, unless the cache has it."""

from typing import Any

import msgspec
import pytest

from extproc import Entry, Handler, Reject, Request, Response, Tap, Target, Usage, View
from extproc.config.breaker import Breakers
from extproc.config.pool import ProviderKey
from extproc.standing.told import Stand, encode
from extproc.tried import Tried
from filters.cache import _key
from filters.route import Route
from tests.scene import CHAT, CONFIG, Scene, environment, head, request, run

GPT, CLAUDE = Target("openai", "gpt"), Target("anthropic", "claude")


def stand(target: Target, state: Any = "open", left: float = 30.0) -> Stand:
    return Stand(target.provider, target.model, "", state, left, 5.0, "5 failures in a row, the last: 503 overloaded")


def opened(*stands: Stand, **config: Any) -> Handler:
    view = View()
    view.take(encode(list(stands)))
    made = environment(msgspec.structs.replace(CONFIG, **config))
    return Route().open(msgspec.structs.replace(made, standing=view))


def ask(handler: Handler, model: str = "both", path: str = "/v1/chat/completions", **more: Any) -> tuple[Request, Response | Tap | None]:
    made = request(head(path), {**CHAT, "model": model, **more})
    return made, run(handler.request(made))


def test_one_is_passed_over() -> None:
    usual, _ = ask(opened())
    made, tap = ask(opened(stand(GPT)))
    assert tap is None
    assert (made.targets, made.passed, made.configured) == ((CLAUDE,), (GPT,), (GPT, CLAUDE))
    assert _key(made) == _key(usual), "what the cache keeps is the same, whoever is left alone"
    made, _ = ask(opened(stand(GPT)), "other")
    assert made.targets == (CLAUDE,)
    made, _ = ask(opened(stand(CLAUDE)), "gpt")
    assert (made.targets, made.passed) == ((GPT,), ())


@pytest.mark.parametrize(
    ("state", "model", "first"),
    [
        ("open", "both", GPT), ("limited", "both", GPT), ("cooling", "both", GPT), ("open", "other", None), ("limited", "other", None),
        ("open", "fast", None),
    ],
)  # fmt: skip
def test_who_was_to_be_asked_first(state: str, model: str, first: Target | None) -> None:
    made, _ = ask(opened(stand(GPT, state)), model)
    assert made.first == first


def test_the_cache_is_not_that_of_another_model() -> None:
    one, _ = ask(opened(stand(GPT)))
    alone = request(head(), {**CHAT, "model": "both"})
    alone.targets = (CLAUDE,)
    assert _key(one) != _key(alone)


@pytest.mark.parametrize(("state", "status", "code"), [("open", 503, "no_target_available"), ("cooling", 429, "rate_limit_exceeded")])
def test_nobody_is_left(state: str, status: int, code: str) -> None:
    handler = opened(stand(GPT, state), stand(CLAUDE, state))
    made, answer = ask(handler)
    assert answer is None
    assert (made.targets, made.configured) == ((), (GPT, CLAUDE))
    assert made.unavailable is not None
    assert (made.unavailable.fault.status, made.unavailable.fault.code) == (status, code)
    assert dict(made.unavailable.headers) == {"retry-after": "30"}
    assert "openai/gpt" in made.unavailable.fault.message
    with pytest.raises(Reject, match="'both'"):
        ask(handler, path="/v1/responses", input="Hi")


def test_nobody_is_left_and_all_are_asked_all_the_same() -> None:
    made, _ = ask(opened(stand(GPT), stand(CLAUDE), breaker=Breakers(when_all_open="ask")))
    assert (made.targets, made.passed, made.unavailable) == ((GPT, CLAUDE), (), None)


def test_a_provider_with_several_keys() -> None:
    keys = tuple(ProviderKey(key=f"sk-{name}", name=name) for name in ("one", "two"))
    several = {**CONFIG.providers, "openai": msgspec.structs.replace(CONFIG.providers["openai"], key=None, keys=keys)}
    out = [Stand("openai", "", "one", "open", 30, 5), Stand("openai", "gpt", "two", "cooling", 30, 5)]
    assert ask(opened(*out[:1], providers=several))[0].targets == (GPT, CLAUDE)
    assert ask(opened(*out, providers=several))[0].targets == (CLAUDE,)


def test_a_websocket() -> None:
    headers = {**head("/v1/realtime?model=both", "GET"), "upgrade": "websocket"}
    made = request(headers)
    assert run(opened().request(made)) is None
    assert made.targets == (GPT,)
    made = request(headers)
    assert run(opened(stand(Target("openai", "other"))).request(made)) is None
    assert made.targets == (GPT,)
    with pytest.raises(Reject) as raised:
        run(opened(stand(GPT)).request(request(headers)))
    assert raised.value.fault.code == "no_target_available"


def test_a_probe_that_is_not_made_is_given_back() -> None:
    handler = opened(stand(GPT, left=0))
    made, tap = ask(handler)
    assert made.targets == (GPT, CLAUDE)
    assert isinstance(tap, Tap)
    assert tap.passes
    assert ask(handler)[0].targets == (CLAUDE,), "one at a time"
    run(tap.end(answered("cache", GPT)))
    assert ask(handler)[0].targets == (GPT, CLAUDE)


FAILED, ANSWERED = Tried("openai", "gpt", 503, "overloaded"), Tried("anthropic", "claude", 200)


def answered(origin: Any, target: Target | None = None, *tried: Tried, ended: Any = "complete") -> Response:
    response = Response(200, {}, origin=origin)
    response.target, response.tried, response.ended = target, tried, ended
    return response


@pytest.mark.parametrize(
    ("response", "made"),
    [
        (answered("provider", GPT), True),
        (answered("provider", GPT, ended="provider_broke"), True),
        (answered("envoy", GPT), True),
        (answered("provider", CLAUDE, FAILED, ANSWERED), True),
        (answered("provider", CLAUDE, FAILED, ANSWERED, ended="client_closed"), True),
        (answered("gateway"), False),
        (answered("envoy"), False),
        (answered("envoy", GPT, ended="client_closed"), False),
        (answered("provider", GPT, ended="client_closed"), False),
        (answered("provider", GPT, Tried("openai", "gpt", 200), ended="client_closed"), False),
        (answered("provider", CLAUDE), False),
        (answered("provider", CLAUDE, ANSWERED), False),
    ],
)
def test_a_probe_is_made_where_something_is_told_of_its_target(response: Response, made: bool) -> None:
    handler = opened(stand(GPT, left=0))
    _, tap = ask(handler)
    assert isinstance(tap, Tap)
    run(tap.end(response))
    assert ask(handler)[0].targets == ((CLAUDE,) if made else (GPT, CLAUDE))


def test_what_is_kept_is_told_though_nobody_can_be_asked() -> None:
    scene = Scene()
    scene.engine.standing.take(encode([stand(GPT)]))
    body = msgspec.json.encode({**CHAT, "temperature": 0})

    def proceed() -> Any:
        exchange = scene.exchange()
        assert run(exchange.intake.begin()) is None
        return exchange.intake, run(exchange.intake.proceed(body))

    intake, answer = proceed()
    assert answer is None
    with pytest.raises(Reject) as raised:
        intake.forward()
    assert raised.value.fault.code == "no_target_available"
    (key,) = scene.shelf.asked
    scene.shelf.kept[key] = Entry(
        status=200, headers=(), body=b"{}", usage=Usage(), provider="openai", target="gpt", answered="gpt", created=0, stream=False
    )
    _, answer = proceed()
    assert (answer.status, answer.target) == (200, GPT)


def test_how_they_stand_is_told() -> None:
    made = request(head("/v1/providers/status", "GET"))
    answer = run(opened(stand(GPT)).request(made))
    assert isinstance(answer, Response)
    told = msgspec.json.decode(answer.body)
    assert (answer.status, told["status"]) == (200, "degraded")
    assert [provider["healthy"] for provider in told["providers"]] == [True, True]
