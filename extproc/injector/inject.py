"""A pod becomes one with a sidecar. Values in, values out: nothing of what is given is changed.

Done again to its own result it changes nothing, and what others have added meanwhile gets what it lacks: the API server asks again after
other webhooks (`reinvocationPolicy: IfNeeded`), and people inject manifests that are injected.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from extproc.injector import names, overrides
from extproc.injector.clients import detour, environment
from extproc.injector.overrides import Wrong
from extproc.injector.settings import Settings
from extproc.injector.sidecar import container, volumes
from extproc.injector.status import Status, digest, read_status, status_text

Plain = dict[str, Any]

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
_MIRROR = "kubernetes.io/config.mirror"
_OS = "kubernetes.io/os"
_GRACE = 30
"""Seconds that a pod has to end in, where it says nothing (`terminationGracePeriodSeconds`)."""
DRAIN = 25
"""Seconds that a sidecar gives requests under way, where its configuration says nothing of `drain`: that is not to be seen here."""
_KINDS = ("initContainers", "containers")


class Injected(Struct, frozen=True):
    """What has become of a pod."""

    pod: Plain
    """With `metadata` and `spec`: a Pod, or the template of one."""
    done: bool
    """False: it is left as it was."""
    warnings: tuple[str, ...] = ()
    """For whoever deploys it."""


def inject(pod: Plain, settings: Settings, *, native: bool) -> Injected:
    """Puts a sidecar into a pod. `native`: the server has sidecars of its own, where `mode` is `auto`. Raises `Wrong`, in words for whoever
    deploys it, where what the pod asks for cannot be.
    """
    metadata, spec = _mapping(pod, "metadata"), _mapping(pod, "spec")
    labels, annotations = _mapping(metadata, "labels"), _mapping(metadata, "annotations")
    asked = overrides.wanted(labels)
    if asked is False or _MIRROR in annotations:
        return Injected(pod, done=False)
    against, told = overrides.misplaced(labels, annotations)
    before = () if told is None else (told,)
    if against:
        return Injected(pod, done=False, warnings=before)
    settings, unknown = overrides.overridden(settings, annotations)
    is_native = native if settings.mode == "auto" else settings.mode == "native"
    status = read_status(annotations) if _has_ours(spec) else None
    if (why := _unfit(spec, status, native=is_native)) is not None:
        if asked:
            raise Wrong(f"it asks for a sidecar ({names.INJECT}), but {why}")
        return Injected(pod, done=False, warnings=(*before, f"no Headgate sidecar: {why}"))
    return _Pod(spec, annotations, settings, status, native=is_native).injected(pod, metadata, (*before, *unknown))


def _unfit(spec: Plain, status: Status | None, *, native: bool) -> str | None:
    """Why the pod can have no sidecar; None if it can."""
    if spec.get("hostNetwork"):
        return "it is in the network of its node (hostNetwork), where a port is taken once for all pods"
    if (_mapping(spec, "os").get("name") or _mapping(spec, "nodeSelector").get(_OS)) == "windows":
        return "it is for Windows, for which there is no image"
    if not native and spec.get("restartPolicy", "Always") != "Always":
        return "it is meant to end, and a classic sidecar would have it go on for ever; native ones (Kubernetes 1.29) end with it"
    if status is None and _has_ours(spec):
        return f"it has a container {names.CONTAINER} that is not from here"
    return None


class _Pod:
    """One pod, while it is put together."""

    def __init__(self, spec: Plain, annotations: Plain, settings: Settings, status: Status | None, *, native: bool) -> None:
        self._spec, self._annotations, self._settings = spec, annotations, settings
        self._before = status or Status()
        self._native = native
        self._ours, self._volumes = container(settings, native=native), volumes(settings)
        self._digest = digest(self._ours, self._volumes)
        self._same = self._before.digest == self._digest

    def injected(self, pod: Plain, metadata: Plain, warnings: tuple[str, ...]) -> Injected:
        """The whole of it."""
        told = self._told()
        given: dict[str, tuple[str, ...]] = {}
        spec = dict(self._spec)
        for kind in _KINDS:
            if (before := _list(spec, kind)) or kind in spec:
                spec[kind] = [self._with_environment(one, told, given) for one in before]
        spec = self._with_sidecar(spec)
        spec["volumes"] = self._with_volumes(_list(spec, "volumes"))
        if pulled := self._pull_secrets(_list(spec, "imagePullSecrets")):
            spec["imagePullSecrets"] = pulled
        status = Status(digest=self._digest, mode="native" if self._native else "classic", env=given)
        annotations = {**self._annotations, names.STATUS: status_text(status)}
        # Else no node with such a pod would ever be found to be of no more use.
        evictable = [name for name in str(annotations.get(_EVICTABLE, "")).split(",") if name]
        annotations[_EVICTABLE] = ",".join(dict.fromkeys((*evictable, names.STATE_VOLUME, names.SCRATCH_VOLUME)))
        if not self._native and (first := self._first_of_theirs(spec)) is not None:
            # Else `kubectl logs` and `exec` would mean the sidecar.
            annotations.setdefault(_DEFAULT_CONTAINER, first)
        changed = {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": spec}
        return Injected(changed, done=True, warnings=(*warnings, *self._warnings(told)))

    # Containers.

    def _with_sidecar(self, spec: Plain) -> Plain:
        home, other = _KINDS if self._native else reversed(_KINDS)
        there = _list(spec, home)
        if any(_name(one) == names.CONTAINER for one in there):
            if not self._same:
                there = [self._ours if _name(one) == names.CONTAINER else one for one in there]
        else:
            # First: init containers come to it, too, and a classic one holds the others back until it is ready.
            there = [self._ours, *there]
        made = {**spec, home: there}
        if other in spec:
            made[other] = [one for one in _list(spec, other) if _name(one) != names.CONTAINER]
        return made

    def _told(self) -> list[str]:
        """The containers that get the environment."""
        # Before a classic sidecar there is nobody whom init containers could ask.
        kinds = _KINDS if self._native else ("containers",)
        there = [_name(one) for kind in kinds for one in _list(self._spec, kind) if _name(one) != names.CONTAINER]
        return overrides.named(self._annotations, there) if self._settings.environment else []

    def _with_environment(self, one: Plain, told: list[str], given: dict[str, tuple[str, ...]]) -> Plain:
        """The container with its variables. `given`: takes down which are ours."""
        name = _name(one)
        if name == names.CONTAINER:
            return one
        before, had = _list(one, "env"), self._before.env.get(name, ())
        theirs = {str(entry.get("name")) for entry in before if entry.get("name") not in had}
        ours = environment(one, theirs, self._settings) if name in told else []
        fresh = {entry["name"]: entry for entry in ours}
        if fresh:
            given[name] = tuple(fresh)
        kept = []
        for entry in before:
            if entry.get("name") not in had:
                kept.append(entry)
            elif entry.get("name") in fresh:
                kept.append(fresh.pop(entry["name"]))
        # First, so that what the author says can refer to it: `$(OPENAI_BASE_URL)`.
        made = [*fresh.values(), *kept]
        return one if made == before else {**one, "env": made}

    def _first_of_theirs(self, spec: Plain) -> str | None:
        return next((_name(one) for one in _list(spec, "containers") if _name(one) != names.CONTAINER), None)

    # What goes with them.

    def _with_volumes(self, before: list[Plain]) -> list[Plain]:
        ours = {volume["name"]: volume for volume in self._volumes}
        taken = [_name(volume) for volume in before if _name(volume) in ours]
        if taken and not self._before.digest:
            raise Wrong(f"the pod has a volume {taken[0]} of its own; the sidecar needs that name")
        if self._same:
            return [*before, *(volume for name, volume in ours.items() if name not in taken)]
        return [*(ours.pop(_name(volume), volume) for volume in before), *ours.values()]

    def _pull_secrets(self, before: list[Plain]) -> list[Plain]:
        there = {_name(secret) for secret in before}
        return [*before, *({"name": name} for name in self._settings.image_pull_secrets if name not in there)]

    def _warnings(self, told: list[str]) -> Iterator[str]:
        if not self._native:
            yield from self._killed()
        ports = (self._settings.port, self._settings.admin_port)
        for kind in _KINDS:
            for one in _list(self._spec, kind):
                name = _name(one)
                if name == names.CONTAINER:
                    continue
                for port in _list(one, "ports"):
                    if port.get("containerPort") in ports:
                        yield f"container {name} has the port {port['containerPort']}, which the sidecar takes: see {names.PREFIX}port"
                if name in told and (proxy := detour(one)) is not None:
                    yield f"container {name} sets {proxy}: its calls of the sidecar go there unless NO_PROXY has {names.HOST}"

    def _killed(self) -> Iterator[str]:
        grace, delay = self._spec.get("terminationGracePeriodSeconds"), self._settings.drain_delay
        if not isinstance(grace, int):
            grace = _GRACE
        if grace <= delay + DRAIN:
            yield (
                f"a classic sidecar may take {delay + DRAIN} seconds to end (drain_delay {delay}, and `drain`, {DRAIN} unless configured), "
                f"and the pod is killed after {grace}: say terminationGracePeriodSeconds: {delay + DRAIN + 5}, or {names.PREFIX}drain-delay"
            )


def _has_ours(spec: Plain) -> bool:
    return any(_name(one) == names.CONTAINER for kind in _KINDS for one in _list(spec, kind))


def _mapping(of: Mapping[str, Any], key: str) -> Plain:
    found = of.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Wrong(f"{key} of the pod is no object")
    return found


def _list(of: Mapping[str, Any], key: str) -> list[Plain]:
    found = of.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Wrong(f"{key} of the pod is no list of objects")
    return found


def _name(one: Plain) -> str:
    return str(one.get("name", ""))
