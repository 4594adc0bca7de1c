"""What other tests rely on: that the cluster is a real one."""

from typing import Any

import pytest

from tests.k8s.api import Refused, eventually
from tests.k8s.apiserver import version
from tests.k8s.cluster import Cluster

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, image: str = "app:1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "app", "image": image}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def phase(cluster: Cluster, namespace: str, name: str) -> str:
    said: str = cluster.api.get("v1/Pod", name, namespace)["status"].get("phase", "")
    return said


def test_it_is_the_version_that_we_say(cluster: Cluster) -> None:
    assert cluster.api.call("GET", "/version")["gitVersion"] == f"v{version()}"


def test_pods_run_and_are_gone_when_they_are_deleted(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(pod("a"), namespace)
    eventually(lambda: phase(cluster, namespace, "a") == "Running")
    cluster.api.delete("v1/Pod", "a", namespace)
    eventually(lambda: cluster.api.find("v1/Pod", "a", namespace) is None)


def test_a_pod_that_is_not_started_again_ends_well_and_one_without_an_image_waits(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(pod("once", restartPolicy="Never"), namespace)
    cluster.api.create(pod("waits", "app:missing"), namespace)
    eventually(lambda: phase(cluster, namespace, "once") == "Succeeded")
    eventually(lambda: cluster.api.get("v1/Pod", "waits", namespace)["status"].get("containerStatuses"))
    assert phase(cluster, namespace, "waits") == "Pending"


def test_deployments_become_available(cluster: Cluster, namespace: str) -> None:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": pod("")["spec"]}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    cluster.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}, namespace)
    eventually(lambda: cluster.api.get("apps/v1/Deployment", "a", namespace)["status"].get("availableReplicas") == 2)


def test_native_sidecars_are_kept(cluster: Cluster, namespace: str) -> None:
    sidecar = {"name": "gate", "image": "gate:1", "restartPolicy": "Always"}
    made = cluster.api.create(pod("a", initContainers=[sidecar]), namespace)
    assert made["spec"]["initContainers"][0]["restartPolicy"] == "Always"


def test_a_restricted_namespace_refuses_what_is_not(cluster: Cluster, namespace: str) -> None:
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    cluster.api.patch("v1/Namespace", namespace, labels)
    with pytest.raises(Refused, match="violates PodSecurity"):
        cluster.api.create(pod("a"), namespace)
    strict = {"name": "app", "image": "app:1", "securityContext": RESTRICTED}
    assert cluster.api.create(pod("a", containers=[strict]), namespace)


def test_unknown_fields_are_refused(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match="field not declared in schema"):
        cluster.api.apply(pod("a", imagined=True), namespace)


def test_a_service_account_may_do_nothing_unless_somebody_allows_it(cluster: Cluster, namespace: str) -> None:
    with cluster.as_account("default", namespace) as nobody, pytest.raises(Refused, match="cannot list resource") as refused:
        nobody.list("v1/Pod", namespace)
    assert refused.value.status == 403


def test_a_dry_run_leaves_nothing(cluster: Cluster, namespace: str) -> None:
    cluster.api.create(pod("a"), namespace, dry_run=True)
    assert cluster.api.find("v1/Pod", "a", namespace) is None
