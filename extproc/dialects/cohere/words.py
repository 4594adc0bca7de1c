"""Where in Cohere's requests stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_PARTS = "messages[].content[]"

WORDS = MappingProxyType(
    {
        "blocks[]": _PARTS,
        "blocks[].image": f"{_PARTS}.image_url",
        "blocks[].detail": f"{_PARTS}.image_url.detail",
        "blocks[].document": "documents[]",
        "blocks[].reasoning": f"{_PARTS}.thinking",
        "blocks[].tool_call": "messages[].tool_calls",
        "blocks[].citations": "messages[].citations",
        "format": "response_format",
        "stop": "stop_sequences",
        "thinking.budget": "thinking.token_budget",
        "thinking.effort": "thinking",
        "tools[].strict": "strict_tools",
        "top_k": "k",
        "top_p": "p",
    }
)

NAMES = MappingProxyType(
    {"k": "top_k", "p": "top_p", "response_format": "format", "stop_sequences": "stop", "strict_tools": "tools[].strict"}
)
"""What the hub calls a field at the top of a request."""
