"""The tokens of a conversation, counted by the provider before it is asked. The question is a `Conversation`."""

from msgspec import Struct

from extproc.dialects.hub.blocks import Extra


class Count(Struct, kw_only=True):
    """What a conversation would count as input."""

    dialect: str
    input: int
    """Tokens, cached ones too."""
    cached: int | None = None
    extra: Extra = {}
    asked: Extra = {}
    """See `Question.asked`."""
