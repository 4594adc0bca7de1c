"""The gateway.yaml that pods get is one that Headgate takes, and what would go wrong with it there is refused."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import HelmRenderError

from extproc.cli import main
from tests.k8s.chart.rendering import USES, Manifest, merged, named, notes, render, values

SECRETS = {
    "OPENAI_API_KEY": "sk-1",
    "ANTHROPIC_API_KEY": "sk-2",
    "REDIS_URL": "redis://redis.internal:6379/0",
    "DATABASE_URL": "postgresql://headgate@db.internal/headgate",
    "CALLER_KEY": f"hg-{'b' * 40}",
    "HEADGATE_FIRST_KEY": f"hg-{'a' * 40}",
}
OPENAI = {
    "providers": {"openai": {}},
    "models": [{"name": "*", "targets": ["openai"]}],
    "identities": {"organizations": {"acme": {}}, "keys": {"ci": {"organization": "acme", "secret": "env:CALLER_KEY"}}},
}
SHARED = {"redis": {"url": "env:REDIS_URL"}, "store": {"url": "env:DATABASE_URL"}, "ledger": {"url": "env:DATABASE_URL"}}


def configurations(manifests: list[Manifest]) -> dict[str, str]:
    """Each gateway.yaml, by the name of its ConfigMap."""
    return {
        one["metadata"]["name"]: one["data"]["gateway.yaml"]
        for one in manifests
        if one["kind"] == "ConfigMap" and "gateway.yaml" in one.get("data", {})
    }


def laid_out(folder: Path, given: dict[str, Any]) -> list[Path]:
    """All configurations of these values, with the files that they name in `folder`, in place of the pod's root."""
    by_helm = render(merged(given, {"extproc": {"tls": {"mode": "helm"}}}))
    certificates = {"tls.crt": "", "tls.key": "", "ca.crt": ""}
    if given.get("extproc", {}).get("enabled"):
        certificates |= named(by_helm, "Secret", "headgate-extproc-tls")["data"]
    files = {f"run/headgate-tls/{name}": base64.b64decode(text) for name, text in certificates.items()}
    files |= {f"run/secrets/headgate/{name}": text.encode() for name, text in SECRETS.items()}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    written = []
    for name, text in configurations(render(given)).items():
        written.append(folder / f"{name}.yaml")
        written[-1].write_text(text.replace("/run/", f"{folder}/run/"))
    return written


@pytest.mark.parametrize("platform", ["envoy-gateway", "kgateway"])
def test_what_a_gateway_is_told_of_the_service_is_there(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    manifests = render(values("extproc"))
    path = tmp_path / "gateway.yaml"
    path.write_text("envoy_version: '1.38'\n" + configurations(manifests)["headgate-extproc"])
    where = ["--namespace", "ai", "--gateway", "gateway", "--listener", "http", "--host", "ai.example.com"]
    assert main(["compile", "attach", "--for", platform, *where, str(path)]) == 0
    told = capsys.readouterr().out
    service = named(manifests, "Service", "headgate-extproc")
    assert f"{service['metadata']['name']}.ai.svc" in told
    assert str(service["spec"]["ports"][0]["port"]) in told
    for kind, name in (("Secret", "headgate-client"), ("ConfigMap", "headgate-ca")):
        assert "ca.crt" in named(manifests, kind, name)["data"]
    assert "headgate-client" in told
    assert ("headgate-ca" in told) == (platform == "envoy-gateway"), "kgateway looks for `ca.crt` in the Secret"


@pytest.mark.parametrize("file", USES, ids=lambda path: path.stem)
def test_headgate_takes_it(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    given = yaml.safe_load(file.read_text()) or {}
    for path in laid_out(tmp_path, given):
        assert main(["check", str(path), "--no-envoy", "--state", str(tmp_path / "state")]) == 0


def test_pods_have_the_ports_that_it_says() -> None:
    given = merged(values("everything"), {"ports": {"http": 9000, "admin": 9001, "gate": 9002, "adapter": 9003, "health": 9004}})
    manifests = render(given)
    edge, extproc = (yaml.safe_load(configurations(manifests)[name]) for name in ("headgate", "headgate-extproc"))
    assert (edge["listener"]["port"], edge["admin"]["port"]) == (9000, 9001)
    assert "ext_proc" not in edge
    assert [extproc["ext_proc"][f"{name}_port"] for name in ("gate", "adapter", "health")] == [9002, 9003, 9004]
    for name, ports in (("headgate", [9000, 9001]), ("headgate-extproc", [9002, 9003, 9004, 9001])):
        (container, *_) = named(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert [port["containerPort"] for port in container["ports"] if port["protocol"] == "TCP"] == ports


def test_numbers_stay_what_they_are() -> None:
    config = OPENAI | {"limits": {"request_body": 16777216, "concurrent_requests": 1000000}, "retries": {"budget": {"share": 0.2}}}
    text = configurations(render({"config": config}))["headgate"]
    assert yaml.safe_load(text)["limits"] == {"request_body": 16777216, "concurrent_requests": 1000000}
    assert "e+" not in text


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"listener": {"port": 9000}}, "config.listener.port is 9000, and ports.http is 8080"),
        ({"admin": {"port": 9000}}, "config.admin.port is 9000, and ports.admin is 9180"),
        ({"drain": 90}, "config.drain is 90, and drain.seconds is 25"),
        ({"drain_delay": 0}, "config.drain_delay is 0, and drain.delay is 5"),
        ({"state": ".headgate"}, "config.state is .headgate, and"),
        ({"providers": {"openai": {"key": "sk-clear"}}}, "config.providers.openai.key is a secret in clear"),
        ({"providers": {"openai": {"keys": ["env:A", {"key": "sk-clear"}]}}}, r"config.providers.openai.keys\[1\] is a secret"),
        ({"providers": {"openai": {"keys": ["sk-clear"]}}}, r"config.providers.openai.keys\[0\] is a secret"),
        ({"providers": {"aws": {"aws": {"region": "x", "secret_key": "clear"}}}}, "config.providers.aws.aws.secret_key is a secret"),
        ({"identities": {"keys": {"a": {"secret": "clear"}}}}, "config.identities.keys.a.secret is a secret"),
        ({"redis": {"url": "redis://:password@redis/0"}}, "config.redis.url is a secret"),
        ({"store": {"url": "postgresql://u:password@db/x"}}, "config.store.url is a secret"),
        ({"ledger": {"url": "postgresql://u:password@db/x"}}, "config.ledger.url is a secret"),
    ],
)
def test_what_pods_cannot_have_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmRenderError, match=told):
        render({"config": merged(OPENAI, config)})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"edge": {"enabled": False}}, "all off"),
        ({"config": OPENAI, "existingConfigMap": "mine"}, "both given"),
        (
            {"allowLocalState": True, "edge": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}},
            "edge.autoscaling.minReplicas is 5",
        ),
        ({"edge": {"tls": {"http3": True}}}, "edge.tls.http3 takes a certificate"),
        ({"edge": {"ingress": {"enabled": True}}}, "edge.ingress.hosts: say"),
        ({"edge": {"httpRoute": {"enabled": True}}}, "edge.httpRoute.parentRefs: say"),
        ({"config": OPENAI | {"redis": {"url": "file:/run/secrets/headgate/REDIS_URL"}}}, "existingSecretFiles"),
    ],
)
def test_what_would_only_fail_in_the_cluster_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmRenderError, match=told):
        render(given)


@pytest.mark.parametrize(
    "config",
    [
        {"listener": {"open": True}},
        {"store": SHARED["store"]},
        {"callers": {"jwt": [{"issuer": "https://login.example.com/"}]}},
        {"filters": [{"meter": {}}, {"auth": {"keys": [{"name": "a", "hash": f"sha256:{'0' * 64}"}]}}, {"route": {}}]},
    ],
)
def test_who_may_call_can_be_said_in_several_ways(config: dict[str, Any]) -> None:
    nobody = {name: section for name, section in OPENAI.items() if name != "identities"}
    assert render({"config": nobody | config})
    with pytest.raises(HelmRenderError, match="nobody who may call"):
        render({"config": nobody})


def test_no_secret_is_told() -> None:
    with pytest.raises(HelmRenderError) as raised:
        render({"config": merged(OPENAI, {"providers": {"openai": {"key": "sk-clear"}}})})
    assert "sk-clear" not in str(raised.value)


def test_what_agrees_may_be_said_twice() -> None:
    config = OPENAI | {"listener": {"port": 8080, "proxies": 1}, "admin": {"address": "::"}, "drain": 25}
    found = yaml.safe_load(configurations(render({"config": config}))["headgate"])
    assert found["listener"] == {"address": "0.0.0.0", "port": 8080, "proxies": 1}
    assert found["admin"] == {"address": "::", "port": 9180}


def test_the_ext_proc_service_needs_a_configuration() -> None:
    with pytest.raises(HelmRenderError, match="needs a configuration"):
        render({"edge": {"enabled": False}, "extproc": {"enabled": True}})
    assert render({"edge": {"enabled": False}, "extproc": {"enabled": True}, "existingConfigMap": "mine"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, {"identities", "ledger", "limits", "conversations"}),
        ({"store": SHARED["store"]}, {"ledger", "limits", "conversations"}),
        ({"redis": SHARED["redis"]}, {"identities", "ledger"}),
        ({"ledger": SHARED["ledger"], "redis": SHARED["redis"]}, {"identities"}),
        ({"api": {"address": "off"}}, {"ledger", "limits", "conversations"}),
        ({"filters": [{"meter": {}}, {"auth": {}}, {"route": {}}]}, {"identities", "ledger"}),
        (SHARED, set()),
    ],
)
def test_pods_that_would_not_agree_are_refused(config: dict[str, Any], told: set[str]) -> None:
    given: dict[str, Any] = {"config": OPENAI | config}
    assert render(given), "one pod has nobody to disagree with"
    for more in ({"replicas": 2}, {"autoscaling": {"enabled": True}}):
        several = merged(given, {"edge": more})
        assert render(several | {"allowLocalState": True})
        if not told:
            assert render(several)
            continue
        with pytest.raises(HelmRenderError) as raised:
            render(several)
        assert {line.partition(":")[0].removeprefix("- ") for line in str(raised.value).splitlines() if line.startswith("- ")} == told
    assert all(f"- {name}: " in notes(given) for name in told)


def test_both_uses_together_are_several_pods() -> None:
    with pytest.raises(HelmRenderError, match="There may be 2 pods"):
        render({"config": OPENAI, "extproc": {"enabled": True}})


def test_redis_is_told_how_many_share_it() -> None:
    given = {
        "config": OPENAI | SHARED,
        "edge": {"autoscaling": {"enabled": True, "maxReplicas": 7}},
        "extproc": {"enabled": True, "replicas": 2},
    }
    assert {yaml.safe_load(text)["redis"]["machines"] for text in configurations(render(given)).values()} == {9}
    own = merged(given, {"config": {"redis": {"machines": 20}}})
    assert {yaml.safe_load(text)["redis"]["machines"] for text in configurations(render(own)).values()} == {20}


def test_of_a_configuration_of_yours_what_it_should_say_is_told() -> None:
    given = {"existingConfigMap": "mine", "edge": {"replicas": 3}}
    manifests = render(given)
    assert not configurations(manifests)
    pod = named(manifests, "Deployment")["spec"]["template"]
    assert {"name": "config", "configMap": {"name": "mine"}} in pod["spec"]["volumes"]
    assert "checksum/config" not in pod["metadata"].get("annotations", {})
    assert "should name `store.url`" in " ".join(notes(given).split()).replace("it should", "should")


def test_how_one_comes_by_a_key_is_told() -> None:
    made = "KEY=$(kubectl --namespace ai exec deploy/headgate -- headgate keys create alice)"
    assert made in notes({"config": OPENAI | SHARED})
    assert made in notes({"existingConfigMap": "mine"})
    assert "KEY=..." in notes({"config": OPENAI})


def test_secrets_that_pods_will_not_find_are_told() -> None:
    told = "Name the Secret that has\nthem (existingSecret)"
    assert told in notes({"config": OPENAI})
    for more in ({"existingSecret": "mine"}, {"edge": {"pod": {"extraEnvFrom": [{"secretRef": {"name": "mine"}}]}}}):
        assert told not in notes({"config": OPENAI} | more)


def test_of_the_injector_alone_nothing_is_told_that_is_of_gateways() -> None:
    assert "WORTH KNOWING" not in notes(values("injector"))


def test_tables_are_brought_up_to_date_before_pods() -> None:
    job = named(render({"config": OPENAI | SHARED}), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert [one["args"][:2] for one in (*pod["initContainers"], *pod["containers"])] == [["store", "migrate"], ["ledger", "migrate"]]
    (only,) = named(render({"existingConfigMap": "mine", "migrations": {"tables": ["ledger"]}}), "Job")["spec"]["template"]["spec"][
        "containers"
    ]
    assert only["args"][:2] == ["ledger", "migrate"]
    assert not [one for one in render({"config": OPENAI}) if one["kind"] == "Job"]
