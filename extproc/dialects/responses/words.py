"""Where in requests to the Responses API stands what the hub calls otherwise: `Question.words`."""

from types import MappingProxyType

_PARTS = "input[].content[]"

WORDS = MappingProxyType(
    {
        "messages[]": "input[]",
        "blocks[]": "input[]",
        "blocks[].image": f"{_PARTS}.input_image",
        "blocks[].input_image": f"{_PARTS}.input_image",
        "blocks[].document": f"{_PARTS}.input_file",
        "blocks[].input_file": f"{_PARTS}.input_file",
        "blocks[].audio": f"{_PARTS}.input_audio",
        "blocks[].detail": f"{_PARTS}.detail",
        "blocks[].citations": f"{_PARTS}.annotations",
        "blocks[].tool_call": "input[].function_call",
        "blocks[].seal": "input[].reasoning",
        "format": "text.format",
        "max_tokens": "max_output_tokens",
        "system[]": "instructions",
        "thinking": "reasoning",
        "verbosity": "text.verbosity",
    }
)

SAFE_WORDS = MappingProxyType({**WORDS, "user": "safety_identifier"})
"""Those of a request with the later name of `user`."""

NAMES = MappingProxyType({"instructions": "system[]", "max_output_tokens": "max_tokens", "reasoning": "thinking", "text": "format"})
"""What the hub calls a field at the top of a request."""
