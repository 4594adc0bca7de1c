"""Where in requests to Bedrock's Converse stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_CONTENT = "messages[].content[]"
_TOOLS = "toolConfig.tools[]"
_INFERENCE = "inferenceConfig"

WORDS = MappingProxyType(
    {
        "blocks[]": _CONTENT,
        "blocks[].cache": f"{_CONTENT}.cachePoint",
        "blocks[].citations": f"{_CONTENT}.citationsContent",
        "blocks[].error": f"{_CONTENT}.toolResult.status",
        "blocks[].reasoning": f"{_CONTENT}.reasoningContent",
        "blocks[].tool_call": f"{_CONTENT}.toolUse",
        "blocks[].tool_result": f"{_CONTENT}.toolResult",
        "format": "outputConfig.textFormat",
        "max_tokens": f"{_INFERENCE}.maxTokens",
        "metadata": "requestMetadata",
        "service_tier": "serviceTier",
        "stop": f"{_INFERENCE}.stopSequences",
        "system[].cache": "system[].cachePoint",
        "temperature": f"{_INFERENCE}.temperature",
        "thinking.effort": "outputConfig.effort",
        "tool_choice": "toolConfig.toolChoice",
        "tools[]": _TOOLS,
        "tools[].cache": f"{_TOOLS}.cachePoint",
        "tools[].strict": f"{_TOOLS}.toolSpec.strict",
        "top_p": f"{_INFERENCE}.topP",
    }
)

NAMES = MappingProxyType({"requestMetadata": "metadata", "serviceTier": "service_tier"})
"""What the hub calls a field at the top of a request."""
