"""Active health checks of a provider."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Seconds, Section

CheckedPath = Annotated[
    str,
    Meta(
        max_length=512, pattern=r"^/[A-Za-z0-9._~!&'()*+,;=:@%/?-]*$", description="a path with all that comes before it, perhaps a query"
    ),
]


class Health(Section, frozen=True):
    """A request without a body (GET) that is sent to a provider again and again, with its credential: a provider that does not answer it as
    expected is asked last, when all other targets have failed.
    """

    path: CheckedPath
    """What is asked for at the provider's host, such as `/v1/models` or `/health`; the path of `base_url` does not count here. Choose what
    costs nothing."""
    every: Seconds = 30.0
    """Pause between two checks."""
    timeout: Seconds = 5.0
    """Longest wait for the answer's status, connecting included."""
    expects: Annotated[tuple[Annotated[int, Meta(ge=100, le=599)], ...], Meta(min_length=1)] = (200,)
    """Statuses of a provider that is well. The answer's body is not read."""
    failures: Annotated[int, Meta(ge=1, le=100)] = 2
    """Failed checks in a row that make it unhealthy. One that succeeds makes it healthy again."""
