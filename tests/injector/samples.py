"""Pods and reviews."""

import json
from typing import Any

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "app", "namespace": "shop"},
    "spec": {"containers": [{"name": "app", "image": "app:1"}]},
}


def asked(pod: dict[str, Any] | None, **more: Any) -> bytes:
    """The review of a pod that is to be made. `more` of its request."""
    if "dry_run" in more:
        more["dryRun"] = more.pop("dry_run")
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "u-1", "kind": kind, "operation": "CREATE", "namespace": "shop", "object": pod, **more}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()
