"""Pods that a real API server has the injector look at: native sidecars, as the chart installs it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.k8s.api import Found, Refused, eventually
from tests.k8s.cluster import Cluster
from tests.k8s.injector import Injector, app, awaited, configure, environment, installed, opted_in, sidecar

LATE = "late.inject.headgate.io"


@pytest.fixture(scope="module")
def injector(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    with installed(cluster, tmp_path_factory.mktemp("injector")) as made, made.running():
        awaited(cluster, opted_in(cluster, cluster.namespace("injection")))
        yield made
        cluster.api.delete("v1/Namespace", "injection")


@pytest.fixture
def within(cluster: Cluster, namespace: str, injector: Injector) -> str:
    """A namespace whose pods get sidecars."""
    opted_in(cluster, namespace)
    awaited(cluster, namespace)
    return namespace


def workload(kind: str, name: str, **spec: Any) -> Found:
    """Something that makes pods like `app`."""
    version, _, word = kind.rpartition("/")
    template = app(labels={"app": name}, restartPolicy="Never" if word == "Job" else "Always")
    chosen = {} if word == "Job" else {"selector": {"matchLabels": {"app": name}}}
    metadata = {"labels": template["metadata"]["labels"]}
    return {
        "apiVersion": version,
        "kind": word,
        "metadata": {"name": name},
        "spec": {**chosen, "template": {"metadata": metadata, "spec": template["spec"]}, **spec},
    }


def test_a_pod_gets_a_native_sidecar_and_its_containers_are_told(cluster: Cluster, within: str) -> None:
    made = cluster.api.create(app(), within)
    gate = sidecar(made)
    assert gate is not None and gate["restartPolicy"] == "Always"
    assert made["spec"]["initContainers"][0] is gate
    assert environment(made)["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    eventually(lambda: cluster.api.get("v1/Pod", "app", within)["status"].get("phase") == "Running")


def test_pods_of_a_deployment_get_them(cluster: Cluster, within: str, injector: Injector) -> None:
    cluster.api.apply(workload("apps/v1/Deployment", "served", replicas=2), within)
    eventually(lambda: cluster.api.get("apps/v1/Deployment", "served", within)["status"].get("availableReplicas") == 2)
    assert all(sidecar(pod) for pod in cluster.api.list("v1/Pod", within))
    # They have no names yet when they are looked at.
    assert all(review["name"].startswith("served-") and review["name"].endswith("-") for review in injector.reviews(within))


def test_a_job_with_a_native_sidecar_ends(cluster: Cluster, within: str) -> None:
    cluster.api.apply(workload("batch/v1/Job", "once"), within)
    eventually(lambda: cluster.api.get("batch/v1/Job", "once", within)["status"].get("succeeded") == 1)
    (pod,) = cluster.api.list("v1/Pod", within)
    assert sidecar(pod)


@pytest.mark.parametrize(
    ("of_namespace", "of_pod", "expected"),
    [
        (None, None, False),
        (None, "true", True),
        (None, "false", False),
        ("enabled", None, True),
        ("enabled", "true", True),
        ("enabled", "false", False),
        ("disabled", None, False),
        ("disabled", "true", False),
    ],
)
def test_namespace_and_pod_say_whether(
    cluster: Cluster, namespace: str, injector: Injector, of_namespace: str | None, of_pod: str | None, expected: bool
) -> None:
    configure(cluster, namespace)
    cluster.api.patch("v1/Namespace", namespace, {"metadata": {"labels": {"headgate.io/inject": of_namespace}}})
    labels = {} if of_pod is None else {"headgate.io/inject": of_pod}

    def as_said() -> bool:
        # The API server's own view of namespaces is a moment behind.
        return bool(sidecar(cluster.api.create(app(labels=labels), namespace, dry_run=True))) == expected

    eventually(as_said, 10)
    assert bool(sidecar(cluster.api.create(app(labels=labels), namespace))) == expected


def test_a_dry_run_shows_the_sidecar_and_leaves_nothing(cluster: Cluster, within: str, injector: Injector) -> None:
    assert sidecar(cluster.api.create(app(), within, dry_run=True))
    assert not cluster.api.list("v1/Pod", within)
    assert all(review["dry_run"] for review in injector.reviews(within))


def test_asked_again_after_the_api_servers_own_changes_it_does_nothing(cluster: Cluster, within: str, injector: Injector) -> None:
    cluster.api.create(app(), within)
    # The API server mounts the account's token into the sidecar, too, and therefore asks again.
    assert [review["decision"] for review in injector.reviews(within)] == ["injected", "unchanged"]


def test_a_pod_says_what_its_own_sidecar_is_like(cluster: Cluster, within: str) -> None:
    own = {"headgate.io/port": "4000", "headgate.io/image": "mine:2", "headgate.io/memory-limit": "2Gi", "headgate.io/mode": "classic"}
    made = cluster.api.create(app(annotations=own), within)
    gate = sidecar(made, "containers")
    assert gate is not None and sidecar(made) is None
    assert gate["image"] == "mine:2" and gate["resources"]["limits"]["memory"] == "2Gi"
    assert environment(made)["OPENAI_BASE_URL"] == "http://127.0.0.1:4000/v1"


def test_an_annotation_that_means_nothing_is_an_error_and_an_unknown_one_a_warning(cluster: Cluster, within: str) -> None:
    with pytest.raises(Refused, match=r"headgate\.io/port.*whole number") as refused:
        cluster.api.create(app(annotations={"headgate.io/port": "many"}), within)
    assert refused.value.status == 422
    cluster.api.create(app(annotations={"headgate.io/prot": "4000"}), within)
    assert any("headgate.io/prot" in warning for warning in cluster.api.warnings)


def test_a_restricted_namespace_takes_what_was_injected(cluster: Cluster, within: str) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    cluster.api.patch("v1/Namespace", within, {"metadata": {"labels": labels}})
    for mode, among in (("native", "initContainers"), ("classic", "containers")):
        made = cluster.api.create(app(mode, annotations={"headgate.io/mode": mode}, terminationGracePeriodSeconds=40), within)
        assert sidecar(made, among)
        assert not cluster.api.warnings


@pytest.fixture
def late_container(cluster: Cluster) -> Iterator[None]:
    """Something else that changes pods of the cluster: a container more, as soon as there is a sidecar."""
    api, kinds = cluster.api, "admissionregistration.k8s.io/v1"
    # Looked at here and not in `matchConditions`: who has not been asked before the sidecar was there is not asked again.
    due = "has(object.spec.initContainers) && !object.spec.containers.exists(one, one.name == 'late')"
    added = "[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{name: 'late', image: 'late:1'}}]"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"{due} ? {added} : []"}}],
    }
    policy = {"apiVersion": kinds, "kind": "MutatingAdmissionPolicy", "metadata": {"name": LATE}, "spec": spec}
    chosen = {"namespaceSelector": {"matchLabels": {"late": "yes"}}}
    binding = {
        "apiVersion": kinds,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": LATE},
        "spec": {"policyName": LATE, "matchResources": chosen},
    }
    for manifest in (policy, binding):
        api.create(manifest)
    yield
    for manifest in (binding, policy):
        api.delete(f"{kinds}/{manifest['kind']}", LATE)


@pytest.mark.usefixtures("late_container")
def test_asked_again_it_does_what_is_still_to_be_done(cluster: Cluster, within: str, injector: Injector) -> None:
    cluster.api.patch("v1/Namespace", within, {"metadata": {"labels": {"late": "yes"}}})

    def with_both() -> Found | None:
        made = cluster.api.create(app(), within, dry_run=True)
        return made if len(made["spec"]["containers"]) == 2 else None

    made = eventually(with_both)
    assert sidecar(made) and len(made["spec"]["initContainers"]) == 1
    assert environment(made, "late") == environment(made)
    assert [review["decision"] for review in injector.reviews(within)][-2:] == ["injected", "injected"]
