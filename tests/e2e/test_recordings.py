"""What real providers said once, said again through the gateway to the official SDKs: nothing is lost between any two dialects.

Text, tool calls, reasoning, the reason for the end and every counted token reach the client, streamed or not and however a stream is
cut; and the ledger holds what the provider counted, also where the client's dialect has no field for it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from extproc.usage import Usage
from tests.e2e.books import when
from tests.e2e.conftest import folder
from tests.e2e.crossings import Crossing, cross, everything
from tests.e2e.gateway import Gateway
from tests.e2e.losses import LOSSES, UNREADABLE, unreadable
from tests.e2e.outcome import page
from tests.e2e.recorded import RECORDINGS, Recorded, Recording
from tests.e2e.sdks.known import CLIENTS

# All is asked in one go, for the first of the tests.
pytestmark = [
    pytest.mark.timeout(600),
    # LiteLLM's own, about pydantic.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning"),
]

PAGE = Path(__file__).parents[2] / "docs" / "recordings.md"
_VERSIONS = {"openai": "/v1", "anthropic": "/v1", "responses": "/v1", "gemini": "/v1beta"}


class Outcome(Struct):
    """What the clients got, and what the ledger holds of it, by the model that was asked for."""

    crossings: list[Crossing]
    books: dict[str, dict[str, Any]]


def _section(recording: Recording, url: str) -> dict[str, Any]:
    section: dict[str, Any] = {"dialect": recording.dialect, "base_url": url + _VERSIONS.get(recording.dialect, "")}
    if recording.folder == "mistral":
        section["quirks"] = {"sdk": "mistral"}
    if recording.dialect == "bedrock":
        return {**section, "aws": {"region": "eu-west-1", "access_key": "AKID", "secret_key": "env:AWS_SECRET"}}
    return section if recording.dialect == "ollama" else {**section, "key": "sk-provider"}


def _config(url: str, spare: str) -> dict[str, Any]:
    """A gateway without a cache: every recording is to come from its provider."""
    named = {recording.provider: recording for recording in RECORDINGS}
    once = [{"name": f"once.{name}.*", "targets": [name]} for name in named]
    twice = [{"name": f"twice.{name}.*", "targets": [name, "spare"]} for name in named]
    return {
        "providers": {
            **{name: _section(recording, url) for name, recording in named.items()},
            "spare": {"dialect": "anthropic", "base_url": f"{spare}/v1", "key": "sk-spare"},
        },
        "models": [*once, *twice],
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}],
    }


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Everything, asked."""
    asks = everything()
    with Recorded() as provider, Recorded() as spare:
        provider.expect(asks)
        with Gateway(folder(tmp_path_factory), _config(provider.url, spare.url), {"AWS_SECRET": "secret"}) as gateway:
            crossings = cross(gateway.url, asks)
            books = when(gateway, lambda found: len(found) >= len(asks), f"{len(asks)} requests are in the ledger")
        assert not spare.bodies, "a second target was asked, though the first one had answered"
    return Outcome(crossings, {entry["model"]: entry for entry in books.values()})


def _faults(outcome: Outcome, which: Callable[[Crossing], bool]) -> str:
    found = [crossing for crossing in outcome.crossings if which(crossing)]
    assert found
    return "\n".join(line for crossing in found for line in crossing.told())


@pytest.mark.parametrize("client", CLIENTS)
def test_every_answer_arrives(outcome: Outcome, client: str) -> None:
    faults = _faults(outcome, lambda crossing: crossing.ask.client == client and not crossing.ask.cut and not crossing.ask.twice)
    assert not faults, faults


def test_streams_arrive_however_they_are_cut(outcome: Outcome) -> None:
    faults = _faults(outcome, lambda crossing: bool(crossing.ask.cut))
    assert not faults, faults


def test_answers_arrive_where_there_is_a_second_target(outcome: Outcome) -> None:
    faults = _faults(outcome, lambda crossing: crossing.ask.twice)
    assert not faults, faults


def test_the_ledger_holds_every_token(outcome: Outcome) -> None:
    wrong = []
    for ask, _ in outcome.crossings:
        entry, due = outcome.books[ask.model], ask.recording.said.usage
        told = (entry["outcome"], entry["status"], entry["partial"], entry["metered"])
        # Pictures and the service are read of the same answers in tests/dialects/test_service_tiers.py: most clients have no word for them.
        counted = Usage(*(entry[kind] for kind in Usage.__struct_fields__ if kind not in ("input_image", "output_image", "tier")))
        # Where the provider has not counted, what the request was worth is estimated, and said to be.
        right = due == Usage() if entry["estimated"] else counted == due
        # A client that cannot read an answer hangs up, sooner or later.
        if not unreadable(ask.client, ask.recording) and not (right and told == ("complete", 200, 0, 1)):
            wrong.append(f"{ask.model}: {told}, {counted}, but the provider said {due}")
    assert not wrong, "\n".join(wrong)


def test_losses_occur(outcome: Outcome) -> None:
    """What is listed as lost is there to be lost: no line of the list is about nothing."""
    asked = [(crossing.ask.client, crossing.ask.recording) for crossing in outcome.crossings]
    assert not [loss for loss in LOSSES if not any(loss.occurs(client, recording) for client, recording in asked)]
    assert not [one for one in UNREADABLE if not any(one.client == client and one.is_it(recording) for client, recording in asked)]


def test_the_page(outcome: Outcome, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    written = page(outcome.crossings)
    record_property("table", written)
    if request.config.getoption("--update"):
        PAGE.write_text(written)
    assert written == PAGE.read_text(), "docs/recordings.md differs: look at it, then run pytest with --update"
