"""Where in requests to Ollama stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_OPTIONS = MappingProxyType(
    {
        "frequency_penalty": "options.frequency_penalty",
        "max_tokens": "options.num_predict",
        "presence_penalty": "options.presence_penalty",
        "seed": "options.seed",
        "stop": "options.stop",
        "temperature": "options.temperature",
        "top_k": "options.top_k",
        "top_p": "options.top_p",
        "thinking": "think",
        "thinking.effort": "think",
    }
)

WORDS = MappingProxyType(
    {
        **_OPTIONS,
        "blocks[]": "messages[].content",
        "blocks[].image": "messages[].images",
        "blocks[].reasoning": "messages[].thinking",
        "blocks[].tool_call": "messages[].tool_calls",
    }
)

PROMPT_WORDS = MappingProxyType({**_OPTIONS, "blocks[]": "prompt", "blocks[].image": "images"})
"""Those of a request of /api/generate."""

NAMES = MappingProxyType({"think": "thinking"})
"""What the hub calls a field at the top of a request."""
