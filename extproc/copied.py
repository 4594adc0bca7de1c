"""A mirrored request's way in: a copy, which has been let in, routed and edited before it was copied."""

from collections.abc import Sequence

import msgspec

from extproc.call import Call
from extproc.delivery import Delivery
from extproc.errors import Fault
from extproc.filter import Handler, Tap
from extproc.intake import Intake
from extproc.mirrored import Mirrored, MirrorIdentity
from extproc.pool import key_names
from extproc.snapshot import Snapshot
from extproc.standing.told import Lease
from extproc.standing.view import View
from extproc.values import Identity, Request, Response

_GONE = Fault(503, "no_target_available", "The provider of this mirror is not configured any more.")
_LEFT_ALONE = Fault(503, "no_target_available", "The target of this mirror is left alone for now.")


_NOBODYS = Identity(":mirrors")
"""Whose room the body of a copy takes: no caller has that name."""


class _Lease(Tap):
    """Of a copy that tries whether its target answers again: where it comes to nothing, somebody else may try."""

    passes = True

    def __init__(self, standing: View, lease: Lease) -> None:
        self._standing, self._lease = standing, lease

    async def end(self, response: Response) -> None:
        # What comes of an attempt that was given up is not known.
        if response.origin not in ("provider", "envoy") or response.ended == "client_closed":
            self._standing.give_back(self._lease)


class MirrorIntake(Intake):
    """It goes to its one target, or nowhere."""

    __slots__ = ("_told",)

    def __init__(self, snapshot: Snapshot, request: Request, delivery: Delivery, told: Mirrored) -> None:
        super().__init__(snapshot, request, delivery)
        self._told = told
        record = request.record
        record.mirror_of, record.model, record.route = told.of, told.model, told.route
        request.targets = (told.target,)

    async def begin(self) -> Response | None:
        """See `Intake.begin`. Room for a large body is no caller's, who would have the less of it for his own."""
        self._request.identity = _NOBODYS
        answered = await super().begin()
        if answered is None:
            identity = self._told.identity
            self._request.identity = MirrorIdentity(identity.tenant, identity.key)
            answered = await super()._run(self._snapshot.mirrored)
        return answered if answered is not None else await self._heed()

    def _call(self, request: Request, *, alone: bool) -> Call:
        """See `Intake._call`. Others are no copies, and need not be asked."""
        return msgspec.structs.replace(super()._call(request, alone=alone), mirror_of=request.record.mirror_of)

    async def _run(self, handlers: Sequence[Handler]) -> Response | None:
        """The filters are not asked again."""
        return None

    async def _heed(self) -> Response | None:
        """A target that is left alone for now is left alone."""
        snapshot, target = self._snapshot, self._told.target
        standing = snapshot.environment.standing
        provider = snapshot.config.providers.get(target.provider)
        if provider is None:
            return self._delivery.refuse(_GONE)
        if standing.troubled:
            chosen = await standing.choose((target,), {target.provider: key_names(provider)})
            if not chosen.targets:
                return self._delivery.refuse(_LEFT_ALONE)
            if chosen.lease is not None:
                self._delivery.taps.append(_Lease(standing, chosen.lease))
        return None
