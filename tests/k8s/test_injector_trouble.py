"""Injectors otherwise than the chart has them by default, and what becomes of pods while one is away, or changes its certificate."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.k8s.api import Found, Refused, eventually
from tests.k8s.chart.rendering import merged
from tests.k8s.cluster import Cluster
from tests.k8s.injector import Injector, app, awaited, environment, installed, opted_in, sidecar

FAIL = {"injector": {"webhook": {"failurePolicy": "Fail"}}}


def refusal(cluster: Cluster, namespace: str) -> str | None:
    """Why a pod cannot be made; None as long as it can."""
    try:
        cluster.api.create(app("probe"), namespace, dry_run=True)
    except Refused as refused:
        return str(refused)
    return None


def settings(**said: Any) -> Found:
    return {"injector": {"settings": said}}


@pytest.fixture
def within(cluster: Cluster, namespace: str) -> str:
    """A namespace whose pods get sidecars, if there is an injector."""
    return opted_in(cluster, namespace)


def test_classic_sidecars_where_the_settings_say_so(cluster: Cluster, within: str, tmp_path: Path) -> None:
    with installed(cluster, tmp_path, settings(mode="classic", port=4000)) as injector, injector.running():
        awaited(cluster, within, "containers")
        made = cluster.api.create(app(), within)
        gate = sidecar(made, "containers")
        assert gate is not None and "restartPolicy" not in gate
        assert environment(made)["OPENAI_BASE_URL"] == "http://127.0.0.1:4000/v1"
        eventually(lambda: cluster.api.get("v1/Pod", "app", within)["status"].get("phase") == "Running")

        # It would never end: it runs without one, and whoever deploys it reads why.
        ending = cluster.api.create(app("ending", restartPolicy="Never"), within)
        assert sidecar(ending, "containers") is None
        assert any("native" in warning for warning in cluster.api.warnings)
        with pytest.raises(Refused, match="asks for a sidecar"):
            cluster.api.create(app("asking", labels={"headgate.io/inject": "true"}, restartPolicy="Never"), within)


def test_while_it_is_away_pods_go_without_unless_that_is_forbidden(cluster: Cluster, within: str, tmp_path: Path) -> None:
    with installed(cluster, tmp_path / "a") as injector:
        with injector.running():
            awaited(cluster, within)
        assert sidecar(cluster.api.create(app("a"), within)) is None
    with installed(cluster, tmp_path / "b", FAIL) as injector:
        assert "failed calling webhook" in eventually(partial(refusal, cluster, within))
        # Nobody who has not asked for sidecars waits for it, nor do its own pods.
        assert cluster.api.create(app("c", labels={"headgate.io/inject": "false"}), within)
        cluster.api.patch("v1/Namespace", injector.namespace, {"metadata": {"labels": {"headgate.io/inject": "enabled"}}})
        assert cluster.api.create(app("d"), injector.namespace)
        with injector.running():
            assert sidecar(cluster.api.create(app("e"), within))


def test_a_deployment_gets_its_pods_when_the_injector_is_back(cluster: Cluster, within: str, tmp_path: Path) -> None:
    labels = {"app": "app"}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": app()["spec"]}}
    with installed(cluster, tmp_path, FAIL) as injector:
        cluster.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": spec}, within)
        eventually(lambda: any("failed calling webhook" in event.get("message", "") for event in cluster.api.list("v1/Event", within)))
        assert not cluster.api.list("v1/Pod", within)
        with injector.running():
            eventually(lambda: cluster.api.list("v1/Pod", within))
            assert all(sidecar(pod) for pod in cluster.api.list("v1/Pod", within))


# Certificates that somebody else looks after.


class Certificates:
    """An authority, and the Secret of a release with what it has signed."""

    def __init__(self, cluster: Cluster, name: str = "injector-certificate") -> None:
        self._api, self.name = cluster.api, name
        self.authority = trustme.CA()

    @property
    def values(self) -> Mapping[str, Any]:
        tls = {"mode": "existingSecret", "existingSecret": self.name, "caBundle": self.authority.cert_pem.bytes().decode()}
        return {"injector": {"tls": tls}}

    def renew(self, namespace: str) -> None:
        """Puts a new one there."""
        service = "gate-headgate-injector"
        made = self.authority.issue_cert(f"{service}.{namespace}.svc", f"{service}.{namespace}")
        data = {"tls.crt": made.cert_chain_pems[0].bytes().decode(), "tls.key": made.private_key_pem.bytes().decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name}, "type": "kubernetes.io/tls", "stringData": data}
        self._api.apply(secret, namespace)


@contextlib.contextmanager
def deploying(cluster: Cluster, namespace: str) -> Iterator[list[str]]:
    """Somebody who makes one pod after the other, and what comes of each: `sidecar`, `none`, or why it is refused."""
    made: list[str] = []
    over = threading.Event()

    def deploy() -> None:
        with cluster.client() as api:
            while not over.is_set():
                try:
                    made.append("sidecar" if sidecar(api.create(app(), namespace, dry_run=True)) else "none")
                except Refused as refused:
                    made.append(str(refused))

    thread = threading.Thread(target=deploy)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join(60)


def _is_other(injector: Injector, before: bytes) -> bool:
    return injector.shown() != before


def _are_more(made: list[str], count: int) -> bool:
    return len(made) > count


def test_a_certificate_is_renewed_while_pods_are_made(cluster: Cluster, within: str, tmp_path: Path) -> None:
    certificates = Certificates(cluster)
    with installed(cluster, tmp_path, merged(FAIL, certificates.values)) as injector:
        certificates.renew(injector.namespace)
        with injector.running():
            awaited(cluster, within)
            with deploying(cluster, within) as made:
                for _ in range(3):
                    before, count = injector.shown(), len(made)
                    certificates.renew(injector.namespace)
                    injector.pod.update()
                    eventually(partial(_is_other, injector, before))
                    eventually(partial(_are_more, made, count + 5))
        assert set(made) == {"sidecar"}


def test_who_is_not_the_injector_is_not_believed(cluster: Cluster, within: str, tmp_path: Path) -> None:
    trusted, shown = Certificates(cluster), Certificates(cluster)
    with installed(cluster, tmp_path, merged(FAIL, trusted.values)) as injector:
        shown.renew(injector.namespace)
        with injector.running():
            assert "x509" in eventually(partial(refusal, cluster, within))
