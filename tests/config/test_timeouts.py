"""How long to wait: what a target says goes before what its model says, and that before what its provider says."""

import msgspec
import pytest

from extproc.config.model import Aim, Config, Model, Provider
from extproc.config.retries import Retries
from extproc.config.timeouts import NONE_SAID, Patience, Timeouts, joined, patient
from extproc.envoy.names import BACKSTOP, idle_key
from extproc.envoy.silences import Silence, silences
from tests.config.settings import Load

TEXT = """
providers:
  a: {{dialect: openai, base_url: "https://a.example/v1", timeouts: {{first_byte: 10, idle: 20}}}}
models:
  - name: m
    timeouts: {model}
    targets:
      - {{to: a/x, timeouts: {target}}}
timeouts: {{most: {most}}}
"""


def test_the_nearest_says_it() -> None:
    provider = Timeouts(connect=1, first_byte=10, idle=20, total=30)
    model, target = Patience(first_byte=11, idle=21), Patience(idle=22, total=33)
    assert patient(provider, joined(model, target)) == Timeouts(connect=1, first_byte=11, idle=22, total=33)
    assert patient(provider, joined(NONE_SAID, NONE_SAID)) == provider


def test_sections(load_text: Load) -> None:
    loaded = load_text(TEXT.format(model="{total: 60}", target="{first_byte: 2.5}", most=120))
    assert loaded.problems == []
    assert loaded.config is not None
    (model,) = loaded.config.models
    assert model.timeouts == Patience(total=60)
    assert model.targets == (Aim(to="a/x", timeouts=Patience(first_byte=2.5)),)
    assert loaded.config.timeouts.most == 120


@pytest.mark.parametrize(
    ("model", "target", "most", "path"),
    [
        ("{connect: 1}", "{}", "1", "$.models[0].timeouts.connect"),
        ("{}", "{idle: 0}", "1", "$.models[0].targets[0].timeouts.idle"),
        ("{}", "{}", "-1", "$.timeouts.most"),
    ],
)
def test_what_makes_no_sense(load_text: Load, model: str, target: str, most: str, path: str) -> None:
    loaded = load_text(TEXT.format(model=model, target=target, most=most))
    assert [problem.path for problem in loaded.problems] == [path]


def behind(attempt: float, one: float, several: float) -> Silence:
    """As Envoy has it, whose clocks run behind the gate's."""
    return Silence(attempt + BACKSTOP, one + BACKSTOP, several + BACKSTOP)


def test_each_silence_is_known() -> None:
    aims = (Aim(to="b", timeouts=Patience(first_byte=3, idle=40)), "a/x")
    config = Config(
        providers={
            "a": Provider(dialect="openai", base_url="demo:", timeouts=Timeouts(first_byte=10, idle=5)),
            "b": Provider(dialect="openai", base_url="demo:", timeouts=Timeouts(first_byte=1, idle=2)),
        },
        models=(Model(name="m", targets=aims), Model(name="n", targets=("b",), timeouts=Patience(idle=90))),
    )
    # The stream's clock leaves both attempts at `m` their time, and where silence is longer than those, it is a second behind.
    assert silences(config) == {"2": behind(2, 3, 3), "10": behind(10, 11, 21), "40": behind(40, 41, 41), "90": behind(90, 91, 91)}
    again = msgspec.structs.replace(config, retries=Retries(again=2, longest=4))
    # Six attempts, and a pause of four seconds before each.
    assert silences(again)["10"] == behind(10, 11, 6 * 10 + 6 * 4 + 1)
    assert [idle_key([Timeouts(first_byte=3, idle=40), Timeouts(first_byte=10, idle=5)])] == ["40"]
