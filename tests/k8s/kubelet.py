"""A kubelet that runs nothing: pods get a node, and their containers are said to run, as soon as they are there.

Pods that are to end (any `restartPolicy` but `Always`), as those of jobs and of Helm's tests are, have ended well at once. A container
whose image has the tag `missing` never runs, and its pod is never ready, as if nobody could pull it.
"""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tests.k8s.api import Api, Refused

NODE = "node"
_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
}


class Kubelet:
    """A thread that looks after all pods of a cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)

    def start(self) -> None:
        self._api.create(_NODE)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._over.wait(0.1):
            for pod in self._api.list("v1/Pod"):
                try:
                    self._look_after(pod)
                except Refused as refused:
                    # It has been deleted, or changed, since we looked; or its namespace is about to be.
                    if refused.status not in {403, 404, 409}:
                        raise

    def _look_after(self, pod: dict[str, Any]) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if "deletionTimestamp" in pod["metadata"]:
            self._api.delete("v1/Pod", name, namespace, gracePeriodSeconds="0")
            return
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self._api.call("POST", self._api.path("v1/Pod", namespace, name) + "/binding", binding)
        if "containerStatuses" not in pod["status"]:
            self._api.patch("v1/Pod", name, {"status": _status(pod["spec"])}, namespace, part="status")


def _status(spec: dict[str, Any]) -> dict[str, Any]:
    """What a real one would say in the end."""
    containers, first = spec["containers"], spec.get("initContainers", [])
    state: dict[str, Any]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if any(_missing(container) for container in (*first, *containers)):
        phase, ready, state = "Pending", False, {"waiting": {"reason": "ImagePullBackOff"}}
    elif spec.get("restartPolicy") in {"Never", "OnFailure"}:
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
        phase, ready, state = "Succeeded", False, {"terminated": ended}
    else:
        phase, ready, state = "Running", True, {"running": {"startedAt": now}}
    conditions = [
        {"type": kind, "status": str(ready), "lastTransitionTime": now}
        for kind in ("Ready", "ContainersReady", "Initialized", "PodScheduled")
    ]
    return {
        "phase": phase,
        "startTime": now,
        "podIP": "192.0.2.1",
        "podIPs": [{"ip": "192.0.2.1"}],
        "conditions": conditions,
        "containerStatuses": _containers(containers, ready, state),
        "initContainerStatuses": _containers(first, ready, state),
    }


def _missing(container: dict[str, Any]) -> bool:
    return str(container["image"]).endswith(":missing")


def _containers(containers: Iterable[dict[str, Any]], ready: bool, state: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state,
        }
        for container in containers
    ]
