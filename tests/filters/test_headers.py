"""Rules for headers: which requests they are for, and in which order they apply."""

from typing import Any

import msgspec
import pytest

from extproc import HeaderEdits, Response, Tap
from extproc.config.model import Model
from filters.headers import Headers, Rule, _Headers
from tests.scene import environment, head, request, run


def applied(route: str, *rules: Rule) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Edits of the request, and headers of a response that had one."""
    handler = Headers(rules=rules).open(environment())
    made = request(head(x_old="1"))
    made.record.route = route
    tap = run(handler.request(made))
    response = Response(200, {"content-type": "application/json"})
    if tap is not None:
        assert isinstance(tap, Tap) and tap.passes
        tap.start(response)
    return made.set_headers, response.headers


def edits(**fields: Any) -> HeaderEdits:
    return HeaderEdits(**fields)


def test_no_rules_cost_nothing() -> None:
    assert applied("gpt") == ({}, {"content-type": "application/json"})


def test_request_and_response() -> None:
    rule = Rule(request=edits(set={"x-new": "1"}, remove=("x-old",)), response=edits(set={"x-by": "us"}, remove=("server",)))
    assert applied("gpt", rule) == ({"x-new": "1", "x-old": None}, {"content-type": "application/json", "x-by": "us", "server": None})


def test_removed_first_then_set_and_later_rules_last() -> None:
    one = Rule(request=edits(set={"x-a": "1", "x-b": "1"}, remove=("x-a",)))
    two = Rule(request=edits(set={"x-b": "2"}))
    three = Rule(request=edits(remove=("x-a",)))
    assert applied("gpt", one)[0] == {"x-a": "1", "x-b": "1"}
    assert applied("gpt", one, two)[0] == {"x-a": "1", "x-b": "2"}
    assert applied("gpt", one, two, three)[0] == {"x-a": None, "x-b": "2"}


@pytest.mark.parametrize(
    ("models", "route", "applies"),
    [
        ((), "gpt", True), ((), "", True), (("gpt",), "gpt", True), (("gpt",), "gpt-4", False), (("gpt*",), "gpt-4", True),
        (("a", "claude-*"), "claude-*", True), (("claude-[1]",), "claude-[1]", True), (("*",), "", True), (("gpt",), "", False),
        (("GPT",), "gpt", False),
    ],
)  # fmt: skip
def test_which_models(models: tuple[str, ...], route: str, applies: bool) -> None:
    rule = Rule(models=models, request=edits(set={"x-a": "1"}))
    for _ in range(2):
        assert applied(route, rule)[0] == ({"x-a": "1"} if applies else {})


def test_a_model_that_is_not_configured() -> None:
    """Somebody else's filter has routed."""
    assert applied("their-own", Rule(models=("their-*",), request=edits(set={"x-a": "1"})))[0] == {"x-a": "1"}
    assert applied("their-own", Rule(models=("gpt",), request=edits(set={"x-a": "1"})))[0] == {}


def test_models_that_the_same_rules_are_for_share_what_is_made_of_them() -> None:
    models = tuple(Model(name=f"model-{number}", targets=("openai",)) for number in range(1000))
    scene = msgspec.structs.replace(environment(), config=msgspec.structs.replace(environment().config, models=models))
    handler = Headers(rules=(Rule(request=edits(set={"x-a": "1"})), Rule(models=("model-7*",)), Rule(models=("model-9",)))).open(scene)
    assert isinstance(handler, _Headers)
    assert (len(handler._edits), len(handler._made)) == (1001, 3)
