"""What `gateway.yaml` says of attempts: what is worth another one, and how many there are."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Seconds, Section

MOST = 16
"""Attempts of one request, where targets are asked again."""

Status = Annotated[int, Meta(ge=400, le=499)]


class Retries(Section, frozen=True):
    """What happens when an attempt fails, and after which failures there is another one."""

    on: tuple[Status, ...] = (401, 402, 403, 404, 405, 408, 409, 410, 424, 425, 429, 498, 499)
    """Statuses from 400 to 499 after which the next target is asked: it may have a key, a quota, a model that this one has not."""
    server_errors: bool = True
    """So it is after a server's error: 5xx, and a 200 that is no answer."""
    no_answer: bool = True
    """So it is where a provider gives no answer at all: it refuses the connection, resets it, is silent, or out of time."""
    again: Annotated[int, Meta(ge=0, le=4)] = 0
    """How often a target is asked again before the next one is: not so often that there would be more than 16 attempts at all targets."""
    pause: Annotated[float, Meta(ge=0, le=60)] = 0.25
    """Seconds before a target is asked again, doubled each time; what is waited is drawn from the half of it to the whole. 0: at once."""
    longest: Annotated[float, Meta(ge=0.01, le=60)] = 5.0
    """The longest such pause. A provider that wants to be left alone for longer (`Retry-After`) is not asked again; the next one is."""
    within: Seconds | None = None
    """Seconds from the request's beginning in which an attempt may begin; after it, the last failure is the answer."""
    budget: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """How many requests may ask a target again, as a share of all that ask it: so much extra load at most is put on a provider that is
    in trouble. Each worker counts for itself, and allows ten beside."""

    fallback_budget: Annotated[float, Meta(ge=0, le=1)] | None = None
    """How many requests for a model may go on to another target, as a share of all for it: where most fail, not all of them are put on the
    targets that are left. Those beyond get the failure that they have. Each worker counts for itself, and allows ten beside. Unless given,
    all may go on."""

    def again_among(self, targets: int) -> int:
        """How often each of so many targets is asked again."""
        return min(self.again, max(0, MOST // targets - 1))
