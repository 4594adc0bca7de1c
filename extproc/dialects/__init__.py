"""The dialects that clients and providers speak, a package each: the directory listing is the support matrix."""

from extproc.dialects.anthropic import Anthropic
from extproc.dialects.anthropic.count import COUNTED
from extproc.dialects.bedrock import Bedrock
from extproc.dialects.bedrock.invoked import INVOKE_COUNT, INVOKE_MESSAGES, INVOKED, Invoked, inside, takes_messages
from extproc.dialects.cohere import Cohere
from extproc.dialects.dialect import Apart, Dialect
from extproc.dialects.gemini import Gemini
from extproc.dialects.gemini.arrays import GeminiArray, reads_array
from extproc.dialects.gemini.vertex import GeminiAtVertex, lists_publishers
from extproc.dialects.ollama import Ollama
from extproc.dialects.openai import OpenAI
from extproc.dialects.openai.apart import MistralApart
from extproc.dialects.openai.mistral import Mistral
from extproc.dialects.responses import Responses

DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "responses": Responses(),
    "gemini": Gemini(),
    "cohere": Cohere(),
    "ollama": Ollama(),
    "bedrock": Bedrock(),
}

_ARRAY: Dialect = GeminiArray()
_AT_VERTEX: Dialect = GeminiAtVertex()
_INVOKED: Dialect = Invoked(DIALECTS["anthropic"], COUNTED)
_OF_SDKS: dict[str, Dialect] = {"mistral": Mistral()}
_APART: dict[str, Apart] = {"mistral": MistralApart()}

__all__ = ["DIALECTS", "INVOKED", "INVOKE_COUNT", "INVOKE_MESSAGES", "heard", "inside", "lister", "takes_messages", "told_apart"]


def heard(name: str, path: str, kind: str, sdk: str = "") -> Dialect:
    """The dialect `name` as a client hears it that asks for `kind` at `path`, query included: Gemini's streams have two forms, and
    Bedrock's models may be asked in the words of their makers. `sdk`: see `Endpoint.sdk`.
    """
    if sdk:
        return _OF_SDKS[sdk]
    if kind in INVOKED:
        return _INVOKED
    return _ARRAY if name == "gemini" and reads_array(path) else DIALECTS[name]


def lister(name: str, path: str, sdk: str = "") -> Dialect:
    """The dialect `name` as a client hears it that asks for a list of models at `path`. `sdk`: see `Endpoint.sdk`."""
    return _AT_VERTEX if name == "gemini" and lists_publishers(path) else heard(name, "", "models", sdk)


def told_apart(sdk: str) -> Apart:
    """What makes of a provider's answers in the form of this SDK (`Quirks.sdk`) those that other clients of the same dialect read."""
    return _APART[sdk]
