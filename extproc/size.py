"""How large a request is, in tokens, estimated from its bytes and without decoding it: for conditions, prices and classes of size.

A rule of thumb: four bytes of UTF-8 are a token. Of base64 (pictures, files) a token is 256 bytes: a picture of 250 KB counts some 1,000.
How much of a long body is base64 is found by samples, so that this takes the same time for every length.
"""

import re

_BYTES, _DATA = 4, 256
"""Of a token: of text, and of base64."""
_PLAIN = 8 * 1024
"""Bytes that cannot be far from right whatever is in them."""
_SAMPLES, _LENGTH = 128, 64
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=-]+")
"""No text of this length is without a space, a quote, or a byte that is no letter."""
_LIMIT = re.compile(
    rb'"(?:max_tokens|max_completion_tokens|max_output_tokens|maxOutputTokens|maxTokens|num_predict)"\s*:\s*([0-9]{1,9})(?![0-9.eE])'
)
"""How dialects say it: OpenAI, Anthropic and Cohere, OpenAI lately, Responses, Gemini, Bedrock, Ollama."""
_END = 64 * 1024
"""Bytes at either end of a body, where its settings stand."""


def input_tokens(body: bytes) -> int:
    """Tokens that a body of JSON counts as input."""
    size = len(body)
    if size <= _PLAIN:
        return -(-size // _BYTES)
    step = size // _SAMPLES
    places = range((step - _LENGTH) // 2, step * _SAMPLES, step)
    data = sum(_BASE64.fullmatch(body, at, at + _LENGTH) is not None for at in places) * size // _SAMPLES
    return -(-(size - data) // _BYTES) + -(-data // _DATA)


def output_limit(body: bytes) -> int:
    """Most tokens that an answer may have, as the client says; 0 where it does not. The first that its bytes tell, wherever that stands."""
    found = _LIMIT.search(body, 0, _END)
    if found is None and len(body) > _END:
        found = _LIMIT.search(body, max(_END - _LENGTH, len(body) - _END))
    return int(found[1]) if found is not None else 0
