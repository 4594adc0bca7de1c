"""Where in OpenAI's requests stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_PARTS = "messages[].content[]"

WORDS = MappingProxyType(
    {
        "blocks[]": _PARTS,
        "blocks[].image": f"{_PARTS}.image_url",
        "blocks[].detail": f"{_PARTS}.image_url.detail",
        "blocks[].audio": f"{_PARTS}.input_audio",
        "blocks[].video": f"{_PARTS}.video_url",
        "blocks[].document": f"{_PARTS}.file",
        "blocks[].cache": f"{_PARTS}.cache_control",
        "blocks[].citations": "messages[].annotations",
        "blocks[].reasoning": "messages[].reasoning_content",
        "blocks[].tool_call": "messages[].tool_calls",
        "blocks[].seal": "messages[].extra_content",
        "cache": "cache_control",
        "format": "response_format",
        "thinking": "reasoning",
        "thinking.effort": "reasoning_effort",
        "thinking.budget": "reasoning.max_tokens",
        "tools[].strict": "tools[].function.strict",
        "tools[].format": "tools[].custom.format",
        "tools[].web_search_options": "web_search_options",
        "tools[].search_context_size": "web_search_options.search_context_size",
    }
)

LATER_WORDS = MappingProxyType({**WORDS, "max_tokens": "max_completion_tokens"})
"""Those of a request with the later name of `max_tokens`."""

COMPLETION_WORDS = MappingProxyType({"top_logprobs": "logprobs", "include_usage": "stream_options.include_usage"})
"""Those of a request for a legacy completion."""

NAMES = MappingProxyType(
    {
        "max_completion_tokens": "max_tokens",
        "response_format": "format",
        "reasoning_effort": "thinking.effort",
        "reasoning": "thinking",
        "enable_thinking": "thinking",
        "thinking_budget": "thinking.budget",
    }
)
"""What the hub calls a field at the top of a request."""
