"""What cannot reach a client because its dialect, or its SDK, has no word for it: each with its reason, and held to be lost."""

from collections.abc import Callable
from typing import Any, NamedTuple

from extproc.usage import Usage
from tests.e2e.recorded import Recording
from tests.e2e.said import Said

ESTIMATED = object()
"""What a client makes up, which may be anything but right."""


class Loss(NamedTuple):
    """Something that a client is not told."""

    client: str
    what: tuple[str, ...]
    """Parts of an answer, as `parts` calls them."""
    why: str
    due: Any = None
    """Only where it is this."""
    got: Any = None
    """What is told instead; None: nothing, as if there were none."""
    only: tuple[str, ...] = ()
    """Only of these recordings."""

    def of(self, client: str, what: str, recording: Recording) -> bool:
        """Whether it is this that is lost."""
        return (
            self.client == client
            and what in self.what
            and (not self.only or recording.name in self.only)
            and self.due in (None, parts(recording.said)[what])
        )

    def occurs(self, client: str, recording: Recording) -> bool:
        """Whether something of that answer is lost."""
        said = parts(recording.said)
        return any(self.of(client, what, recording) and (said[what] != NOTHING[what] or self.got is ESTIMATED) for what in self.what)


def parts(said: Said) -> dict[str, Any]:
    """All that is compared, by name."""
    told = {"text": said.text, "tool calls": said.calls, "reasoning": said.reasoning, "stop": said.stop}
    return told | {f"{kind} tokens": getattr(said.usage, kind) for kind in Usage.__struct_fields__}


NOTHING = parts(Said())
ALL = tuple(NOTHING)
USED = ALL[4:]

_AUDIO = ("input_audio tokens", "output_audio tokens")
_WRITTEN = ("cache_write tokens", "cache_write_1h tokens")
_PROMPT = "a prompt is continued, and no tool is called"
_GUESSED = "LiteLLM guesses, and does not look where Groq says it"
_PARTS = "mistral-test_mistral_model_thinking_part_iter-0"
_TOO_LITTLE = "its dialect counts input and output, and no parts of them"
_THINK_TAGS = "LiteLLM takes what stands in <think> tags for reasoning, though to its provider it is text"
_BLOCKED = "google-test_google_model_armor_prompt_template_text_gets_blocked-0"
_GROQ = "groq-test_groq_model_web_search_tool_stream-0"
_LAST = "exchanges-ollama-1"
_TAGGED = ("groq-test_groq_model_thinking_part-0", "huggingface-test_request_simple_usage-0")

LOSSES = [
    Loss("openai responses", _AUDIO, "its dialect does not count audio"),
    Loss("anthropic", _AUDIO, "its dialect does not count audio"),
    Loss("google-genai", _WRITTEN, "its dialect counts what is read from a cache alone"),
    Loss("cohere", _WRITTEN, "its dialect counts what is read from a cache alone"),
    Loss("cohere", ("reasoning tokens", *_AUDIO), _TOO_LITTLE),
    Loss("ollama chat", USED[2:], _TOO_LITTLE),
    Loss("ollama chat", ("stop",), "its dialect knows `stop` and `length`", due="filter", got="end"),
    Loss("ollama generate", USED[2:], _TOO_LITTLE),
    Loss("ollama generate", ("stop",), "its dialect knows `stop` and `length`", due="filter", got="end"),
    Loss("ollama generate", ("tool calls",), _PROMPT),
    Loss("ollama generate", ("stop",), _PROMPT, due="tool", got="end"),
    Loss("litellm", ("text", "reasoning"), _THINK_TAGS, only=_TAGGED, got=ESTIMATED),
    Loss("litellm", ("text",), "LiteLLM has no field for a refusal", only=(_BLOCKED,)),
    Loss("litellm", ("reasoning tokens",), "LiteLLM guesses them where the provider does not tell", only=(_PARTS,), got=ESTIMATED),
    Loss("litellm", ("input tokens", "output tokens", "reasoning tokens"), _GUESSED, only=(_GROQ,), got=ESTIMATED),
]
"""What no answer may tell a client, and why."""


class Unreadable(NamedTuple):
    """An answer that an SDK cannot read."""

    client: str
    where: str
    """Which answers, in words."""
    why: str
    is_it: Callable[[Recording], bool]


UNREADABLE = [
    Unreadable(
        "ollama chat",
        f"`{_LAST}`",
        "the SDK insists on a message in the last line",
        lambda recording: recording.name == _LAST,
    ),
]


def unreadable(client: str, recording: Recording) -> str:
    """Why that SDK cannot read it; empty if it can."""
    return next((one.why for one in UNREADABLE if one.client == client and one.is_it(recording)), "")


def fault(client: str, what: str, recording: Recording, got: Any) -> str:
    """What is wrong with that part of an answer; empty if it is what it should be."""
    due = parts(recording.said)[what]
    loss = next((loss for loss in LOSSES if loss.of(client, what, recording)), None)
    if loss is None or (due == NOTHING[what] and loss.got is not ESTIMATED):
        return "" if got == due else _difference(due, got)
    instead = NOTHING[what] if loss.got is None else loss.got
    return "" if got == instead or (instead is ESTIMATED and got != due) else f"should be lost ({loss.why}), but there is {got!r}"


def lost(client: str, what: str, recording: Recording) -> bool:
    """Whether there is something that is expected to be lost."""
    expected = any(loss.of(client, what, recording) for loss in LOSSES)
    return expected and parts(recording.said)[what] != NOTHING[what]


def _difference(due: Any, got: Any) -> str:
    """Where two values begin to differ."""
    due, got = repr(due), repr(got)
    same = next((at for at, (one, other) in enumerate(zip(due, got, strict=False)) if one != other), min(len(due), len(got)))
    begin = max(0, same - 20)
    return f"due {due[begin:]:.160}, got {got[begin:]:.160}"
