"""What is put into a pod: the sidecar's container, and the volumes that it mounts. As `restricted` pods want it, and without privileges."""

from typing import Any

from extproc.injector.names import (
    CONFIG_FOLDER,
    CONFIG_VOLUME,
    CONTAINER,
    SCRATCH_VOLUME,
    STATE_FOLDER,
    STATE_VOLUME,
)
from extproc.injector.settings import Settings

Plain = dict[str, Any]

_PORT_NAME = "headgate-admin"
_STARTS_WITHIN = 90
"""Seconds: on a node that is busy with the start of much else."""


def container(settings: Settings, *, native: bool) -> Plain:
    """The container. `native`: for the init containers, before which no other of the pod starts."""
    made: Plain = {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": _arguments(settings, native=native),
        "ports": [{"name": _PORT_NAME, "containerPort": settings.admin_port, "protocol": "TCP"}],
        "resources": {"requests": dict(settings.resources.requests), "limits": dict(settings.resources.limits)},
        "startupProbe": {**_probe("/readyz", settings), "periodSeconds": 1, "failureThreshold": _STARTS_WITHIN},
        "readinessProbe": {**_probe("/readyz", settings), "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**_probe("/healthz", settings), "periodSeconds": 10, "failureThreshold": 3},
        # Why it has not started is what `kubectl describe pod` then says.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _security(settings),
        "volumeMounts": [
            {"name": CONFIG_VOLUME, "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": STATE_VOLUME, "mountPath": STATE_FOLDER},
            {"name": SCRATCH_VOLUME, "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }
    if settings.env:
        made["env"] = [dict(entry) for entry in settings.env]
    if settings.secret is not None:
        made["envFrom"] = [{"secretRef": {"name": settings.secret, "optional": True}}]
    if native:
        made["restartPolicy"] = "Always"
    elif settings.hold:
        made["lifecycle"] = {"postStart": {"exec": {"command": _waiting(settings)}}}
    return made


def volumes(settings: Settings) -> list[Plain]:
    """The volumes. What the sidecar keeps goes with the pod."""
    return [
        {"name": CONFIG_VOLUME, "configMap": {"name": settings.config}},
        {"name": STATE_VOLUME, "emptyDir": {}},
        {"name": SCRATCH_VOLUME, "emptyDir": {}},
    ]


def _arguments(settings: Settings, *, native: bool) -> list[str]:
    address = f"[{settings.admin_address}]" if ":" in settings.admin_address else settings.admin_address
    return [
        "up", f"{CONFIG_FOLDER}/{settings.config_key}", "--state", STATE_FOLDER,
        "--sidecar", str(settings.port), "--admin", f"{address}:{settings.admin_port}",
        # A native one is asked to end when there is nobody left to ask anything.
        "--drain-delay", "0" if native else str(settings.drain_delay),
    ]  # fmt: skip


def _probe(path: str, settings: Settings) -> Plain:
    return {"httpGet": {"path": path, "port": settings.admin_port}, "timeoutSeconds": 3}


def _security(settings: Settings) -> Plain:
    made: Plain = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if settings.run_as_user is not None:
        # Both, since the pod's own may say others: its files are to be read by this user of the image.
        made |= {"runAsUser": settings.run_as_user, "runAsGroup": settings.run_as_user}
    return made


def _waiting(settings: Settings) -> list[str]:
    # Kubelets start containers in their order, and the next one after this.
    return ["headgate", "wait", "--port", str(settings.admin_port), "--within", str(_STARTS_WITHIN)]
