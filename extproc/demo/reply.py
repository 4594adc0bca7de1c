"""What the demo provider says. The same request gets the same answer, in every dialect, streamed or not."""

import itertools
import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from extproc.demo import tokens
from extproc.demo.example import example
from extproc.demo.prompt import DemoError, Prompt
from extproc.demo.script import Script, without_directives

_CALL = re.compile(r"\bcall\s+([\w-]{1,64})\s*", re.IGNORECASE)
_ECHO = 500
"""Characters of the user's message that are given back."""
_ABOUT = "To talk to a real model, set OPENAI_API_KEY or ANTHROPIC_API_KEY in Headgate's environment, and start it again."

Stop = Literal["end", "length", "filter", "sequence", "tools"]


class Call(Struct):
    """A call of a tool."""

    name: str
    arguments: dict[str, Any]


class Reply(Struct, kw_only=True):
    """An answer, of no dialect."""

    pieces: list[str]
    """The text, cut as it is streamed."""
    calls: list[Call]
    stop: Stop
    sequence: str | None = None
    """The stop sequence that was met, if `stop` is `sequence`."""
    model: str
    input: int
    output: int
    cached: int
    """Part of `input`."""
    usage: bool
    """False: the demo was told to report none."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def answer(prompt: Prompt, script: Script) -> Reply:
    """The answer to a prompt. Raises `DemoError` if it forces a tool that it did not bring."""
    said = without_directives(prompt.last)
    calls = _calls(prompt, said)
    forced = prompt.choice in (None, "required")
    text = _text(prompt, script, said, calls, forced)
    sequence = min((stop for stop in prompt.stops if stop and stop in text), key=text.index, default=None)
    if sequence is not None:
        text = text[: text.index(sequence)]
    pieces = tokens.pieces(text)
    stop: Stop = "tools" if calls else "end" if sequence is None else "sequence"
    limit = prompt.limit if script.stop is None else len(pieces) // 2
    if limit is not None and limit < len(pieces):
        pieces, calls, stop, sequence = pieces[:limit], [], script.stop or "length", None
    output = tokens.count("".join(pieces))
    output += sum(tokens.count(call.name) + tokens.count(tokens.canonical(call.arguments)) for call in calls)
    return Reply(
        pieces=_regroup(pieces, script.chunks),
        calls=calls,
        stop=stop,
        sequence=sequence,
        model=script.answered or prompt.model,
        input=prompt.input,
        output=output,
        cached=min(script.cached, prompt.input),
        usage=not script.no_usage,
    )


def _text(prompt: Prompt, script: Script, said: str, calls: list[Call], forced: bool) -> str:
    if script.tokens is not None:
        return " ".join(f"word{number}" for number in range(script.tokens))
    if calls:
        # As the real ones do: words before a call that the model chose, none before one that it was forced to make.
        return "" if forced else f"This is Headgate's demo provider. It calls {', '.join(call.name for call in calls)}."
    if prompt.schema is not None:
        return tokens.canonical(example(prompt.schema) if prompt.schema else {"demo": True, "echo": said[:_ECHO]})
    parts = ["This is Headgate's built-in demo provider, not a real model."]
    if prompt.results:
        parts.append("The tools returned: " + "; ".join(result[:_ECHO] for result in prompt.results) + ".")
    if said:
        parts.append(f'You said: "{said[:_ECHO]}{"..." if len(said) > _ECHO else ""}".')
    if prompt.images:
        parts.append(f"You sent {prompt.images} image{'s' if prompt.images > 1 else ''}.")
    if prompt.system:
        parts.append(f"Your system prompt has {tokens.count(prompt.system)} tokens.")
    return " ".join([*parts, _ABOUT])


def _calls(prompt: Prompt, said: str) -> list[Call]:
    """The calls to make: one if it is forced, else one for each `call <tool> {arguments}` of the user, arguments optional."""
    tools = {tool.name: tool for tool in prompt.tools}
    if prompt.choice == "none":
        return []
    if prompt.choice is None and prompt.forced not in tools:
        raise DemoError(400, f"Tool choice '{prompt.forced}' not found in 'tools' parameter.", param="tool_choice")
    if prompt.choice == "required" and not tools:
        raise DemoError(400, "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    wanted = [] if prompt.results else [match for match in _CALL.finditer(said) if match[1] in tools]
    calls = [Call(match[1], _arguments(said[match.end() :], tools[match[1]].schema)) for match in wanted]
    if prompt.choice is None:
        calls = [call for call in calls if call.name == prompt.forced][:1] or [_plain(prompt.forced, tools[prompt.forced].schema)]
    elif prompt.choice == "required" and not calls:
        first = prompt.tools[0]
        calls = [_plain(first.name, first.schema)]
    return calls


def _plain(name: str, schema: dict[str, Any]) -> Call:
    return Call(name, _arguments("", schema))


def _arguments(following: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that follows the tool's name in the user's words, else an example of the tool's schema."""
    if following.startswith("{"):
        for end in [match.end() for match in re.finditer("}", following[:2000])]:
            try:
                return msgspec.json.decode(following[:end], type=dict[str, Any])
            except msgspec.DecodeError:
                continue
    made = example(schema)
    return made if isinstance(made, dict) else {}


def _regroup(pieces: list[str], chunks: int | None) -> list[str]:
    """The pieces in `chunks` pieces (fewer if there are not that many tokens), as even as can be."""
    if chunks is None or chunks >= len(pieces):
        return pieces
    bounds = [len(pieces) * number // chunks for number in range(chunks + 1)]
    return ["".join(pieces[start:end]) for start, end in itertools.pairwise(bounds)]
