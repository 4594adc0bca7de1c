"""When a worker refuses requests because it cannot keep up."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Section


class Shedding(Section, frozen=True):
    """When a worker refuses new requests (503) because it cannot keep up: at their headers, and first of those callers that have most
    under way.
    """

    enabled: bool = True
    """False: never."""
    lag: Annotated[float, Meta(ge=0.01, le=60)] = 0.25
    """Seconds for which what a worker has to do may wait until it gets to it. More, for half a second without a pause, is too much."""
    memory: Annotated[int, Meta(ge=64 * 1024 * 1024)] | None = None
    """Bytes of memory that a worker may take. Unless given: seven tenths of what the container, or else the machine, has, shared by the
    workers."""
    bodies: Annotated[int, Meta(ge=1024 * 1024)] | None = None
    """Bytes of request bodies that a worker may hold at once, of those of 100 KB and more; no caller gets more than are left for the
    others. Unless given: a quarter of `memory`, and at most 1 GiB. One that is alone is always taken."""
