"""docs/answers.md: what of a provider's answer reaches a client, for each pair of dialects, worked out by the code itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Answer, Audio, Choice, Citation, Image, Logprob, Reasoning, Refusal, Seal, StopReason, Text, ToolCall
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects.facts import SPOKEN, of_answer
from tests.dialects.features import PICTURE, SIGNERS
from tests.dialects.test_answer_trips import NEAREST

PAGE = Path(__file__).parents[2] / "docs" / "answers.md"

CARRIED, NEAR, LOST, UNSAID = "yes", "else", "no", "-"
"""Marks of a cell."""

SEAL = "c2lnbmVkIGJ5IGl0cyBtYWtlcg=="


class Feature(NamedTuple):
    """One thing that an answer may say."""

    name: str
    make: Callable[[str], Answer]
    """An answer with it, of a provider of the given dialect."""
    value: Any
    """What `facts.py` tells of it."""
    near: bool = False
    """Another word for it may be found."""
    by: tuple[str, ...] = tuple(DIALECTS)
    """Dialects whose providers say it."""


def answered(*blocks: Any, **fields: Any) -> Answer:
    choice = Choice(blocks=[Text("Hi"), *blocks], stop=fields.pop("stop", StopReason.END), stop_sequence=fields.pop("sequence", None))
    return Answer(dialect="hub", id="answer-1", model="model-1", choices=[choice], **{"usage": Usage(input=9, output=9), **fields})


def holding(name: str, block: Any, value: Any) -> Feature:
    return Feature(name, lambda provider: answered(block), value)


def stop(reason: StopReason) -> Feature:
    return Feature(f"stopped: {reason.value.replace('_', ' ')}", lambda provider: answered(stop=reason), reason, near=True)


def used(name: str, told: str, **counts: int) -> Feature:
    usage = replace(Usage(input=99, output=99), **counts)
    return Feature(f"usage: {name}", lambda provider: answered(usage=usage), (f"usage.{told}", getattr(usage, told)))


def _two(provider: str) -> Answer:
    answer = answered()
    answer.choices.append(Choice(index=1, blocks=[Text("second")], stop=StopReason.END))
    return answer


def _signed(provider: str) -> Answer:
    return answered(Reasoning("Let me look.", SEAL, origin=SIGNERS.get(provider, "")))


def _encrypted(provider: str) -> Answer:
    return answered(Reasoning(redacted=SEAL, origin=SIGNERS.get(provider, "")))


def _sealed(provider: str) -> Answer:
    return answered(ToolCall("call_1", "weather", "{}", seal=Seal(SEAL, "google-gemini-v1")))


CALL = ToolCall("call_1", "weather", '{"city":"Bern"}')
AGAIN = ToolCall("call_2", "time", "{}")
LIKELY = Logprob(token="sure", logprob=-0.5, bytes=[115])

FEATURES = [
    Feature("text", lambda provider: answered(), "Hi"),
    Feature("several choices", _two, "second"),
    holding("tool call", CALL, ("call_1", "weather", {"city": "Bern"})),
    Feature("parallel calls", lambda provider: answered(CALL, AGAIN), ("call_2", "time", {})),
    holding("reasoning", Reasoning("Let me look."), "Let me look."),
    Feature("reasoning: its signature", _signed, SEAL),
    Feature("reasoning, encrypted", _encrypted, SEAL),
    Feature("signature on a tool call", _sealed, SEAL, by=("openai", "gemini")),
    holding("refusal", Refusal("No."), "No."),
    holding("citation of a page", Text("Said.", [Citation(url="https://x.test/a", title="A", end=5)]), "https://x.test/a"),
    holding("citation of a file", Text("Said.", [Citation(title="A", quote="Q", end=5)]), "A"),
    holding("log probabilities", Text("sure", logprobs=[LIKELY]), ("sure", -0.5)),
    holding("picture", Image(media_type="image/png", data=PICTURE), PICTURE),
    holding("sound", Audio(PICTURE, "wav"), PICTURE),
    *map(stop, (StopReason.LENGTH, StopReason.STOP_SEQUENCE, StopReason.FILTER, StopReason.REFUSAL, StopReason.CONTEXT, StopReason.PAUSE)),
    Feature("which stop sequence", lambda provider: answered(stop=StopReason.STOP_SEQUENCE, sequence="END"), "END"),
    used("read from a cache", "cache_read", cache_read=5),
    used("written to a cache", "cache_write", cache_write=5),
    used("written for an hour", "cache_write_1h", cache_write=5, cache_write_1h=5),
    used("reasoning", "reasoning", reasoning=5),
    used("sound in", "input_audio", input_audio=5),
    used("sound out", "output_audio", output_audio=5),
    Feature("service tier", lambda provider: answered(service_tier="priority"), ("service_tier", "priority")),
    Feature("id of the answer", lambda provider: answered(), "answer-1"),
    Feature("name of the model", lambda provider: answered(), "model-1"),
]


def found(feature: Feature, answer: Answer) -> bool:
    """Whether the answer says it; signatures wherever they are carried."""
    return any(_is(feature.value, fact.name, fact.value) for fact in of_answer(answer))


def _is(wanted: Any, name: str, value: Any) -> bool:
    if wanted in ((name, value), value):
        return True
    if isinstance(wanted, str) and isinstance(value, str):
        return (name in SPOKEN or name == "id") and wanted in value
    return isinstance(value, tuple) and wanted == value[0] and name.startswith(("blocks[].reasoning.", "blocks[].seal", "blocks[].audio"))


def told(answer: Answer, dialect: str) -> Answer:
    """The answer as it is read from what is written in that dialect."""
    body: Any = msgspec.json.decode(msgspec.json.encode(DIALECTS[dialect].write_answer(answer)))
    return DIALECTS[dialect].read_answer(body)


SPOKEN_ALOUD: dict[str, Any] = {
    "id": "answer-1", "object": "chat.completion", "created": 1, "model": "model-1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": None, "audio": {"id": "a", "data": PICTURE, "transcript": "Hi", "expires_at": 1}},
        }
    ],
}  # fmt: skip
"""What only OpenAI's own providers say."""


def cell(feature: Feature, provider: str, client: str) -> str:
    """What becomes of a feature between two dialects."""
    if feature.name == "sound" and provider == "openai":
        said = DIALECTS[provider].read_answer(SPOKEN_ALOUD)
    else:
        said = told(feature.make(provider), provider)
    if provider not in feature.by or not found(feature, said):
        return UNSAID
    heard = told(said, client)
    if found(feature, heard):
        return CARRIED
    nearest = NEAREST[client].get(feature.value) if feature.near else None
    return NEAR if nearest and heard.choices[0].stop is nearest else LOST


_HEAD = """# Answers

What of a provider's answer reaches a client that speaks another dialect. This page is written by the tests from the code
(`tests/dialects/test_answer_matrix.py --update`). What of a request reaches a provider is told in [dialects.md](dialects.md).

Streams say what whole answers say, but for tokens that were written to a cache for an hour (Anthropic's clients) and pictures (Bedrock's).

| mark | what becomes of it |
|---|---|
| yes | the client is told the same in its own words; of signatures: it is given what it has to send back |
| else | it is told the nearest that there is |
| no | the client's dialect has no word for it |
| - | the provider's own dialect has no word for it |

An answer that is no stream, and is not too long to be held until it is read, names what the client does not get of it in
`x-headgate-dropped`, as `answer.` and a name. The head of a stream has gone out before anybody knows.

Tokens of every kind are in the ledger, whatever the client is told. Cohere bills other tokens than its model reads and writes; the billed
ones count. An id and a model's name that the provider does not tell are the request's id, and the name that the provider was asked for.
"""


def table(provider: str) -> str:
    """All that answers of a dialect may say."""
    clients = [name for name in DIALECTS if name != provider]
    lines = [f"| | {' | '.join(clients)} |", "|---" * (len(clients) + 1) + "|"]
    for feature in FEATURES:
        cells = [cell(feature, provider, client) for client in clients]
        if UNSAID not in cells:
            lines.append(f"| {feature.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_page(request: pytest.FixtureRequest) -> None:
    page = _HEAD + "".join(f"\n## Providers that speak {provider}\n\n{table(provider)}\n" for provider in DIALECTS)
    if request.config.getoption("--update"):
        PAGE.write_text(page)
    assert page == PAGE.read_text(), "docs/answers.md differs: look at it, then run pytest with --update"


@cases("feature", FEATURES, ids=lambda feature: feature.name)
def test_somebody_can_say_it(feature: Feature) -> None:
    """A feature that no provider can say proves nothing."""
    assert any(cell(feature, provider, client) != UNSAID for provider in DIALECTS for client in DIALECTS if client != provider)
