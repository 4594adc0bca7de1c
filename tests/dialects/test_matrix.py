"""docs/dialects.md: what of a client's request reaches a provider, for each pair of dialects, worked out by the code itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Conversation
from extproc.errors import Reject
from tests.cases import cases
from tests.dialects.features import FEATURES, GIVEN, Feature

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"

CARRIED, EMULATED, NAMED, REFUSED, UNSAID = "yes", "else", "named", "400", "-"
"""Marks of a cell."""
SOME = "some"
"""In place of `yes`, where not all of the provider's models have it."""

MODELS = {
    "openai": ("gpt-5.1", "gpt-4.1", "command", "gemini-3-pro", "gpt-4o-search-preview"),
    "anthropic": ("claude-opus-4-6", "claude-sonnet-4-5", "claude-opus-4-8"),
    "responses": ("gpt-5.1", "gpt-4.1"),
    "gemini": ("gemini-3-pro",),
    "bedrock": ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"),
    "cohere": ("command-a-reasoning-08-2025",),
    "ollama": ("qwen3",),
}
"""Models of each dialect that between them can do whatever it has words for: what one of them can counts as possible."""

OTHERS = {
    "openai": ("gpt-4.1", "gpt-5.1"),
    "anthropic": ("claude-3-5-haiku-latest", "claude-sonnet-4-5"),
    "responses": ("gpt-4.1", "gpt-5.1"),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-flash"),
    "bedrock": ("anthropic.claude-3-haiku-20240307-v1:0", "amazon.nova-lite-v1:0", "meta.llama3-3-70b-instruct-v1:0"),
    "cohere": ("command-r-08-2024",),
    "ollama": ("llama3.1",),
}
"""Models that lack some of it: earlier ones, those that reason and those that do not, and other makers'."""

_HEAD = """# Dialects

What of a client's request reaches a provider that speaks another dialect: a table for each dialect of clients, a row for each thing that
they may ask for, a column for each dialect of providers. Start with the table of your client's dialect, and look down the column of your
provider's. A cell says what becomes of it.

| mark | what becomes of it |
|---|---|
| yes | the provider is asked for the same in its own words |
| some | as `yes` with models that have it, such as the newest ones, those that reason, or those that do not; with others it is what they \
can be asked for instead, or named |
| else | it is said in another way, because the provider has no word for it, see below |
| named | it cannot be said. `x-headgate-dropped` in the answer names it; with `x-headgate-strict: true` the request is refused instead |
| 400 | the request is refused: what it asks cannot be told without it |

Another way (`else`) is a text, an image beside the result, or a function with one argument for a tool that takes a text: its call comes
back as that tool's. It may also be an instruction, or a user's message in place of one. Those are no promise, and therefore named as well.

An answer that says `x-headgate-dropped: messages[].content[].video_url, seed` came from a provider that was told neither of the video
nor of the seed, and of all else.

No row: clients of that dialect have no word for it. This page is written by the tests from the code (`tests/dialects/test_matrix.py
--update`), from the names of models that between them can do all that their makers' models can.

Between the same dialect nothing is translated, and every byte arrives. What becomes of answers is told in [answers.md](answers.md).

Instructions that come late, after the first turn, stay where they are: with providers that have one place for instructions, at the front,
they are a user's message in the same place, between `<system>` and `</system>`, and are named (`messages[].role.system`). Moved to the
front they would count for what was said before them, and nothing behind them would be found in a prompt cache. Claude takes them as they
are from Opus 4.8 and Fable 5 on, at the end of the user's turn.

Messages without any content say nothing, and most providers refuse them: they are left out. Where a provider's rules want a turn of the
user's that is not there (in front of the model's first one, behind a model's last one that it cannot go on from, beside a document at
Bedrock), the user says `.`. Nothing that the client has said is lost by that, so it is not named.

A file that was uploaded to OpenAI or Azure is known by its id to chat completions and responses alike, and carried between them for models
of OpenAI's by their own names (`gpt-5`, not `openai/gpt-5`); a picture by its id has no word in chat completions.

Mistral's SDK, told by its `user-agent`, speaks openai in a form of its own: what the model thought is a part of the content, calls come
whole, a refusal is text, and the end of every answer tells what was used. What providers of any dialect answer is translated into that
form, and where a provider has counted nothing for a whole answer, the SDK, which insists on numbers, reads 0. Between it and a provider
that speaks the same form (quirk `sdk`) nothing is translated. For other clients of openai, whose SDK takes the content for a text, what
such a provider tells in parts is a text in `content`, and what was thought is `reasoning_content`; what they send back there becomes parts
again. Beside them other parts of the content (`reference`) and other fields of a text are lost: of a whole answer they are named, of a
stream they are not, for its head has gone out by then. What it asks for is that of the clients that speak openai.

Bedrock's InvokeModel and Vertex AI take Claude's bodies as Anthropic has them: what holds for clients that speak anthropic holds for those
who ask so, too, and what their `anthropic_beta` names goes to Claude alone.

What legacy completions are to echo (`echo`), the gateway puts before the answer itself. A list of several prompts is 400 elsewhere.

Vectors and orders of documents have [a page of their own](vectors.md).
"""


def _said(feature: Feature, client: str) -> dict[str, object] | None:
    """The request as a client of that dialect would write it; None if it cannot."""
    if body := (GIVEN | GIVEN_FORMS).get((feature.name, client)):
        return body
    if client in FORMS:
        written = _in_form(feature.make(FORMS[client]), client)
        return written if written is not None and feature.found(_read(written, client)) else None
    for model in MODELS[client]:
        body = _written(feature.make(client), client, model)
        if feature.found(_read(body, client)):
            return body
    return None


def _written(conversation: Conversation, dialect: str, model: str) -> dict[str, object]:
    body: dict[str, object] = json.loads(json.dumps(DIALECTS[dialect].write_request(conversation, model)))
    return body


def _in_form(conversation: Conversation, form: str) -> Any:
    """One turn of the user's; None if there are more."""
    if [message.role for message in conversation.messages] != ["user"]:
        return None
    if form == "completions":
        written = json.loads(json.dumps(COMPLETIONS.write_request(conversation, "m")))
        return written if not conversation.system and not conversation.tools else None
    body: Any = _written(conversation, FORMS[form], MODELS[FORMS[form]][0])
    *instructions, user = body.pop("messages")
    images = {"images": user["images"]} if "images" in user else {}
    return {**body, "prompt": user["content"], **images, **({"system": instructions[0]["content"]} if instructions else {})}


def _read(body: dict[str, object], client: str) -> Conversation:
    operation = DIALECTS[FORMS[client]].operations[client] if client in FORMS else DIALECTS[client]
    question: Conversation = operation.read_request({"model": "m", **body})
    return question


def cell(feature: Feature, client: str, provider: str) -> str:
    """What becomes of a feature between two dialects: the best of the provider's models."""
    body = _said(feature, client)
    if body is None:
        return UNSAID
    try:
        if _read(body, client).needs is not None:
            return REFUSED
    except Reject:
        return REFUSED
    cells = {_carried(feature, _read(body, client), provider, model) for model in MODELS[provider]}
    return min(cells, key=(CARRIED, EMULATED, NAMED).index)


def shown(feature: Feature, client: str, provider: str) -> str:
    """The cell as it stands on the page."""
    best, body = cell(feature, client, provider), _said(feature, client)
    if best != CARRIED or body is None:
        return best
    return CARRIED if all(_carried(feature, _read(body, client), provider, model) == CARRIED for model in OTHERS[provider]) else SOME


def _carried(feature: Feature, conversation: Conversation, provider: str, model: str) -> str:
    there = _written(conversation, provider, model)
    if feature.found(_read(there, provider)):
        return CARRIED
    if conversation.dropped and not ((words := IN_WORDS.get(feature.name)) and words in json.dumps(there)):
        return NAMED
    return EMULATED


FORMS = {"completions": "openai", "generate": "ollama"}
"""Operations that are older forms of a conversation, and their dialects."""
TITLES = {"completions": "Clients of legacy completions (`/v1/completions`)", "generate": "Clients of Ollama's `/api/generate`"}
COMPLETIONS = DIALECTS["openai"].operations["completions"]
ALONE = [
    Feature(name, lambda client: Conversation(dialect="hub", model="m", messages=[]), lambda conversation: False)
    for name in ("best_of", "text after the gap (`suffix`)", "no template (`raw`)", "a template", "a context")
]
"""What nobody has but who speaks that form."""
GIVEN_FORMS: dict[tuple[str, str], dict[str, object]] = {
    ("best_of", "completions"): {"prompt": "Hi", "best_of": 3},
    ("text after the gap (`suffix`)", "completions"): {"prompt": "Hi", "suffix": "end"},
    ("logit_bias", "completions"): {"prompt": "Hi", "logit_bias": {"50256": -100}},
    ("text after the gap (`suffix`)", "generate"): {"prompt": "Hi", "suffix": "end"},
    ("no template (`raw`)", "generate"): {"prompt": "Hi", "raw": True},
    ("a template", "generate"): {"prompt": "Hi", "template": "{{ .Prompt }}"},
    ("a context", "generate"): {"prompt": "Hi", "context": [1, 2]},
}

INSTRUCTED = ("JSON schema", "JSON object")
INSTRUCTION = "one JSON object and nothing else"
"""Forms of an answer that a model may be asked for in words, and these words."""

IN_WORDS = {**dict.fromkeys(INSTRUCTED, INSTRUCTION), **dict.fromkeys(("late system message", "late developer message"), "<system>")}
"""What is said in words where a provider has no better way, and named as well."""


def table(client: str) -> str:
    """All features that clients of a dialect can ask for."""
    providers = [name for name in DIALECTS if name != FORMS.get(client, client)]
    lines = [f"| | {' | '.join(providers)} |", "|---" * (len(providers) + 1) + "|"]
    for feature in (*FEATURES, *(ALONE if client in FORMS else ())):
        cells = [shown(feature, client, provider) for provider in providers]
        if UNSAID not in cells:
            lines.append(f"| {feature.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_page(request: pytest.FixtureRequest) -> None:
    page = _HEAD + "".join(f"\n## Clients that speak {client}\n\n{table(client)}\n" for client in DIALECTS)
    page += "".join(f"\n## {title}\n\n{table(form)}\n" for form, title in TITLES.items())
    if request.config.getoption("--update"):
        PAGE.write_text(page)
    assert page == PAGE.read_text(), "docs/dialects.md differs: look at it, then run pytest with --update"


@cases("client", DIALECTS)
@cases("feature", FEATURES, ids=lambda feature: feature.name)
def test_nothing_is_lost_in_silence(feature: Feature, client: str) -> None:
    """What is neither carried nor named is said in another way, and only a few features have one."""
    for provider in DIALECTS:
        if cell(feature, client, provider) == EMULATED:
            assert feature.name in EMULATIONS, f"{feature.name} of {client} is lost on the way to {provider}"


EMULATIONS = {
    "JSON schema": "an instruction, which is no promise and therefore named as well",
    "JSON object": "an instruction, which is no promise and therefore named as well",
    "late system message": "a user's message in the same place, its text between tags, which is no promise and therefore named as well",
    "late developer message": "a user's message in the same place, its text between tags, which is no promise and therefore named as well",
    "audio": "among the images, where Ollama's models look for it",
    "tool choice: none": "no tools, for a provider that must not use any",
    "legacy functions: choice of this one": "only that tool, and one must be used",
    "tool choice: this one": "only that tool, and one must be used",
    "document as text": "the text in a tag",
    "custom tool": "a function with a text as its one argument; its call comes back as the tool's",
    "custom tool: call": "a call of that function",
    "search result": "the text in a tag that tells title and source",
    "tool result: search result": "the text in a tag that tells title and source",
    "tool result: image": "the image in the user's next message",
    "service_tier": "the nearest that there is",
    "strict tools": "the mode in which arguments keep to the schemas of all tools",
}
"""Features that may be said in another way, and how."""


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("feature", [one for one in FEATURES if one.name in INSTRUCTED], ids=lambda feature: feature.name)
def test_structured_output_is_asked_for_even_where_a_provider_lacks_it(feature: Feature, client: str) -> None:
    for provider in DIALECTS:
        assert cell(feature, client, provider) != NAMED


@cases("feature", FEATURES, ids=lambda feature: feature.name)
def test_somebody_can_say_it(feature: Feature) -> None:
    """A feature that no client can say proves nothing."""
    assert any(_said(feature, client) is not None for client in DIALECTS)
