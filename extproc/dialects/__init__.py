"""The dialects that clients and providers speak, a package each: the directory listing is the support matrix."""

from extproc.dialects.anthropic import Anthropic
from extproc.dialects.bedrock import Bedrock
from extproc.dialects.cohere import Cohere
from extproc.dialects.dialect import Dialect
from extproc.dialects.gemini import Gemini
from extproc.dialects.gemini.arrays import GeminiArray, reads_array
from extproc.dialects.gemini.vertex import GeminiAtVertex
from extproc.dialects.invoked import Invoked, takes_messages
from extproc.dialects.ollama import Ollama
from extproc.dialects.openai import OpenAI
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
_OF_SDKS: dict[str, Dialect] = {"mistral": Mistral(), "invoke": Invoked(), "vertex": GeminiAtVertex()}

__all__ = ["DIALECTS", "heard", "takes_messages"]


def heard(name: str, path: str, sdk: str = "") -> Dialect:
    """The dialect `name` as a client hears it that asks at `path`, query included: Gemini's streams have two forms. `sdk`: see
    `Endpoint.sdk`.
    """
    if sdk:
        return _OF_SDKS[sdk]
    return _ARRAY if name == "gemini" and reads_array(path) else DIALECTS[name]
