"""Where in requests to Gemini stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_PARTS = "contents[].parts[]"
_CONFIG = "generationConfig"

WORDS = MappingProxyType(
    {
        "messages": "contents",
        "messages[]": "contents[]",
        "blocks[]": _PARTS,
        "blocks[].image": f"{_PARTS}.inlineData",
        "blocks[].audio": f"{_PARTS}.inlineData",
        "blocks[].video": f"{_PARTS}.fileData",
        "blocks[].document": f"{_PARTS}.fileData",
        "blocks[].reasoning": f"{_PARTS}.thought",
        "blocks[].seal": f"{_PARTS}.thoughtSignature",
        "blocks[].tool_call": f"{_PARTS}.functionCall",
        "blocks[].tool_result": f"{_PARTS}.functionResponse",
        "format": f"{_CONFIG}.responseSchema",
        "frequency_penalty": f"{_CONFIG}.frequencyPenalty",
        "logprobs": f"{_CONFIG}.responseLogprobs",
        "max_tokens": f"{_CONFIG}.maxOutputTokens",
        "n": f"{_CONFIG}.candidateCount",
        "presence_penalty": f"{_CONFIG}.presencePenalty",
        "seed": f"{_CONFIG}.seed",
        "service_tier": "serviceTier",
        "stop": f"{_CONFIG}.stopSequences",
        "system[]": "systemInstruction",
        "temperature": f"{_CONFIG}.temperature",
        "thinking": f"{_CONFIG}.thinkingConfig",
        "thinking.budget": f"{_CONFIG}.thinkingConfig.thinkingBudget",
        "thinking.effort": f"{_CONFIG}.thinkingConfig.thinkingLevel",
        "tool_choice": "toolConfig.functionCallingConfig",
        "top_k": f"{_CONFIG}.topK",
        "top_logprobs": f"{_CONFIG}.logprobs",
        "top_p": f"{_CONFIG}.topP",
    }
)

NAMES = MappingProxyType({"toolConfig": "tool_choice", "serviceTier": "service_tier", "contents": "messages"})
"""What the hub calls a field at the top of a request."""
