"""How long Envoy is told to wait, and what a client may say of that."""

from collections.abc import Iterable

import msgspec
import pytest

from extproc.config.model import Aim, Config, Model, aim
from extproc.config.timeouts import Patience, Timeouts, Waiting
from extproc.config.when import When
from tests.playbook import Reply, one, request_headers
from tests.scene import CHAT, CONFIG, Scene, head
from tests.test_gate import asked, gate

WHOLE, FIRST = "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"


def told(config: Config, model: str, **headers: str) -> Reply:
    _, session = gate(Scene(config))
    return asked(session, {**CHAT, "model": model}, **headers)


def with_both(timeouts: Patience, targets: Iterable[Patience] = ()) -> Config:
    """The model `both`, and its targets, which is how patient they are."""

    def changed(model: Model) -> Model:
        aims = [msgspec.structs.replace(aim(target), timeouts=said) for target, said in zip(model.targets, targets, strict=False)]
        return msgspec.structs.replace(model, timeouts=timeouts, targets=tuple(aims) or model.targets)

    models = tuple(changed(model) if model.name == "both" else model for model in CONFIG.models)
    return msgspec.structs.replace(CONFIG, models=models, timeouts=Waiting(most=60))


SAID = with_both(Patience(total=5), [Patience(total=7), Patience()])
HALF = msgspec.structs.replace(
    CONFIG, providers={**CONFIG.providers, "openai": msgspec.structs.replace(CONFIG.providers["openai"], timeouts=Timeouts(total=7))}
)


@pytest.mark.parametrize(
    ("config", "model", "header", "whole"),
    [
        (SAID, "gpt", "", None),
        (SAID, "both", "", "7000"),
        (SAID, "gpt", "2.5", "2500"),
        (SAID, "both", "0.0001", "1"),
        (SAID, "both", "30", "30000"),
        (SAID, "both", "90", "60000"),
        (HALF, "gpt", "", "7000"),
        (HALF, "both", "", None),
    ],
)
def test_the_whole(config: Config, model: str, header: str, whole: str | None) -> None:
    """The most patient of the targets counts, or else what the client says, up to a bound."""
    assert told(config, model, x_headgate_timeout=header).headers.get(WHOLE) == whole


def test_a_model_says_how_patient_it_is() -> None:
    config = with_both(Patience(first_byte=3, idle=44))
    reply = told(config, "both")
    assert (reply.metadata["headgate"]["idle"], reply.headers[FIRST]) == ("44", "3000")
    reply = told(config, "gpt")
    assert (reply.metadata["headgate"]["idle"], reply.headers.get(FIRST)) == ("120", None)


def test_a_target_that_stands_there_twice_is_waited_for_as_either_says() -> None:
    slow, quick = (Aim(to="openai/gpt", timeouts=Patience(first_byte=seconds, idle=seconds)) for seconds in (33, 3))
    for aims in ((slow, quick), (quick, slow)):
        config = msgspec.structs.replace(CONFIG, models=(Model(name="gpt", targets=aims),))
        reply = told(config, "gpt")
        assert reply.metadata["headgate"]["idle"] == "33"
    # What is not for this request says nothing of it.
    elsewhere = msgspec.structs.replace(slow, when=When(tags=("patient",)))
    config = msgspec.structs.replace(CONFIG, models=(Model(name="gpt", targets=(quick, elsewhere)),))
    assert told(config, "gpt").metadata["headgate"]["idle"] == "3"


@pytest.mark.parametrize("field", ["on_context_length", "on_content_policy"])
def test_who_is_named_for_a_refusal_is_waited_for_as_well(field: str) -> None:
    slow = msgspec.structs.replace(CONFIG.providers["anthropic"], timeouts=Timeouts(first_byte=300, idle=600))
    quick = msgspec.structs.replace(CONFIG.providers["openai"], timeouts=Timeouts(first_byte=5, idle=7, total=9))
    model = msgspec.structs.replace(Model(name="gpt", targets=("openai/gpt",)), **{field: ("anthropic/claude",)})
    reply = told(msgspec.structs.replace(CONFIG, providers={"openai": quick, "anthropic": slow}, models=(model,)), "gpt")
    assert (reply.metadata["headgate"]["idle"], reply.headers[FIRST], reply.headers.get(WHOLE)) == ("600", "300000", None)


@pytest.mark.parametrize("header", ["0", "0.0", "-1", "1e3", "nan", "inf", "5s", " 5", "1234567", "\u0663"])
def test_a_time_that_is_none(header: str) -> None:
    reply = told(CONFIG, "both", x_headgate_timeout=header)
    assert reply.status == 400
    assert reply.body is not None
    assert msgspec.json.decode(reply.body)["error"]["code"] == "invalid_timeout"


def test_an_upgrade_has_no_end() -> None:
    _, session = gate()
    reply = one(session, request_headers(head("/v1/realtime", "GET", content_type="", upgrade="websocket", x_headgate_timeout="5")))
    assert reply.clear_route
    assert WHOLE not in reply.headers
