"""Which requests a target is for: `when` of a target."""

from typing import Annotated, Literal

from msgspec import Meta

from extproc.config.section import Section
from extproc.crossing import ClientHeader

Need = Literal["tools", "images", "audio", "video", "documents", "structured_output", "reasoning", "stream"]
"""What a request may need of the model that answers it. See `needs.py`."""
Glob = Annotated[str, Meta(min_length=1, max_length=256)]


class Size(Section, frozen=True):
    """How large a request is, in tokens of input, estimated from its bytes: four are a token, of base64 256 are."""

    at_least: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    """Tokens."""
    at_most: Annotated[int, Meta(ge=0, le=100_000_000)] | None = None
    """Tokens; no bound unless given."""


class When(Section, frozen=True):
    """Which requests a target is for; all that is said must hold. In texts, `*` stands for anything."""

    headers: dict[ClientHeader, Annotated[str, Meta(min_length=1, max_length=1024)]] = {}
    """Headers that the client sends, and what they say, such as `x-region: eu-*`; case matters in what they say. No credentials: say
    `tenants` in their place."""
    tenants: Annotated[tuple[Glob, ...], Meta(max_length=1024)] = ()
    """Whose keys: one of these."""
    tags: Annotated[tuple[Glob, ...], Meta(max_length=64)] = ()
    """Tags of the request, one of which is one of these. Clients give them in the header `x-headgate-tags`, with commas between them, or
    as LiteLLM's do, in `x-litellm-tags`, or as `tags` or `metadata.tags` in the body."""
    regions: Annotated[tuple[Glob, ...], Meta(max_length=64)] = ()
    """The region that the header `x-headgate-region` names: one of these. Let an edge or a mesh set it; clients say what they like."""
    needs: tuple[Need, ...] = ()
    """What the request needs: one of these at least. A target that cannot do something says `lacks`."""
    input: Size = Size()
    """How large it is."""
