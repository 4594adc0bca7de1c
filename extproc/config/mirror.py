"""What `gateway.yaml` says of a model's mirror."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Section


class Mirror(Section, frozen=True):
    """A target that is asked beside those which answer: its answer is counted and thrown away. Clients see nothing of it."""

    to: Annotated[str, Meta(min_length=1, max_length=512)]
    """`provider/model`, or `provider` alone to keep the name that was asked for."""
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """How many of the model's requests for a conversation are mirrored: 0.1 is one in ten, drawn by lot each time."""
