"""What values make of pods, and of what stands around them."""

from typing import Any

import pytest
import yaml
from helm_python import HelmRenderError

from tests.k8s.chart.rendering import Manifest, merged, named, render, values

ALL = {"edge": {"enabled": True}, "extproc": {"enabled": True}, "injector": {"enabled": True}, "allowLocalState": True}


def pod(manifests: list[Manifest], name: str = "headgate") -> dict[str, Any]:
    spec: dict[str, Any] = named(manifests, "Deployment", name)["spec"]["template"]["spec"]
    return spec


def all_uses(*more: dict[str, Any]) -> list[Manifest]:
    return render(merged({"config": values("extproc")["config"]}, ALL, *more))


def kinds(manifests: list[Manifest]) -> set[str]:
    return {one["kind"] for one in manifests}


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ({}, "headgate:0.1.0"),
        ({"image": {"registry": "r.example.com", "tag": "next"}}, "r.example.com/headgate:next"),
        ({"image": {"registry": "r.example.com", "digest": f"sha256:{'a' * 64}"}}, f"r.example.com/headgate@sha256:{'a' * 64}"),
        ({"image": {"registry": "r.example.com"}, "global": {"imageRegistry": "mirror"}}, "mirror/headgate:0.1.0"),
    ],
)
def test_all_pods_have_one_image(image: dict[str, Any], told: str) -> None:
    manifests = all_uses(image)
    specs = [pod(manifests, name) for name in ("headgate", "headgate-extproc", "headgate-injector")]
    assert {container["image"] for spec in [*specs, named(manifests, "Pod")["spec"]] for container in spec["containers"]} == {told}
    settings = named(manifests, "ConfigMap", "headgate-injector")["data"]["injector.yaml"]
    assert yaml.safe_load(settings)["image"] == told


def test_a_sidecar_may_have_an_image_of_its_own() -> None:
    manifests = all_uses({"injector": {"settings": {"image": "other:1", "mode": "classic"}}})
    settings = named(manifests, "ConfigMap", "headgate-injector")["data"]["injector.yaml"]
    assert yaml.safe_load(settings) == {"image": "other:1", "image_pull_policy": "IfNotPresent", "mode": "classic"}


def test_what_a_use_says_of_its_pods_goes_before_what_all_have() -> None:
    general = {"pod": {"nodeSelector": {"a": "b"}, "priorityClassName": "high", "automountServiceAccountToken": True}}
    own = {"edge": {"pod": {"nodeSelector": {"c": "d"}, "priorityClassName": "", "automountServiceAccountToken": False}}}
    manifests = all_uses(general, own)
    edge, injector = pod(manifests), pod(manifests, "headgate-injector")
    assert (edge["nodeSelector"], edge["automountServiceAccountToken"]) == ({"c": "d"}, False)
    assert "priorityClassName" not in edge
    assert (injector["nodeSelector"], injector["priorityClassName"], injector["automountServiceAccountToken"]) == ({"a": "b"}, "high", True)


def test_a_platform_that_chooses_users_itself_is_let() -> None:
    chosen = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))
    manifests = render({"pod": {"podSecurityContext": chosen}})
    for spec in (pod(manifests), named(manifests, "Pod")["spec"]):
        assert not chosen.keys() & spec["securityContext"].keys()
        assert spec["securityContext"]["runAsNonRoot"] is True


def test_labels_of_somebody_else_do_not_replace_those_that_pods_are_found_by() -> None:
    taken = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/component": "mine", "team": "a"}
    manifests = render({"commonLabels": taken, "pod": {"labels": {**taken, "more": "b"}}})
    deployment = named(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert (labels["team"], labels["more"], labels["app.kubernetes.io/name"]) == ("a", "b", "headgate")


def test_no_sidecar_is_put_beside_a_gateway() -> None:
    for manifest in all_uses():
        if manifest["kind"] in {"Deployment", "Pod", "Job"}:
            labels = (manifest["spec"]["template"] if manifest["kind"] != "Pod" else manifest)["metadata"]["labels"]
            assert labels["headgate.io/inject"] == "false", manifest["metadata"]["name"]


def test_who_scales_says_how_many_there_are() -> None:
    fixed = named(render({"edge": {"replicas": 0}}), "Deployment")
    assert fixed["spec"]["replicas"] == 0
    manifests = render({"edge": {"autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80}}, "allowLocalState": True})
    assert "replicas" not in named(manifests, "Deployment")["spec"]
    scaler = named(manifests, "HorizontalPodAutoscaler")["spec"]
    assert [metric["resource"]["name"] for metric in scaler["metrics"]] == ["cpu", "memory"]


def test_pods_of_other_accounts() -> None:
    assert pod(render({"serviceAccount": {"create": False}}))["serviceAccountName"] == "default"
    mine = render({"serviceAccount": {"name": "mine"}})
    assert pod(mine)["serviceAccountName"] == "mine"
    assert "ServiceAccount" not in kinds(mine)


def test_a_pod_restarts_for_a_configuration_that_changes_unless_it_is_to_follow() -> None:
    def checksum(**more: Any) -> Any:
        manifests = render({"config": values("extproc")["config"], "existingSecret": "a", **more})
        return named(manifests, "Deployment")["spec"]["template"]["metadata"].get("annotations", {}).get("checksum/config")

    assert checksum() == checksum()
    assert checksum() != checksum(drain={"seconds": 26})
    assert checksum(restartOnChange=False) is None


def test_secrets_of_others_are_variables_or_files() -> None:
    spec = pod(render({"existingSecret": "as-variables", "existingSecretFiles": "as-files"}))
    (container,) = spec["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "as-variables"}}]
    assert {"name": "secrets", "mountPath": "/run/secrets/headgate", "readOnly": True} in container["volumeMounts"]
    assert {"name": "secrets", "secret": {"secretName": "as-files", "defaultMode": 0o400}} in spec["volumes"]


def test_a_grace_period_that_is_too_short_is_refused() -> None:
    with pytest.raises(HelmRenderError, match="killed while they drain"):
        render({"pod": {"terminationGracePeriodSeconds": 30}})
    assert pod(render({"pod": {"terminationGracePeriodSeconds": 35}}))["terminationGracePeriodSeconds"] == 35


def test_the_network_is_open_where_it_has_to_be() -> None:
    policy = named(render(values("edge-production")), "NetworkPolicy", "headgate")["spec"]
    callers, metrics = policy["ingress"]
    assert [port["port"] for port in callers["ports"]] == ["http"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}} in callers["from"]
    assert [port["port"] for port in metrics["ports"]] == ["admin"]
    assert metrics["from"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [443], [6380], [5432]]
    quiet = named(render({}), "NetworkPolicy", "headgate")["spec"]
    assert [[port["port"] for port in rule["ports"]] for rule in quiet["egress"]] == [[53, 53], [443]]
    assert "NetworkPolicy" not in kinds(render({"networkPolicy": {"enabled": False}}))


def test_ports_of_udp_are_let_in_as_such() -> None:
    more = {"name": "more", "port": 9443, "targetPort": 9444, "protocol": "UDP"}
    given = {"edge": {"tls": {"existingSecret": "a", "http3": True}, "service": {"extraPorts": [more]}}}
    policy = named(render(given), "NetworkPolicy", "headgate")["spec"]
    ports = [(port["port"], port["protocol"]) for port in policy["ingress"][0]["ports"]]
    assert ports == [("http", "TCP"), ("http3", "UDP"), (9444, "UDP")]


@pytest.mark.parametrize(
    ("edge", "listener", "port", "protocol", "speaks"),
    [
        ({}, {}, 80, "http", "http"),
        ({"service": {"port": 8000, "appProtocol": "kubernetes.io/h2c"}}, {}, 8000, "kubernetes.io/h2c", "http"),
        ({"tls": {"existingSecret": "a"}}, {}, 443, "https", "https"),
        ({}, {"tls": {"certificate": "/a", "key": "/b"}}, 443, "https", "https"),
        ({}, {"tls": {"certificate": "/a", "key": "/b", "client_ca": "/c"}}, 443, "https", "tcp"),
        ({}, {"proxy_protocol": ["10.0.0.0/8"]}, 80, "http", "tcp"),
    ],
)
def test_the_service_says_what_the_listener_speaks(
    edge: dict[str, Any], listener: dict[str, Any], port: int, protocol: str, speaks: str
) -> None:
    manifests = render({"config": merged(values("extproc")["config"], {"listener": listener}), "edge": edge})
    (found,) = named(manifests, "Service", "headgate")["spec"]["ports"]
    assert (found["port"], found["appProtocol"]) == (port, protocol)
    (asked,) = named(manifests, "Pod")["spec"]["containers"]
    assert asked["args"] == [speaks, "headgate", str(port), "/v1/models"]


def test_kinds_of_others_are_made_because_they_are_asked_for() -> None:
    asked = {"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}}
    theirs = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert theirs <= kinds(render(asked))
    assert not theirs & kinds(render({}))
    assert not theirs & kinds(render(merged(values("injector"), asked))), "an injector has no metrics"


def test_texts_and_objects_of_yours_come_along() -> None:
    found = {one["metadata"]["name"] for one in render(values("everything"))}
    assert {"headgate-more", "headgate-text"} <= found
