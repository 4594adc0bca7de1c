"""All SDKs, by the name of their column."""

from msgspec import Struct

from tests.e2e.recorded import Recording
from tests.e2e.sdks import (
    Open,
    anthropic_messages,
    cohere_chat,
    google_genai,
    litellm_client,
    mistral_chat,
    ollama_local,
    openai_chat,
    openai_responses,
)


class Client(Struct, frozen=True):
    """An SDK, and what it speaks."""

    dialect: str
    open: Open
    recorded: bool = True
    """There are recordings of what it is answered in its own dialect."""

    def can_get(self, recording: Recording) -> bool:
        """Whether it can get that answer. One that says only that there will be one is for who asks for that, in its own dialect."""
        return self.recorded if self.dialect == recording.dialect else bool(recording.said.stop)


CLIENTS = {
    "openai chat": Client("openai", openai_chat.connect),
    "openai responses": Client("responses", openai_responses.connect),
    "anthropic": Client("anthropic", anthropic_messages.connect),
    "google-genai": Client("gemini", google_genai.connect),
    "cohere": Client("cohere", cohere_chat.connect),
    "ollama chat": Client("ollama", ollama_local.connect_chat),
    "ollama generate": Client("ollama", ollama_local.connect_generate, recorded=False),
    "mistralai": Client("openai", mistral_chat.connect),
    "litellm": Client("openai", litellm_client.connect),
}
