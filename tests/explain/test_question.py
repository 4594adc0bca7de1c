"""What stands for a request of which nobody gives the body is one that is taken, at each of the dialects' paths."""

import msgspec
import pytest

from extproc.config.model import Config, Model, Provider
from extproc.dialects import DIALECTS
from extproc.explain.passage import Passage
from extproc.explain.question import Question, usual_body
from tests.scene import DEFAULT, message

_AT_HOME = [
    (name, place.path.replace("{model}", "m").replace("{}", "x"))
    for name, dialect in DIALECTS.items()
    for place in dialect.places
    if place.method == "POST" and place.kind in dialect.operations
]
_FOREIGN = {"openai": "anthropic"}


def config(dialect: str) -> Config:
    provider = msgspec.convert({"dialect": dialect, "base_url": "https://p.test"}, Provider)
    return Config(providers={"p": provider}, models=(Model(name="m", targets=("p/other",)),))


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize(("dialect", "path"), _AT_HOME, ids=lambda one: one)
def test_taken(dialect: str, path: str, foreign: bool) -> None:
    spoken = _FOREIGN.get(dialect, "openai") if foreign else dialect
    question = Question(path=path, body=usual_body("POST", path, {}, "m"))
    passage = Passage(message(config(spoken), DEFAULT), question, "localhost:8080")
    # What not every dialect has, some provider may not offer.
    code = passage.request.record.error
    assert (
        passage.forward is not None or code == "unsupported_endpoint" or (passage.response is not None and passage.response.status == 200)
    ), code


def test_a_path_that_names_no_model_has_no_body() -> None:
    assert usual_body("GET", "/v1/models", {}, "m") == b""
    assert usual_body("POST", "/v1/files", {}, "m") == b""


def test_callers_own_are_taken_off() -> None:
    head = Question(headers={"x-headgate-cluster": "a", "x-envoy-max-retries": "9", "x-a": "b", "host": "h"}).head("localhost")
    assert (head["x-a"], head[":authority"]) == ("b", "h")
    assert not {"x-headgate-cluster", "x-envoy-max-retries", "host"} & head.keys()
