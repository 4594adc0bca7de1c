"""An AdmissionReview (`admission.k8s.io/v1`) and the answer to it: bytes in, bytes out.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from extproc.injector.inject import Injected
from extproc.injector.overrides import Wrong
from extproc.injector.patch import difference

_VERSION = "admission.k8s.io/v1"
_KIND = "AdmissionReview"
_MOST_WARNING = 256
"""Bytes: the API server cuts warnings that are longer."""
_DENIED = 422
"""What a request gets whose form is right and whose content cannot be."""


class Malformed(ValueError):
    """What was sent is no AdmissionReview that we know."""


class Kind(Struct, frozen=True):
    """`Pod`, or what somebody's rules send here as well."""

    group: str = ""
    kind: str = ""


class Request(Struct, frozen=True):
    """What somebody wants to do."""

    uid: str
    kind: Kind = Kind()
    sub_resource: str = msgspec.field(name="subResource", default="")
    operation: str = ""
    name: str = ""
    namespace: str = ""
    dry_run: bool | None = msgspec.field(name="dryRun", default=None)
    object: Any = None


class _Review(Struct, frozen=True):
    api_version: str = msgspec.field(name="apiVersion")
    kind: str
    request: Request


class Verdict(Struct, frozen=True):
    """What came of a review."""

    request: Request
    decision: str
    """`injected`, `unchanged` (it has been injected already), `left` or `refused`."""
    body: bytes
    """The answer."""
    told: tuple[str, ...] = ()
    """Warnings, or why it is refused."""

    @property
    def name(self) -> str:
        """The pod's, or what its name will begin with: those of a ReplicaSet have none yet."""
        pod = self.request.object
        metadata = pod.get("metadata") if isinstance(pod, dict) else None
        given = metadata if isinstance(metadata, dict) else {}
        return self.request.name or str(given.get("name") or given.get("generateName") or "")


def review(body: bytes, inject: Callable[[dict[str, Any]], Injected]) -> Verdict:
    """Answers one. Raises `Malformed` for what is no review; whatever else is raised is a bug, and for the webhook's `failurePolicy`."""
    try:
        asked = msgspec.json.decode(body, type=_Review)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"no AdmissionReview: {error}") from None
    if (asked.api_version, asked.kind) != (_VERSION, _KIND):
        raise Malformed(f"a review of {_VERSION} is wanted")
    request = asked.request
    if (request.kind.group, request.kind.kind, request.sub_resource) != ("", "Pod", "") or request.operation != "CREATE":
        told = (f"Headgate's injector is asked about {request.operation} {request.kind.kind}; its rules should say CREATE pods",)
        return _answer(request, "left", told)
    if not isinstance(request.object, dict):
        raise Malformed("the review has no object")
    try:
        made = inject(request.object)
    except Wrong as error:
        return _answer(request, "refused", (f"Headgate: {error}",))
    if not made.done:
        return _answer(request, "left", made.warnings)
    patch = list(difference(request.object, made.pod))
    return _answer(request, "injected" if patch else "unchanged", made.warnings, patch)


def _answer(request: Request, decision: str, told: tuple[str, ...], patch: list[dict[str, Any]] | None = None) -> Verdict:
    response: dict[str, Any] = {"uid": request.uid, "allowed": decision != "refused"}
    if decision == "refused":
        response["status"] = {"code": _DENIED, "reason": "Invalid", "message": "; ".join(told)}
    elif told:
        response["warnings"] = [_short(line) for line in told]
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(msgspec.json.encode(patch)).decode()}
    answer = {"apiVersion": _VERSION, "kind": _KIND, "response": response}
    return Verdict(request, decision, msgspec.json.encode(answer), told)


def _short(line: str) -> str:
    shown = line.encode()
    return line if len(shown) <= _MOST_WARNING else shown[: _MOST_WARNING - 3].decode(errors="ignore") + "..."
