"""A request as the demo provider understands it, and its errors; of no dialect."""

from typing import Any

from msgspec import Struct, field

from extproc.demo import tokens


class DemoError(Exception):
    """The request is refused, as the real provider would refuse it; or it asked to be."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


class Tool(Struct):
    """A tool that the model may call."""

    name: str
    description: str
    schema: dict[str, Any]


class Prompt(Struct, kw_only=True):
    """What both dialects ask for. Built up while a request is read."""

    model: str
    stream: bool
    include_usage: bool = True
    limit: int | None = None
    """The most output tokens."""
    stops: list[str] = field(default_factory=list)
    system: str = ""
    last: str = ""
    """Text of the last user message that has any, directives included."""
    results: list[str] = field(default_factory=list)
    """Results of tools, if those are the last thing in the conversation."""
    images: int = 0
    tools: list[Tool] = field(default_factory=list)
    choice: str | None = "auto"
    """`auto`, `none`, `required`, or None: then `forced` names the tool."""
    forced: str = ""
    schema: dict[str, Any] | None = None
    """JSON schema of the answer, if a structured one is wanted; `{}` for any object."""
    input: int = tokens.REQUEST
    """Input tokens counted so far."""

    def count(self, *texts: str) -> None:
        """Adds the tokens of these texts to the input."""
        self.input += sum(map(tokens.count, texts))

    def count_image(self) -> None:
        """Adds an image to the input."""
        self.images += 1
        self.input += tokens.IMAGE

    def add_tool(self, name: str, description: str, schema: dict[str, Any]) -> None:
        """Adds a tool, and its tokens to the input."""
        self.tools.append(Tool(name, description, schema))
        self.count(name, description, tokens.canonical(schema))
