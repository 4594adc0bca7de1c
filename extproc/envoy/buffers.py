"""How much Envoy holds of what goes to and from a caller."""

from extproc.config.model import Config

_LEAST = 64 * 1024 * 1024
_MOST = 2**31
"""The field has 32 bits."""


def buffered(config: Config) -> int:
    """Bytes for each connection: more than any answer or request has."""
    return min(max(_LEAST, config.limits.response_body, config.limits.request_body), _MOST)
