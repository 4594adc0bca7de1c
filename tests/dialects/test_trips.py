"""Any conversation survives the way through any dialect, but for what is named and for a few things that are said otherwise: `OTHERWISE`.

Requests are made up (`made.py`), written by a dialect, and read by it again; or written by a client's, read, written by a provider's, and
read. What was said before and is not said after (`facts.py`) has to be named to the client in its own words.
"""

import base64
import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Conversation
from extproc.errors import Reject
from tests.dialects.facts import SPOKEN, Fact, missing, named, of_conversation
from tests.dialects.made import conversations
from tests.dialects.test_matrix import MODELS
from tests.examples import examples

BRIEFLY = settings(max_examples=examples(60), derandomize=True, deadline=None)


class Way(NamedTuple):
    """Something that is said in another way, and is not named."""

    name: str
    """What the hub calls it, and all that hangs on it."""
    reason: str
    found: Callable[[Fact, list[Fact], Conversation], bool] = lambda fact, after, asked: True
    """Whether it is there in that other way."""
    by: str = ""
    """The dialect that says it so; empty: any."""


def _in_words(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return any(str(fact.value) in other.value for other in after if other.name in SPOKEN)


def _as_file(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    file = base64.b64encode(str(fact.value).encode()).decode()
    return any(other.value == file for other in after)


def _read_out(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    try:
        text = base64.b64decode(fact.value, validate=True).decode()
    except ValueError:
        return False
    return any(text in str(other.value) for other in after)


def _moved(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return fact.where.startswith("call_") and fact._replace(where="user") in after


def _as_picture(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return Fact("blocks[].image", fact.where, fact.value[0]) in after


def _pictures_named(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return _told(asked, "blocks[].image")


def _with_its_block(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return any(_told(asked, f"blocks[].{kind}") for kind in ("image", "document", "audio", "video", "reasoning"))


def _marked(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return any(other.name == "blocks[].cache" for other in after)


def _reasons(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    told = any(_told(asked, name) for name in ("thinking", "thinking.effort", "thinking.budget"))
    return told or Fact("thinking", "", "on") in after


def _not_allowed(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    choice = asked.tool_choice
    wanted = None if choice is None else [choice.name] if choice.mode == "tool" else [] if choice.mode == "none" else choice.allowed
    return wanted is not None and (fact.value if fact.name == "tools[].name" else fact.where) not in wanted


def _narrowed(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    choice = asked.tool_choice
    offered = [other.value for other in after if other.name == "tools[].name"]
    if choice is None or choice.allowed is not None:
        return True
    return not offered if choice.mode == "none" else offered == [choice.name]


def _nobody_calls(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    return asked.tool_choice is not None and asked.tool_choice.mode == "none"


def _told(asked: Conversation, name: str) -> bool:
    return named(Fact(name, "", None), asked)


def _said_by_the_user(fact: Fact, after: list[Fact], asked: Conversation) -> bool:
    text = f"<system>\n{fact.value}\n</system>"
    there = any(text in other.value for other in after if other.name in SPOKEN and other.where == "user")
    return there and any(".role." in name for name in asked.dropped)


OTHERWISE = (
    Way("blocks[].text", "instructions among the turns are a text of the user's between tags, and their role is named", _said_by_the_user),
    Way("blocks[].document", "a document of text is a text in a tag", _in_words),
    Way("blocks[].document", "or a file of that text", _as_file, by="bedrock"),
    Way("blocks[].document", "a file of plain text is that text", _read_out),
    Way("blocks[].audio", "sound stands among the pictures", _as_picture, by="ollama"),
    Way("blocks[].detail", "how well to look at a picture goes with the picture", _pictures_named),
    Way("blocks[]", "what a tool's result shows stands in the user's next message, after words that say whose it is", _moved),
    Way("blocks[].cache", "an hour in a cache may become five minutes", _marked),
    Way("blocks[].cache", "a marker on what cannot be said goes with it", _with_its_block),
    Way("cache", "a marker for the whole prompt is one at its end", _marked),
    Way("thinking", "efforts and budgets become what the provider has of both, as near as can be", _reasons),
    Way("tools[]", "tools that may not be called are not offered", _not_allowed),
    Way("tools[].strict", "all calls are held to their schemas, or none (mode VALIDATED, or ANY)", by="gemini"),
    Way("tool_choice", "a choice among some is a choice among all that are offered", _narrowed),
    Way("parallel_tool_calls", "where no tool may be called, none is called beside another", _nobody_calls),
    Way("top_logprobs", "without any, there are none of other tokens", lambda fact, after, asked: _told(asked, "logprobs")),
    Way("service_tier", "the nearest tier that there is"),
)
"""All that is said otherwise, by any dialect."""


def lost(asked: Conversation, before: list[Fact], after: list[Fact], by: str) -> list[Fact]:
    """What the dialect `by` has lost, though nobody was told."""
    ways = [way for way in OTHERWISE if way.by in ("", by)]
    gone = [fact for fact in missing(before, after) if not named(fact, asked)]
    return [fact for fact in gone if not any(fact.name.startswith(way.name) and way.found(fact, after, asked) for way in ways)]


def sent(conversation: Conversation, dialect: str, model: str) -> dict[str, Any]:
    """The request as it goes over the wire. What nothing is left of never does."""
    try:
        written = DIALECTS[dialect].write_request(conversation, model)
    except Reject:
        reject()
    body: dict[str, Any] = json.loads(json.dumps(written))
    return body


def read(body: dict[str, Any], dialect: str) -> Conversation:
    return DIALECTS[dialect].read_request({"model": "m", **body})


@pytest.mark.parametrize("dialect", DIALECTS)
@BRIEFLY
@given(conversations())
def test_there_and_back(dialect: str, conversation: Conversation) -> None:
    before = list(of_conversation(conversation))
    for model in MODELS[dialect]:
        asked = copy.deepcopy(conversation)
        after = list(of_conversation(read(sent(asked, dialect, model), dialect)))
        assert lost(asked, before, after, dialect) == []


@pytest.mark.parametrize("client", DIALECTS)
@BRIEFLY
@given(conversation=conversations(), data=st.data())
def test_from_a_client_to_a_provider(client: str, conversation: Conversation, data: st.DataObject) -> None:
    provider = data.draw(st.sampled_from([name for name in DIALECTS if name != client]))
    body = sent(conversation, client, data.draw(st.sampled_from(MODELS[client])))
    asked = read(body, client)
    before = list(of_conversation(asked))
    after = list(of_conversation(read(sent(asked, provider, data.draw(st.sampled_from(MODELS[provider]))), provider)))
    assert lost(asked, before, after, provider) == []
