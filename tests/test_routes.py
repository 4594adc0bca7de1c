"""From a name to its targets: as a model too simple to be wrong says, and with the same work for ten routes and for ten thousand."""

import fnmatch
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.config.model import Model, aim
from extproc.routes import Routes
from extproc.values import Target
from tests.examples import examples

LETTERS = st.text("ab-", max_size=4)
PATTERNS = st.lists(st.one_of(st.just("*"), LETTERS), min_size=1, max_size=5).map("".join).filter(bool)
TARGETS = st.lists(st.sampled_from(["p", "q/x", "r/y/z"]), min_size=1, max_size=2).map(tuple)
MODELS = st.lists(
    st.builds(Model, name=PATTERNS, targets=TARGETS, aliases=st.lists(LETTERS.filter(bool), max_size=2).map(tuple)), min_size=1, max_size=8
)


def distinct(models: list[Model]) -> list[Model]:
    """Without names that are there twice, as `headgate check` demands."""
    seen: set[str] = set()
    kept = []
    for model in models:
        names = {model.name, *model.aliases}
        if not names & seen and len(names) == 1 + len(model.aliases):
            kept.append(model)
            seen |= names
    return kept


def naive(models: list[Model], name: str) -> list[Model]:
    """All that could be meant: exact names and aliases before patterns, then the longest patterns."""
    exact = [model for model in models if ("*" not in model.name and name == model.name) or name in model.aliases]
    if exact:
        return exact
    matching = [model for model in models if "*" in model.name and re.fullmatch(model.name.replace("*", ".*"), name)]
    longest = max((len(model.name) for model in matching), default=0)
    return [model for model in matching if len(model.name) == longest]


def expected(model: Model, name: str) -> tuple[Target, ...]:
    own = model.name if name in model.aliases and "*" not in model.name else name
    aims = map(aim, model.targets)
    return tuple(Target(one.provider, one.model or own) for one in aims)


@given(MODELS, st.lists(LETTERS, min_size=1, max_size=8))
@settings(max_examples=examples(300), deadline=None)
def test_find_agrees_with_a_naive_model(models: list[Model], asked: list[str]) -> None:
    models = distinct(models)
    routes = Routes(models)
    for name in [
        *asked,
        *asked,
        *(model.name for model in models if "*" not in model.name),
        *(a for model in models for a in model.aliases),
    ]:
        found = routes.find(name)
        candidates = naive(models, name)
        if found is None:
            assert not candidates
        else:
            assert (found.name, found.resolve(name)) in [(model.name, expected(model, name)) for model in candidates]


def test_precedence() -> None:
    routes = Routes(
        [
            Model(name="*", targets=("all",)),
            Model(name="gpt-*", targets=("some",)),
            Model(name="gpt-4*", targets=("more",)),
            Model(name="*-mini", targets=("small",)),
            Model(name="gpt-4o", targets=("exact/model",), aliases=("best",)),
            Model(name="kept", targets=("p", "q/other"), aliases=("alias",)),
        ]
    )
    found = {name: routes.find(name) for name in ("x", "gpt-3", "gpt-4o", "best", "gpt-4o-mini", "o-mini", "alias", "")}
    assert {name: route.resolve(name) for name, route in found.items() if route} == {
        "x": (Target("all", "x"),),
        "gpt-3": (Target("some", "gpt-3"),),
        "gpt-4o": (Target("exact", "model"),),
        "best": (Target("exact", "model"),),
        "gpt-4o-mini": (Target("more", "gpt-4o-mini"),),
        "o-mini": (Target("small", "o-mini"),),
        "alias": (Target("p", "kept"), Target("q", "other")),
        "": (Target("all", ""),),
    }
    assert routes.names() == ["gpt-4o", "best", "kept", "alias"]


def test_near() -> None:
    routes = Routes([Model(name="gpt-4o", targets=("p",), aliases=("chat",)), Model(name="claude-*", targets=("p",))])
    assert routes.near("gpt4o")[0] == "gpt-4o"
    assert routes.near("claude") == ["claude-*"]
    assert routes.near("zzz") == []


def test_near_among_many() -> None:
    routes = Routes([Model(name=f"model-{index:05}", targets=("p",)) for index in range(10_000)])
    assert routes.near("model-05000x")[0] == "model-05000"
    assert len(routes.near("model-0500")) == 3
    assert routes.near("zzz") == routes.near("") == []


class Counting(dict[str, Any]):
    looked = 0

    def get(self, *args: Any) -> Any:
        self.looked += 1
        return super().get(*args)


def lookups(number: int) -> list[int]:
    """Look-ups for an exact name, for a name of a pattern, and for one that there is not."""
    models = [Model(name=f"model-{index:05}", targets=("p",)) for index in range(number)]
    models += [Model(name=f"group-{index:05}-*", targets=("p",)) for index in range(number)]
    routes = Routes(models)
    exact, prefixes = Counting(routes._exact), Counting(routes._prefixes)
    routes._exact, routes._prefixes = exact, prefixes
    counts = []
    for name, there in ((f"model-{number - 1:05}", True), (f"group-{number - 1:05}-x", True), ("nothing-like-it-at-all", False)):
        before = exact.looked + prefixes.looked
        assert (routes.find(name) is not None) == there
        counts.append(exact.looked + prefixes.looked - before)
    return counts


def test_ten_thousand_routes_cost_no_more_than_ten() -> None:
    assert lookups(10_000) == lookups(10) == [1, 2, 2]


class Watched:
    """A pattern that counts how often it is tried."""

    tried = 0

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def fullmatch(self, name: str) -> object:
        Watched.tried += 1
        return self._pattern.fullmatch(name)


@pytest.mark.parametrize("form", ["group-{}-*-x", "*-x-group-{}", "g*-of-group-{}"])
def test_ten_thousand_patterns_cost_no_more_than_ten(form: str) -> None:
    """Not even a name that was never asked for."""
    for number in (10, 10_000):
        routes = Routes([Model(name=form.format(f"{index:05}"), targets=("p",)) for index in range(number)])
        for by in (routes._globs._heads, routes._globs._tails):
            for end, globs in by.items():
                by[end] = [(rank, Watched(pattern), route) for rank, pattern, route in globs]  # type: ignore[misc]
        Watched.tried = 0
        found = routes.find(form.format(f"{number - 1:05}").replace("*", "any"))
        assert found is not None and found.name == form.format(f"{number - 1:05}")
        assert routes.find("no-such-group-at-all") is None
        assert Watched.tried == 1


def test_no_name_makes_a_pattern_take_for_ever() -> None:
    routes = Routes([Model(name="*a*a*a*a*a*a*a*a*b", targets=("p",))])
    began = time.process_time()
    assert routes.find("a" * 255 + "c") is None
    assert routes.find("a" * 255 + "b") is not None
    assert time.process_time() - began < 1


def test_what_strangers_ask_does_not_pile_up() -> None:
    routes = Routes([Model(name="a*z", targets=("p",))])
    for index in range(10_000):
        assert (routes.find(f"a{index}z") is not None) == fnmatch.fnmatchcase(f"a{index}z", "a*z")
        routes.find(f"b{index}")
    assert len(routes._remembered) <= 4096
