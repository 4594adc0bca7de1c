"""The dialects that clients and providers speak, a package each: the directory listing is the support matrix."""

from extproc.dialects.anthropic import Anthropic
from extproc.dialects.dialect import Dialect
from extproc.dialects.gemini import Gemini
from extproc.dialects.openai import OpenAI
from extproc.dialects.responses import Responses

DIALECTS: dict[str, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic(), "responses": Responses(), "gemini": Gemini()}
