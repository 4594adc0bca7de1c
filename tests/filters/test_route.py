"""From the model that a request names to its targets, and the list of models."""

import json
from typing import Any

import msgspec
import pytest

from extproc import Handler, Identity, Reject, Request, Response, Target
from extproc.callers.directory import NoDirectory
from extproc.config.model import Aim, Model
from extproc.config.when import When
from extproc.dialects.quirks import Quirks
from extproc.identity.claimed import TeamName
from extproc.identity.levels import Grant, Level
from extproc.identity.record import Owner
from extproc.identity.settings import Settings
from filters.route import Route
from tests.scene import CHAT, CONFIG, environment, head, request, run

HANDLER = Route().open(environment())


def routed(body: Any = CHAT, path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> Request:
    made = request(head(path, method, **headers), body)
    assert run(HANDLER.request(made)) is None
    return made


def refused(body: Any = CHAT, path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> Reject:
    with pytest.raises(Reject) as raised:
        routed(body, path, method, **headers)
    return raised.value


@pytest.mark.parametrize(
    ("model", "route", "targets"),
    [
        ("gpt", "gpt", [("openai", "gpt")]),
        ("quick", "fast", [("openai", "gpt-fast")]),
        ("claude-9", "claude-*", [("anthropic", "claude-9")]),
        ("both", "both", [("openai", "gpt"), ("anthropic", "claude")]),
    ],
)
def test_by_model(model: str, route: str, targets: list[tuple[str, str]]) -> None:
    made = routed({**CHAT, "model": model})
    assert made.targets == tuple(Target(*target) for target in targets)
    assert (made.record.model, made.record.route) == (model, route)


def test_a_model_that_there_is_not() -> None:
    error = refused({"model": "gppt"}).fault
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert "'gpt'" in error.message
    assert "/v1/models" in refused({"model": "zzzzzzzz"}).fault.message


@pytest.mark.parametrize("model", ["x" * 257, "gpt" * 100_000, "claude-" + "x" * 300])
def test_a_name_that_is_no_name(model: str) -> None:
    error = refused({"model": model}).fault
    assert (error.status, error.code) == (400, "invalid_model")
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_model"),
        ({"model": ""}, "missing_model"),
        ({"model": None}, "missing_model"),
        ({"model": 1}, "invalid_request"),
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
    ],
)
def test_a_request_that_names_none(body: Any, code: str) -> None:
    error = refused(body).fault
    assert (error.status, error.code) == (400, code)


def test_what_is_not_translated_goes_to_its_own_dialect_only() -> None:
    assert routed({"model": "other"}, "/v1/embeddings").targets == (Target("openai", "gpt"),)
    assert routed({"model": "other"}, "/v1/messages/count_tokens").targets == (Target("anthropic", "claude"),)
    assert refused({"model": "claude-1"}, "/v1/embeddings").fault.code == "unsupported_endpoint"


def test_a_provider_of_several_dialects_has_what_any_of_them_has() -> None:
    also = msgspec.structs.replace(CONFIG.providers["openai"], also=("responses", "anthropic"))
    handler = Route().open(
        environment(msgspec.structs.replace(CONFIG, providers={"openai": also, "anthropic": CONFIG.providers["anthropic"]}))
    )
    for path, targets in (
        ("/v1/embeddings", ("openai",)),
        ("/v1/responses/input_tokens", ("openai", "anthropic")),
        ("/v1/moderations", ("openai",)),
        ("/v1/messages/count_tokens", ("openai", "anthropic")),
        ("/v1/responses", ("openai", "anthropic")),
    ):
        made = request(head(path), {"model": "both"})
        assert run(handler.request(made)) is None
        assert tuple(target.provider for target in made.targets) == targets
    # The first of those that speak the dialect, in whatever place they name it.
    for path in ("/v1/responses/resp_1", "/v1/messages/batches", "/v1/files"):
        made = request(head(path, "GET"), b"")
        assert run(handler.request(made)) is None
        assert made.targets == (Target("openai", ""),)
    # Nobody counts its tokens: see `estimate.py`.
    assert routed({"model": "gpt"}, "/v1/responses/input_tokens").targets == ()


def _offering(*endpoints: Any) -> Any:
    """OpenAI's dialect with `endpoints`, before Anthropic's of which nothing is known, as `both`."""
    openai = msgspec.structs.replace(CONFIG.providers["openai"], endpoints=endpoints, also=("responses",))
    return Route().open(environment(msgspec.structs.replace(CONFIG, providers={**CONFIG.providers, "openai": openai})))


@pytest.mark.parametrize(
    ("endpoints", "path", "providers"),
    [
        ((), "/v1/embeddings", ["openai"]),
        (("chat", "embeddings"), "/v1/embeddings", ["openai"]),
        (("chat",), "/v1/embeddings", None),
        (("embeddings", "rerank"), "/v1/chat/completions", ["anthropic"]),
        (("embeddings",), "/v1/messages", ["anthropic"]),
        (("embeddings",), "/v1/messages/count_tokens", ["anthropic"]),
        (("completions",), "/v1/chat/completions", ["openai", "anthropic"]),
        (("chat",), "/v1/completions", ["openai", "anthropic"]),
        (("chat",), "/v1/rerank", None),
        (("chat",), "/v1/images/generations", None),
        (("images",), "/v1/images/generations", ["openai"]),
        (("chat", "images"), "/v1/audio/speech", None),
        (("chat",), "/v1/moderations", None),
        (("chat",), "/v1/responses/compact", None),
        (("chat", "responses"), "/v1/responses/compact", ["openai"]),
    ],
)
def test_nobody_is_asked_for_what_he_is_known_not_to_have(endpoints: Any, path: str, providers: list[str] | None) -> None:
    made = request(head(path), {"model": "both", "messages": []})
    if providers is None:
        with pytest.raises(Reject) as raised:
            run(_offering(*endpoints).request(made))
        assert (raised.value.fault.status, raised.value.fault.code) == (404, "unsupported_endpoint")
        assert path in raised.value.fault.message
        return
    assert run(_offering(*endpoints).request(made)) is None
    assert [target.provider for target in made.targets] == providers


def test_what_names_no_model_goes_by_dialect_or_header() -> None:
    assert routed(b"", "/v1/files", "GET").targets == (Target("openai", ""),)
    assert routed(b"", "/v1/files", "GET", anthropic_version="2023-06-01").targets == (Target("anthropic", ""),)
    assert routed(b"", "/v1/files", "GET", x_headgate_provider="anthropic").targets == (Target("anthropic", ""),)
    assert refused(b"", "/v1/files", "GET", x_headgate_provider="nobody").fault.code == "provider_not_found"


def test_where_nobody_speaks_the_dialect() -> None:
    config = msgspec.structs.replace(CONFIG, providers={"openai": CONFIG.providers["openai"]}, models=CONFIG.models[:1])
    handler = Route().open(environment(config))
    made = request(head("/v1/files", "GET", anthropic_version="2023-06-01"))
    assert run(handler.request(made)) is None
    assert made.targets == ()


def listed(path: str, **headers: str) -> Any:
    response = run(HANDLER.request(request(head(path, "GET", **headers))))
    assert isinstance(response, Response) and response.status == 200
    return msgspec.json.decode(response.body)


def test_models() -> None:
    names = ["gpt", "fast", "quick", "both", "other"]
    assert [entry["id"] for entry in listed("/v1/models?limit=9")["data"]] == names
    assert [entry["id"] for entry in listed("/v1/models/", anthropic_version="x")["data"]] == names


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("/v1/models/gpt", "gpt"),
        ("/v1/models/claude-1?x=1", "claude-1"),
        ("/v1/models/claude-a%2Fb", "claude-a/b"),
        ("/v1/models/claude-a/b", "claude-a/b"),
    ],
)
def test_one_model(path: str, id: str) -> None:
    assert listed(path)["id"] == id


def test_one_model_that_there_is_not() -> None:
    with pytest.raises(Reject) as raised:
        listed("/v1/models/nothing")
    assert raised.value.fault.code == "model_not_found"


def test_a_model_that_the_body_names_is_shown() -> None:
    shown = run(HANDLER.request(request(head("/api/show"), {"model": "gpt"})))
    assert isinstance(shown, Response)
    assert msgspec.json.decode(shown.body)["model_info"]["general.basename"] == "gpt"
    for body, code in (({}, "missing_model"), ({"model": "gppt"}, "model_not_found")):
        with pytest.raises(Reject) as refused:
            run(HANDLER.request(request(head("/api/show"), body)))
        assert refused.value.fault.code == code


def test_what_is_fixed_is_answered_whoever_asks() -> None:
    told = run(HANDLER.request(request(head("/api/version", "GET"), {})))
    assert isinstance(told, Response)
    assert (told.status, list(msgspec.json.decode(told.body))) == (200, ["version"])


def test_a_form_of_a_conversation_goes_wherever_conversations_go() -> None:
    made = routed({"model": "both", "prompt": "Hi"}, "/api/generate")
    assert [target.provider for target in made.targets] == ["openai", "anthropic"]


def test_a_model_of_one_provider() -> None:
    made = routed({**CHAT, "model": "both"}, x_headgate_provider="anthropic")
    assert made.targets == (Target("anthropic", "claude"),)
    assert refused({**CHAT, "model": "gpt"}, x_headgate_provider="anthropic").fault.code == "model_not_found"
    assert refused({**CHAT, "model": "gpt"}, x_headgate_provider="nobody").fault.code == "provider_not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/delete"), ("POST", "/api/pull"), ("POST", "/API//Pull/"), ("POST", "/api/create?x=1"),
        ("POST", "/api/blobs/sha256:1"),
        ("POST", "/v1/realtime/client_secrets"), ("POST", "/realtime/client_secrets"), ("POST", "/v1/realtime/client%5fsecrets"),
        ("POST", "/v1/organization/admin_api_keys"), ("GET", "/v1/organizations/me"), ("POST", "/v1beta/auth_tokens"),
        ("DELETE", "/v1/models/ft-1"), ("POST", "/v1/realtime/calls"),
    ],
)  # fmt: skip
def test_what_administers_a_provider_does_not_pass(method: str, path: str) -> None:
    error = refused(b"", path, method).fault
    assert (error.status, error.code) == (403, "path_refused")
    assert "`refuses` of the filter `route`" in error.message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/files"), ("DELETE", "/v1/files/f-1"), ("POST", "/v1/batches"), ("POST", "/v1/uploads"), ("GET", "/v1/vector_stores"),
        ("POST", "/v1/containers"), ("GET", "/v1/unknown"), ("POST", "/v1/fine_tuning/jobs"),
    ],
)  # fmt: skip
def test_the_rest_passes(method: str, path: str) -> None:
    assert routed(b"", path, method).targets


def test_what_passes_is_set() -> None:
    handler = Route(passes=("GET /v1/files*", "/v1/batches*"), refuses=("*/cancel",)).open(environment())

    def status(method: str, path: str) -> int:
        try:
            run(handler.request(request(head(path, method))))
        except Reject as reject:
            return reject.fault.status
        return 200

    assert status("GET", "/v1/files/f") == status("POST", "/V1/Batches") == 200
    assert status("POST", "/v1/files") == status("POST", "/v1/batches/b/cancel") == status("GET", "/v1/uploads") == 403
    assert status("GET", "/v1/models") == 200


def _choosing(strategy: Any, *targets: str | Aim) -> Handler:
    model = Model(name="chosen", targets=targets, strategy=strategy, aliases=("alias",))
    return Route().open(environment(msgspec.structs.replace(CONFIG, models=(model,))))


def _asked(handler: Handler, model: str = "chosen", tenant: str = "", **headers: str) -> Request:
    made = request(head(**headers), {**CHAT, "model": model}, tenant)
    assert run(handler.request(made)) is None
    return made


def test_tiers_come_one_after_the_other_whatever_the_strategy() -> None:
    far, near, also = Aim(to="openai/far", tier=2), Aim(to="openai/near", weight=2), "anthropic/also"
    for strategy in ("round_robin", "weighted", {"sticky": {"by": "caller"}}):
        handler = _choosing(strategy, far, near, also)
        for _ in range(8):
            made = _asked(handler)
            assert {target.model for target in made.targets[:2]} == {"near", "also"}
            assert [target.model for target in made.targets[2:]] == ["far"]
            assert [target.model for target in made.configured] == ["near", "also", "far"]
    assert [target.model for target in _asked(_choosing("ordered", far, near, also)).targets] == ["near", "also", "far"]


def test_turns_are_taken_over_all_names_of_a_model() -> None:
    handler = _choosing("round_robin", "openai", "anthropic")
    first, second = _asked(handler), _asked(handler, "alias")
    assert first.targets != second.targets
    assert {target.model for target in (*first.targets, *second.targets)} == {"chosen"}


def test_only_targets_that_are_for_the_request() -> None:
    eu, red = Aim(to="openai/eu", when=When(headers={"x-region": "eu-*"})), Aim(to="anthropic/red", when=When(tenants=("red",)))
    handler = _choosing("ordered", eu, red)
    assert [target.model for target in _asked(handler, tenant="red", x_region="eu-1").targets] == ["eu", "red"]
    assert [target.model for target in _asked(handler, tenant="red").targets] == ["red"]
    assert [target.model for target in _asked(handler, x_region="eu-1").targets] == ["eu"]
    with pytest.raises(Reject) as raised:
        _asked(handler, x_region="us-1")
    assert (raised.value.fault.status, raised.value.fault.code) == (404, "no_target")
    assert raised.value.fault.message.endswith("there are conditions that it does not fulfil: `headers`, `tenants`.")


def test_what_a_request_needs_is_told_where_nobody_has_it() -> None:
    handler = _choosing("ordered", Aim(to="openai/blind", lacks=("images", "tools")), Aim(to="anthropic/b", when=When(tags=("x",))))
    assert [target.model for target in _asked(handler).targets] == ["blind"]
    calling = {**CHAT, "model": "chosen", "tools": [{"type": "function", "function": {"name": "f"}}]}
    with pytest.raises(Reject) as raised:
        run(handler.request(request(body=calling)))
    assert raised.value.fault.message.endswith("fulfil: `lacks` (it needs tools), `tags`.")
    made = request(head(x_headgate_tags="x"), calling)
    run(handler.request(made))
    assert made.targets == (Target("anthropic", "b"),)


def test_a_bulky_body_is_looked_into_where_a_condition_asks() -> None:
    handler = _choosing("ordered", Aim(to="openai/blind", lacks=("images",)), "anthropic/seeing")
    body = {
        **CHAT,
        "model": "chosen",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"required": ["image_url"]}}}],
    }
    made = request(body=body)
    made.bulky = True
    run(handler.request(made))
    assert made.targets[0].model == "blind"
    made = request(body={**body, "model": "x" * 300})
    made.bulky = True
    with pytest.raises(Reject, match="300 characters"):
        run(handler.request(made))


def _remembering(strategy: Any, *targets: str | Aim) -> Handler:
    """Both providers keep the responses that they give; `lab` keeps none."""
    speaking = {name: msgspec.structs.replace(one, also=("responses",)) for name, one in CONFIG.providers.items()}
    lab = msgspec.structs.replace(speaking["openai"], quirks=Quirks(memory=False))
    model = Model(name="chosen", targets=targets, strategy=strategy)
    return Route().open(environment(msgspec.structs.replace(CONFIG, providers={**speaking, "lab": lab}, models=(model,))))


def _begins(handler: Handler, path: str, tenant: str, turn: int) -> str:
    made = request(head(path), {"model": "chosen", "input": f"{turn}", "previous_response_id": f"resp_{turn}"}, tenant)
    assert run(handler.request(made)) is None
    return made.targets[0].provider


@pytest.mark.parametrize("strategy", ["weighted", "round_robin", "sticky", {"sticky": {"by": "prefix"}}])
def test_who_goes_on_finds_the_provider_that_remembers(strategy: Any) -> None:
    handler = _remembering(strategy, "openai/a", Aim(to="anthropic/b", weight=3), Aim(to="lab/c", weight=0))
    first = {tenant: {_begins(handler, "/v1/responses", tenant, turn) for turn in range(8)} for tenant in map(str, range(200))}
    assert all(len(providers) == 1 for providers in first.values())
    seen = [provider for providers in first.values() for provider in providers]
    # Of 200 callers, 150 are expected at the one of thrice the weight: within five standard deviations.
    assert set(seen) == {"openai", "anthropic"}
    assert abs(seen.count("anthropic") - 150) < 5 * (200 * 0.75 * 0.25) ** 0.5
    # The other APIs say the whole conversation each time, and go where the strategy says.
    assert len({_begins(handler, "/v1/chat/completions", "0", turn) for turn in range(64)}) > 1


@pytest.mark.parametrize("targets", [("openai/a", "lab/b"), ("openai/a", "openai/b"), ("lab/a", "lab/b")])
def test_one_that_remembers_is_found_whatever_the_strategy(targets: tuple[str, ...]) -> None:
    handler = _remembering("round_robin", *targets)
    made = [request(head("/v1/responses"), {"model": "chosen", "input": "Hi"}) for _ in range(2)]
    assert all(run(handler.request(one)) is None for one in made)
    assert made[0].targets != made[1].targets


def test_as_written_stays_as_written() -> None:
    handler = _remembering("ordered", Aim(to="openai/a", when=When(tenants=("*",))), "anthropic/b")
    assert {_begins(handler, "/v1/responses", tenant, 1) for tenant in map(str, range(1, 40))} == {"openai"}


def granted(body: Any = CHAT, path: str = "/v1/chat/completions", method: str = "POST", **said: Any) -> Request | Response | Reject:
    """What becomes of a request of a caller for whom something is set."""
    made = request(head(path, method), body)
    made.identity = Identity(grant=Grant([Level(kind="key", settings=Settings(**said))]))
    try:
        answered = run(HANDLER.request(made))
    except Reject as reject:
        return reject
    return answered if isinstance(answered, Response) else made


def refusal(outcome: Request | Response | Reject) -> tuple[int, str]:
    assert isinstance(outcome, Reject)
    return outcome.fault.status, outcome.fault.code


def test_a_model_of_a_pattern_is_listed_for_who_may_ask_for_it_by_name() -> None:
    told = granted(b"", "/v1/models", "GET", models=("claude-9", "claude-*", "gpt", "nobody"))
    assert isinstance(told, Response)
    assert [model["id"] for model in json.loads(told.body)["data"]] == ["gpt", "claude-9"]
    told = granted(b"", "/v1/models", "GET", models=("claude-9",), providers=("openai",))
    assert isinstance(told, Response) and json.loads(told.body)["data"] == []


def test_a_bounded_caller_asks_for_what_he_may() -> None:
    made = granted({**CHAT, "model": "both"}, models=("both",), providers=("anthropic",))
    assert isinstance(made, Request) and made.targets == (Target("anthropic", "claude"),)
    assert refusal(granted(models=("claude-*",))) == (403, "model_not_allowed")
    assert refusal(granted(providers=("anthropic",))) == (403, "provider_not_allowed")
    assert refusal(granted(endpoints=("embeddings",))) == (403, "endpoint_not_allowed")
    missing = granted({**CHAT, "model": "gppt"}, models=("fast",))
    assert refusal(missing) == (404, "model_not_found") and "gpt'" not in str(missing).replace("gppt", "")


def test_a_bounded_caller_asks_without_a_model_whom_he_may() -> None:
    made = granted(b"", "/v1/files", "GET", providers=("openai",))
    assert isinstance(made, Request) and made.targets == (Target("openai", ""),)
    assert refusal(granted(b"", "/v1/files", "GET", providers=("anthropic",))) == (403, "provider_not_allowed")


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models", "/api/tags", "/v1/models?limit=9"])
def test_a_bounded_caller_sees_what_he_may_ask_for(path: str) -> None:
    told = granted(b"", path, "GET", models=("gpt", "f*", "both"), providers=("openai",))
    assert isinstance(told, Response)
    assert b"gpt" in told.body and b"fast" in told.body and b"both" in told.body
    assert b"quick" not in told.body and b"other" not in told.body
    one = granted(b"", "/v1/models/gpt", "GET", models=("gpt",))
    assert isinstance(one, Response) and one.status == 200
    assert refusal(granted(b"", "/v1/models/fast", "GET", models=("gpt",))) == (404, "model_not_found")


class Teams(NoDirectory):
    """Knows one team."""

    async def teams(self, owner: Owner) -> list[TeamName]:
        return [TeamName(owner.team, "research", owner.organization)]


def test_the_callers_teams() -> None:
    handler = Route().open(msgspec.structs.replace(environment(), directory=Teams()))
    made = request(head("/v1/teams", "GET"))
    told = run(handler.request(made))
    assert isinstance(told, Response) and msgspec.json.decode(told.body) == {"object": "list", "data": []}
    made.identity = Identity(owner=Owner("org_1", team="team_1"))
    told = run(handler.request(made))
    assert isinstance(told, Response)
    assert msgspec.json.decode(told.body)["data"] == [{"team_id": "team_1", "team_alias": "research", "organization_id": "org_1"}]
