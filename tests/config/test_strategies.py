"""Models whose targets have tiers, weights and conditions, and a strategy: what may be said, and what is wrong with the rest."""

import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from extproc.config.lookup import STRATEGIES
from extproc.config.mirror import Mirror
from extproc.config.model import Aim, Model
from extproc.config.schema import SHIPPED
from extproc.config.when import When
from extproc.needs import NEEDS
from extproc.routes import Routes
from extproc.strategies.sticky import Sticky
from extproc.strategy import Strategy
from tests.config.settings import Load

BASE = """
providers:
  a: {{dialect: openai, base_url: "https://a.example/v1"}}
  b: {{dialect: openai, base_url: "https://b.example/v1"}}
models:
  - {{name: m, targets: {targets}, strategy: {strategy}}}
"""


def text(strategy: str = "ordered", targets: str = "[a/x, b]") -> str:
    return BASE.format(strategy=strategy, targets=targets)


@pytest.mark.parametrize(
    ("mirror", "more", "path", "part"),
    [
        ("{to: c/x}", "", "mirror.to", 'there is no provider "c"; there are'),
        ("{to: 'b/*'}", "", "mirror.to", "a target is one model"),
        ("{to: b/y, share: 1.5}", "", "mirror.share", "1"),
        ("{share: 0.5}", "", "mirror", "to"),
        ("{to: b/y, share: 0}", "", "mirror.share", "nothing is mirrored: the share is 0"),
        ("{to: a/x}", "", "mirror.to", "`a/x` is a target of this model, too"),
        ("{to: b/y}", "ext_proc: {}", "mirror", "nothing is mirrored: Envoy runs on another host"),
    ],
)
def test_mirrors_that_make_no_sense(load_text: Load, mirror: str, more: str, path: str, part: str) -> None:
    found = load_text(text(targets="[a/x]").replace("strategy: ordered", f"mirror: {mirror}") + more).problems
    assert [one.message for one in found if one.path.startswith(f"$.models[0].{path}") and part in one.message], found


def test_a_mirror_whose_provider_is_absent_is_left_out(load_text: Load) -> None:
    written = text(targets="[a/x]").replace("strategy: ordered", "mirror: {to: c/y, share: 0.25}")
    absent = '  c: {dialect: openai, base_url: "https://c.example/v1", key: "env:NOT_SET_AT_ALL", optional: true}\nmodels:'
    config = load_text(written.replace("models:", absent)).config
    assert config is not None
    assert config.models[0].mirror is None
    there = load_text(written.replace("c/y", "b/y")).config
    assert there is not None
    assert there.models[0].mirror == Mirror(to="b/y", share=0.25)


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_each_by_its_name(load_text: Load, name: str) -> None:
    for written in (name, f"{{{name}: }}", f"{{{name}: {{}}}}"):
        loaded = load_text(text(written))
        assert loaded.problems == []
        assert loaded.config is not None
        assert loaded.config.models[0].ordering == (name, msgspec.to_builtins(STRATEGIES.find(name)()))
    assert issubclass(STRATEGIES.find(name), Strategy)


def test_settings_and_places(load_text: Load) -> None:
    targets = "[a/x, b/x, {to: b/y, tier: 2, weight: 3, when: {headers: {x-region: 'eu-*'}, tenants: [red]}}]"
    loaded = load_text(text("{sticky: {by: header, header: x-user}}", targets))
    assert loaded.problems == []
    assert loaded.config is not None
    aim = Aim(to="b/y", tier=2, weight=3.0, when=When(headers={"x-region": "eu-*"}, tenants=("red",)))
    (model,) = loaded.config.models
    assert model == Model(name="m", targets=("a/x", "b/x", aim), strategy={"sticky": {"by": "header", "header": "x-user", "length": 4096}})
    assert (aim.provider, aim.model) == ("b", "y")


@pytest.mark.parametrize(
    ("strategy", "targets", "path", "part"),
    [
        ("wieghted", "[a]", "$.models[0].strategy", 'there is no strategy "wieghted"; did you mean "weighted"?'),
        ("mirrored", "[a]", "$.models[0].strategy", "copies of requests are sent by a model's `mirror`"),
        ("{wieghted: {}}", "[a]", "$.models[0].strategy", 'did you mean "weighted"?'),
        ("fair", "[a]", "$.models[0].strategy", f"the strategies are: {', '.join(STRATEGIES.names())}"),
        ("{sticky: {bye: caller}}", "[a]", "$.models[0].strategy.sticky.bye", 'did you mean "by"?'),
        ("{sticky: {by: planet}}", "[a]", "$.models[0].strategy.sticky.by", "conversation"),
        ("{sticky: {length: 1}}", "[a]", "$.models[0].strategy.sticky.length", "at least 64"),
        ("{sticky: {}, weighted: {}}", "[a]", "$.models[0].strategy", "one strategy's name and its settings, got 2 keys"),
        ("{sticky: {}, sticky: {}}", "[a]", "$.models[0].strategy", "here twice"),
        ("", "[a]", "$.models[0].strategy", "got nothing"),
        ("true", "[a]", "$.models[0].strategy", "put it in quotes"),
        ("{sticky: {length: '${L:-many}'}}", "[a]", "$.models[0].strategy.sticky.length", "expected a whole number"),
        ("[sticky]", "[a]", "$.models[0].strategy", "got a list"),
        ("acme.best:First", "[a]", "$.models[0].strategy", "the Python module acme is not installed"),
        ("ordered", "[{to: c/x}]", "$.models[0].targets[0].to", 'there is no provider "c"'),
        ("ordered", "[{weight: 1}]", "$.models[0].targets[0]", 'the key "to" is missing'),
        ("weighted", "[{to: a, weight: -1}]", "$.models[0].targets[0].weight", "at least 0"),
        ("weighted", "[{to: a, tier: 0}]", "$.models[0].targets[0].tier", "at least 1"),
        ("weighted", "[{to: a, when: {needs: [wings]}}]", "$.models[0].targets[0].when.needs[0]", "tools"),
        ("weighted", "[{to: a, lacks: [image]}]", "$.models[0].targets[0].lacks[0]", 'did you mean "images"?'),
        ("weighted", "[{to: a, when: {input: {at_least: -1}}}]", "$.models[0].targets[0].when.input.at_least", "at least 0"),
        ("weighted", "[{to: a, when: {headers: {X-Region: eu}}}]", "$.models[0].targets[0].when.headers.X-Region", "lower case"),
        ("weighted", "[[a]]", "$.models[0].targets[0]", "got a list"),
    ],
)
def test_what_is_wrong(load_text: Load, strategy: str, targets: str, path: str, part: str) -> None:
    loaded = load_text(text(strategy, targets))
    assert loaded.config is None
    assert [problem.path for problem in loaded.problems] == [path]
    assert part in loaded.problems[0].message


@pytest.mark.parametrize(
    "strategy", ["env:S", '"${S}"', "{sticky: {by: '${BY}', length: '${L}'}}", '{sticky: {by: prefix, length: "${L}"}}']
)
def test_references(load_text: Load, strategy: str) -> None:
    """What is read is what workers make the strategy of, whichever way a number is written."""
    loaded = load_text(text(strategy), {"S": "sticky", "BY": "prefix", "L": "512"})
    assert loaded.problems == []
    assert loaded.config is not None
    name, settings = loaded.config.models[0].ordering
    made = msgspec.convert(settings, Sticky)
    assert (name, made.length) == ("sticky", 512 if "L" in strategy else 4096)
    assert (route := Routes(loaded.config.models).find("m")) is not None and route.chooses


def test_what_a_reference_gives_is_not_told(load_text: Load) -> None:
    loaded = load_text(text("env:KEY"), {"KEY": "sk-secret"})
    (problem,) = loaded.problems
    assert problem.message == f"this refers to no strategy; they are: {', '.join(STRATEGIES.names())}"
    (problem,) = load_text(text("env:NONE")).problems
    assert "the environment variable NONE is not set" in problem.message


@pytest.mark.parametrize("strategy", ["ordered", "round_robin", "least_latency"])
def test_weights_that_change_nothing(load_text: Load, strategy: str) -> None:
    loaded = load_text(text(strategy, "[a, {to: b, weight: 2}]"))
    assert loaded.config is not None
    (problem,) = loaded.problems
    assert (problem.severity, problem.path) == ("warning", "$.models[0].targets[1].weight")
    assert f"`{strategy}` does not heed weights" in problem.message
    assert bool(load_text(text(strategy, "[a, {to: b, weight: 0}]")).problems) == (strategy == "ordered")


@pytest.mark.parametrize(
    ("strategy", "targets", "path", "part"),
    [
        (
            "ordered",
            "[a, {to: b, when: {headers: {authorization: '*'}}}]",
            ".targets[1].when.headers.authorization",
            "`tenants` says whose",
        ),
        ("ordered", "[a, {to: b, when: {headers: {x-api-key: 'k*'}}}]", ".targets[1].when.headers.x-api-key", "callers' keys"),
        ("{sticky: {by: header, header: x-api-key}}", "[a, b]", ".strategy.sticky.header", "`by: caller`"),
        ("{sticky: {header: x-user}}", "[a, b]", ".strategy.sticky.header", "with `by: header` alone"),
        ("{sticky: {by: header, length: 64}}", "[a, b]", ".strategy.sticky.length", "with `by: prefix` alone"),
        ("ordered", "[a, {to: b, when: {needs: [tools]}, lacks: [tools, images]}]", ".targets[1].lacks", "for no request at all"),
        ("ordered", "[a, {to: b, when: {input: {at_least: 9, at_most: 8}}}]", ".targets[1].when.input.at_least", "`at_most` is 8"),
        ("ordered", "[{to: a, when: {regions: [eu]}}, b]", ".targets[1]", "requests of any region may come to this one"),
        ("weighted", "[{to: a, weight: 0}, {to: b, weight: 0}]", ".targets[0].weight", "all targets of tier 1 have the weight 0"),
        ("weighted", "[a, b, {to: a/x, tier: 2, weight: 0}, {to: b/x, tier: 2, weight: 0}]", ".targets[2].weight", "of tier 2"),
        ("weighted", "[a]", ".strategy", "no tier of this model has two targets"),
        ("{sticky: {by: caller}}", "[a, {to: b, tier: 2}]", ".strategy", "`sticky` has nothing to choose from"),
    ],
)
def test_what_changes_nothing(load_text: Load, strategy: str, targets: str, path: str, part: str) -> None:
    loaded = load_text(text(strategy, targets))
    assert loaded.config is not None
    (problem,) = loaded.problems
    assert (problem.severity, problem.path) == ("warning", f"$.models[0]{path}")
    assert part in problem.message
    assert problem.line == 6


@pytest.mark.parametrize(
    ("strategy", "targets"),
    [
        ("weighted", "[a, {to: b, weight: 0}]"),
        ("weighted", "[{to: a, weight: 0}, {to: b, tier: 2}, {to: b/x, tier: 2}]"),
        ("{sticky: {by: header, header: x-user}}", "[a, b]"),
        ("{sticky: {by: prefix, length: 64}}", "[a, b]"),
        ("ordered", "[{to: a, when: {needs: [tools, images], input: {at_most: 8}}, lacks: [tools]}, b]"),
        ("ordered", "[{to: a, when: {regions: [eu], tags: [x]}}, {to: b, when: {regions: [us-*]}}]"),
    ],
)
def test_what_changes_something(load_text: Load, strategy: str, targets: str) -> None:
    assert load_text(text(strategy, targets)).problems == []


@pytest.mark.parametrize(
    ("inside", "behind", "path"),
    [(", retries: {again: 4}", "", "$.models[0].retries.again"), ("", "retries: {again: 4}", "$.models[0].targets")],
)
def test_targets_that_are_asked_again_less_often_than_is_said(load_text: Load, inside: str, behind: str, path: str) -> None:
    four = text("ordered", f"[a, b, a/x, b/x]{inside}") + behind
    (problem,) = load_text(four).problems
    assert (problem.severity, problem.path) == ("warning", path)
    assert "all 4 targets may answer it, each is asked again 3 times, not 4" in problem.message
    assert load_text(four.replace(", b/x]", "]")).problems == []


PAGE = Path(__file__).parents[2] / "docs/routing.md"
PROVIDERS = """
providers:
  openai: {key: k}
  azure-openai: {key: k, settings: {resource: r}}
  anthropic: {key: k}
  groq: {key: k}
  google: {key: k}
  mistral: {key: k}
  lab: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}
  lab-eu: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}
  lab-us: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}
"""


def test_the_page_is_right_and_names_all_strategies(load_text: Load) -> None:
    page = PAGE.read_text()
    for written in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        # Some say a section alone, and some say more of a provider.
        usual = [line for line in PROVIDERS.splitlines(keepends=True) if line == "providers:\n" or line.partition("{")[0] not in written]
        whole = written.replace("providers:\n", "".join(usual)) if "providers:\n" in written else PROVIDERS + written
        models = "" if "models:" in written else "models: [{name: m, targets: [lab]}]\n"
        loaded = load_text(whole + models, {"OPENAI_API_KEY": "k"})
        assert [problem for problem in loaded.problems if problem.severity == "error"] == []
    strategies, conditions = (
        re.findall(r"^\| `(\w+)`", page[page.index(heading) :].partition("\n## ")[2].partition("\n## ")[0], re.MULTILINE)
        for heading in ("\n## Strategies", "\n## Conditions")
    )
    assert sorted(strategies) == STRATEGIES.names()
    assert set(conditions) == {*When.__struct_fields__, "lacks", *NEEDS}


@pytest.mark.parametrize(
    ("strategy", "right"),
    [
        ("weighted", True), ("acme.best:First", True), ("{weighted: {}}", True), ("{weighted: }", True), ("{sticky: {by: caller}}", True),
        ('"${S}"', True), ("env:S", True), ("{sticky: {length: '${L}'}}", True),
        ("wieghted", False), ("{wieghted: {}}", False), ("{sticky: {by: planet}}", False), ("[weighted]", False), ("{}", False),
    ],
)  # fmt: skip
def test_editors_are_told_the_same(strategy: str, right: bool) -> None:
    validator = jsonschema.Draft202012Validator(msgspec.json.decode(SHIPPED.read_bytes()))
    assert validator.is_valid(yaml.safe_load(text(strategy))) is right
