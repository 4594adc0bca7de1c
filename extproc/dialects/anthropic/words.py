"""Where in Anthropic's requests stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_BLOCKS = "messages[].content[]"

WORDS = MappingProxyType(
    {
        "blocks[]": _BLOCKS,
        "blocks[].cache": f"{_BLOCKS}.cache_control",
        "blocks[].error": f"{_BLOCKS}.is_error",
        "blocks[].reasoning": f"{_BLOCKS}.thinking",
        "blocks[].tool_call": f"{_BLOCKS}.tool_use",
        "blocks[].seal": f"{_BLOCKS}.redacted_thinking",
        "cache": "cache_control",
        "format": "output_config.format",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "stop": "stop_sequences",
        "system[].cache": "system[].cache_control",
        "thinking.budget": "thinking.budget_tokens",
        "thinking.effort": "output_config.effort",
        "tools[].cache": "tools[].cache_control",
        "tools[].mcp_servers": "mcp_servers",
        "user": "metadata.user_id",
    }
)

NAMES = MappingProxyType({"metadata": "user", "output_config": "thinking.effort", "stop_sequences": "stop"})
"""What the hub calls a field at the top of a request."""
