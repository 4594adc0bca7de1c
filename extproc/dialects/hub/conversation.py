"""A request for an answer."""

from typing import Any

from msgspec import Struct, field

from extproc.dialects.hub.blocks import Block, Cache, Extra, Text
from extproc.dialects.hub.question import Question
from extproc.errors import Reject

INSTRUCTING = ("system", "developer")
"""Roles whose messages are instructions."""


class Message(Struct, kw_only=True):
    """One turn, or a part of one: `system`, `developer`, `user`, `assistant` or `tool`."""

    role: str
    blocks: list[Block]
    plain: bool = False
    """The content was a bare string."""
    extra: Extra = {}
    local: Extra = {}
    """What means nothing outside its dialect, and nobody misses."""


class Custom(Struct, kw_only=True):
    """A tool that is called with a text instead of arguments, and what the text must look like: nothing, unless it has a grammar."""

    syntax: str = ""
    """Of the grammar: `lark` or `regex`."""
    definition: str = ""
    raw: Extra = {}
    """The tool as its dialect wrote it."""


class Tool(Struct, kw_only=True):
    """A tool of the client's; or with `opaque`, one that the provider runs, in the words of the conversation's dialect."""

    name: str = ""
    server: str = ""
    """Of a tool that the provider runs, what several providers have: `web_search`, `web_fetch`, `code_execution`, `file_search`,
    `image_generation`, `mcp`. Empty: only that dialect has it."""
    settings: Extra = {}
    """Of such a tool, in words of the hub: `allowed_domains`, `blocked_domains`, `max_uses`, `user_location` (`city`, `region`, `country`,
    `timezone`), and of an `mcp`: `label`, `url`, `token`, `allowed`."""
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    custom: Custom | None = None
    """It takes a text. `schema` is that of a function with the text as its one argument, for those who have functions only (`texts.py`)."""
    cache: Cache | None = None
    opaque: Extra | None = None
    extra: Extra = {}

    @property
    def kind(self) -> str:
        """What to call a tool that the provider runs: its dialect's own word."""
        opaque = self.opaque or {}
        return str(opaque.get("type") or next(iter(opaque), "type"))


class ToolChoice(Struct, kw_only=True):
    """Which tool to use: mode `auto`, `none`, `required` (any), `tool` (the one in `name`), or `opaque` (in `raw`)."""

    mode: str
    name: str = ""
    allowed: list[str] | None = None
    """Only these may be called (mode `auto` or `required`)."""
    raw: Any = None


class Format(Struct, kw_only=True):
    """What the answer's text must look like: `text`, `json_object`, `json_schema`, or `opaque`."""

    kind: str
    schema: dict[str, Any] | None = None
    name: str = ""
    strict: bool | None = None
    field: str = ""
    """The request field that it was read from, where a dialect has two for it."""
    extra: Extra = {}


class Thinking(Struct, kw_only=True):
    """How much to reason: an `effort` word, a `budget` of tokens, or `mode` (`enabled`, `adaptive`, `disabled`, ...)."""

    effort: str = ""
    """none, minimal, low, medium, high, xhigh, max."""
    budget: int | None = None
    """Tokens. 0: none at all."""
    summary: str = ""
    """How the client wants to read of it: `auto`, `concise`, `detailed`, or `none`. Empty: as the provider likes."""
    mode: str = ""
    extra: Extra = {}
    raw: Extra = {}
    """The fields that it was read from, where a dialect has several for it."""


class Conversation(Question, kw_only=True):
    """A request for an answer, of no dialect."""

    messages: list[Message]
    system: Message | None = None
    """Instructions that stand outside the messages (Anthropic's `system`)."""
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_tokens_field: str = ""
    stop: list[str] | None = None
    stop_plain: bool = False
    """`stop` was a bare string."""
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    verbosity: str | None = None
    """low, medium, high."""
    format: Format | None = None
    thinking: Thinking | None = None
    cache: Cache | None = None
    """A marker for the whole prompt."""
    user: str | None = None
    """The end user, for the provider's abuse detection."""
    metadata: Extra | None = None
    service_tier: str | None = None
    """`auto`, `default`, `flex`, `priority`, ... (OpenAI's words)."""
    stream: bool | None = None
    include_usage: bool | None = None
    fields: dict[str, str] = field(default_factory=dict)
    """Where things of ours were read from, by their names, where a dialect has several places for them."""

    def check(self) -> None:
        """The tool that is to be called must be there. Of those that a provider runs, not every dialect tells the name."""
        choice = self.tool_choice
        if choice is None or choice.mode != "tool" or any(tool.name == choice.name or tool.opaque is not None for tool in self.tools or ()):
            return
        where = self.words.get("tool_choice", "tool_choice")
        raise Reject(400, "invalid_request", f"{where}: no tool of the request is called {choice.name[:64]!r}", param=where)

    def refuse_nothing(self) -> None:
        """For a writer that nothing is left to but instructions, if they. Raises `Reject` 400 that tells what could not be said: nobody
        wants to pay for an answer to something else. Whoever sends instructions alone, or an empty text, has asked just that.
        """
        known = ("user", "assistant", "tool", *INSTRUCTING)
        said = [message for message in self.messages if message.role in known and all(type(block) is Text for block in message.blocks)]
        if (self.messages or self.system) and len(said) == len(self.messages):
            return
        lost = f"; what it cannot be told: {', '.join(self.dropped)}" if self.dropped else ""
        param = self.words.get("blocks[]", "messages").partition("[")[0]
        if not self.messages:
            raise Reject(
                400, "unsupported_input", f"{param}: there is nothing in it; the model's provider has to be asked something", param=param
            )
        message = f"{param}: nothing is left of the request that the model's provider could be asked{lost}"
        raise Reject(400, "unsupported_input", message, param=param)

    def drop_tool(self, tool: Tool) -> None:
        """The provider cannot run that tool: it is called what its dialect calls it."""
        self.drop(f"tools[].{tool.kind if tool.opaque else tool.server or tool.name}")

    def drop_account(self) -> None:
        """Names whatever is said of the caller, the bill and the number of answers, for dialects that have words for none of it."""
        if self.n not in (None, 1):
            self.drop("n")
        if self.user:
            self.drop("user")
        if self.verbosity not in (None, "medium"):
            self.drop("verbosity")
        if self.service_tier not in (None, "auto", "default"):
            self.drop("service_tier")
        if self.metadata:
            self.drop_extra(self.metadata, "metadata.")
        if self.cache:
            self.drop("cache")
