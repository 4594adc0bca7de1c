"""The chart on a cluster: what Helm installs, changes, takes back and removes, and what the API server says of it."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from helm_python import Config, HelmCancelledError, HelmError, HelmReleaseError

from tests.k8s.api import Api, Found, Refused, eventually
from tests.k8s.chart.rendering import CHART, USES, merged, render, values
from tests.k8s.cluster import Cluster

KINDS = (
    "v1/Service", "v1/ConfigMap", "v1/Secret", "v1/ServiceAccount", "v1/Pod", "apps/v1/Deployment", "policy/v1/PodDisruptionBudget",
    "autoscaling/v2/HorizontalPodAutoscaler", "networking.k8s.io/v1/NetworkPolicy", "networking.k8s.io/v1/Ingress", "batch/v1/Job",
)  # fmt: skip
OWN = "app.kubernetes.io/instance=gate"
OTHER = {
    "config": {
        "providers": {"openai": {"optional": True}},
        "models": [{"name": "other", "targets": ["openai"]}],
        "listener": {"open": True},
    }
}
RESTRICTED = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
BROKEN = {"image": {"tag": "missing"}}
"""An image that nobody can pull: tests/k8s/kubelet.py."""


def install(helm: Any, given: Mapping[str, Any], **options: Any) -> Found:
    made: Found = helm.install(CHART, "gate", dict(given), wait="watcher", timeout=60, **options)
    return made


def upgrade(helm: Any, given: Mapping[str, Any], **options: Any) -> Found:
    made: Found = helm.upgrade(CHART, "gate", dict(given), wait="watcher", timeout=60, **options)
    return made


def ours(api: Api, namespace: str) -> list[str]:
    """All that a release has in a namespace."""
    found = {kind.rpartition("/")[2]: api.list(kind, namespace, labelSelector=OWN) for kind in KINDS}
    return [f"{word}/{one['metadata']['name']}" for word, those in found.items() for one in those]


def deployment(api: Api, namespace: str, use: str = "edge") -> Found:
    (found,) = api.list("apps/v1/Deployment", namespace, labelSelector=f"{OWN},app.kubernetes.io/component={use}")
    return found


def served(api: Api, namespace: str) -> Any:
    """The configuration that the pods of a release are given."""
    (volume,) = (one for one in deployment(api, namespace)["spec"]["template"]["spec"]["volumes"] if one["name"] == "config")
    return yaml.safe_load(api.get("v1/ConfigMap", volume["configMap"]["name"], namespace)["data"]["gateway.yaml"])


def states(helm: Any) -> list[tuple[int, str]]:
    return [(one["revision"], one["status"]) for one in helm.history("gate")]


def test_installed_upgraded_rolled_back_and_removed(cluster: Cluster, namespace: str, helm: Any) -> None:
    install(helm, {})
    first = served(cluster.api, namespace)
    before = deployment(cluster.api, namespace)["spec"]["template"]["metadata"]["annotations"]
    assert deployment(cluster.api, namespace)["status"]["availableReplicas"] == 1

    upgrade(helm, OTHER)
    assert [model["name"] for model in served(cluster.api, namespace)["models"]] == ["other"]
    assert deployment(cluster.api, namespace)["spec"]["template"]["metadata"]["annotations"] != before

    helm.rollback("gate", wait="watcher", timeout=60)
    assert served(cluster.api, namespace) == first
    assert states(helm) == [(1, "superseded"), (2, "superseded"), (3, "deployed")]

    helm.uninstall("gate", wait="watcher", timeout=60)
    eventually(lambda: not ours(cluster.api, namespace))


@pytest.mark.parametrize("use", ["edge-minimal", "extproc", "injector"])
def test_each_use_runs_in_a_restricted_namespace_and_passes_its_own_test(
    cluster: Cluster, namespace: str, helm: Any, use: str
) -> None:  # fmt: skip
    cluster.api.patch("v1/Namespace", namespace, RESTRICTED)
    needed = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "headgate-providers"}, "stringData": {"OPENAI_API_KEY": "k"}}
    cluster.api.create(needed, namespace)
    install(helm, values(use))
    pods = cluster.api.list("v1/Pod", namespace)
    assert pods and all(pod["status"]["phase"] == "Running" for pod in pods)
    helm.test("gate", timeout=60)


@pytest.mark.parametrize(
    ("use", "secret"), [("edge-minimal", "gate-headgate-first-key"), ("extproc", "extproc"), ("injector", "gate-headgate-injector-tls")]
)
def test_what_was_made_once_stays_on_upgrade_and_rollback(cluster: Cluster, namespace: str, helm: Any, use: str, secret: str) -> None:
    def made() -> dict[str, Any]:
        found = {one["metadata"]["name"]: one["data"] for one in cluster.api.list("v1/Secret", namespace) if "release" not in one["data"]}
        assert any(secret in name for name in found), found.keys()
        return found

    install(helm, values(use))
    once = made()
    upgrade(helm, merged(values(use), {"commonLabels": {"changed": "yes"}}))
    assert made() == once
    helm.rollback("gate", timeout=60)
    assert made() == once


def test_the_webhook_trusts_who_signed_the_injectors_certificate(cluster: Cluster, namespace: str, helm: Any) -> None:
    install(helm, values("injector"))
    (secret,) = cluster.api.list("v1/Secret", namespace, fieldSelector="type=kubernetes.io/tls")
    kind = "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration"
    (configuration,) = cluster.api.list(kind, labelSelector=OWN)
    assert {hook["clientConfig"]["caBundle"] for hook in configuration["webhooks"]} == {secret["data"]["ca.crt"]}
    helm.uninstall("gate", wait="watcher", timeout=60)
    assert not cluster.api.list(kind, labelSelector=OWN)


def test_pods_that_never_get_ready_are_told_and_the_release_before_them_comes_back(cluster: Cluster, namespace: str, helm: Any) -> None:
    install(helm, {})
    with pytest.raises(HelmCancelledError, match="not ready"):
        helm.upgrade(CHART, "gate", BROKEN, wait="watcher", timeout=8, rollback_on_failure=True)
    eventually(lambda: states(helm)[-1] == (3, "deployed"))
    assert [status for _, status in states(helm)] == ["superseded", "failed", "deployed"]
    (container,) = deployment(cluster.api, namespace)["spec"]["template"]["spec"]["containers"]
    assert not container["image"].endswith(":missing")


def test_while_new_pods_do_not_get_ready_the_old_ones_stay(cluster: Cluster, namespace: str, helm: Any) -> None:
    install(helm, {})
    with pytest.raises(HelmCancelledError, match="not ready"):
        helm.upgrade(CHART, "gate", BROKEN, wait="watcher", timeout=5)
    assert deployment(cluster.api, namespace)["status"]["availableReplicas"] == 1


def test_a_dry_run_on_the_server_says_all_and_makes_nothing(cluster: Cluster, namespace: str, helm: Any) -> None:
    said = helm.install(CHART, "gate", {}, dry_run="server")
    assert "kind: Deployment" in said["manifest"]
    assert not ours(cluster.api, namespace)


def test_values_that_nobody_knows_are_refused_before_anything_is_made(cluster: Cluster, namespace: str, helm: Any) -> None:
    with pytest.raises(HelmError, match="replicaz"):
        install(helm, {"edge": {"replicaz": 3}})
    assert not ours(cluster.api, namespace)


def test_what_needs_other_peoples_kinds_says_which(cluster: Cluster, namespace: str, helm: Any) -> None:
    with pytest.raises(HelmReleaseError, match="ServiceMonitor"):
        install(helm, {"monitoring": {"serviceMonitor": {"enabled": True}}})
    assert not ours(cluster.api, namespace)


def test_who_may_edit_a_namespace_may_install_the_gateway_and_not_the_injector(cluster: Cluster, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "developer"}}
    cluster.api.create(account, namespace)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    subject = {"kind": "ServiceAccount", "name": "developer", "namespace": namespace}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "developer"},
        "roleRef": role,
        "subjects": [subject],
    }
    cluster.api.create(binding, namespace)
    with Config(kubeconfig_path=cluster.kubeconfig_of("developer", namespace), namespace=namespace) as helm:
        install(helm, {})
        with pytest.raises(HelmReleaseError, match=r"mutatingwebhookconfigurations.* is forbidden"):
            upgrade(helm, values("injector"))


def test_pods_of_ours_may_do_nothing_at_the_api_server(cluster: Cluster, namespace: str, helm: Any) -> None:
    install(helm, merged(values("injector"), {"edge": {"enabled": True}}))
    for use in ("edge", "injector"):
        spec = deployment(cluster.api, namespace, use)["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False
        with cluster.as_account(spec["serviceAccountName"], namespace) as api, pytest.raises(Refused, match="forbidden"):
            api.list("v1/Secret", namespace)


@pytest.mark.parametrize("use", [path.name.removesuffix("-values.yaml") for path in USES])
def test_the_api_server_takes_every_manifest_to_the_letter(cluster: Cluster, namespace: str, use: str) -> None:
    """With unknown fields refused, as Helm does not. Of other people's kinds the API server knows nothing."""
    for manifest in render(values(use), name="gate", namespace=namespace):
        if manifest["apiVersion"].partition("/")[0] not in {"monitoring.coreos.com", "cert-manager.io", "gateway.networking.k8s.io"}:
            cluster.api.apply(manifest, namespace, dry_run=True)
            assert not cluster.api.warnings, manifest["metadata"]["name"]
