"""A strategy of somebody's own: a class, named in the configuration, and nothing else."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from extproc import Candidate, Felt, Order, Request, Strategy
from extproc.config.load import load
from extproc.config.lookup import STRATEGIES
from extproc.config.model import Aim, Model
from extproc.price import Price, Step
from extproc.pulse import Pulses
from extproc.routes import Routes
from extproc.values import Target
from filters.route import Route
from tests.scene import CHAT, CONFIG, environment, request, run

NAME = f"{__name__}:ByName"


class ByName(Strategy, frozen=True, kw_only=True):
    """By their names, those of known price first."""

    needs_pulse: ClassVar[bool] = True
    needs_price: ClassVar[bool] = True
    backwards: bool = False

    def open(self) -> Order:
        """See `Strategy.open`."""
        return _ByName(self.backwards)


class _ByName:
    def __init__(self, backwards: bool) -> None:
        self._backwards = backwards

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        assert all(one.pulse is not None for one in candidates)
        return sorted(candidates, key=lambda one: (one.price is not None, one.target.model), reverse=self._backwards)


def test_it_is_read_from_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"""
providers: {{a: {{dialect: openai, base_url: "https://a.example/v1"}}}}
models: [{{name: m, targets: [a/x, a/y], strategy: {{"{NAME}": {{backwards: true}}}}}}]
""")
    loaded = load(path, {})
    assert loaded.problems == []
    assert loaded.config is not None
    assert loaded.config.models[0].ordering == (NAME, {"backwards": True})
    assert issubclass(STRATEGIES.find(NAME), Strategy)


def test_it_has_what_it_needs() -> None:
    price = Price((Step(-1, Decimal(1), Decimal(1)),))
    model = Model(name="m", targets=("openai/b", "openai/a", "openai", Aim(to="openai/0", tier=2)), strategy={NAME: {"backwards": True}})
    pulses = Pulses()
    built = environment(CONFIG)
    routes = Routes([model], prices={"openai/m": price, "openai/a": price}, pulses=pulses)
    handler = Route().open(type(built)(**{name: getattr(built, name) for name in built.__struct_fields__} | {"routes": routes}))
    asked = request(body={**CHAT, "model": "m"})
    tap = run(handler.request(asked))
    assert isinstance(tap, Felt)
    assert [target.model for target in asked.targets] == ["m", "a", "b", "0"]
    assert [pulses.of(Target("openai", name)).busy for name in "mab0"] == [1, 0, 0, 0]
