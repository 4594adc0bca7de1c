"""Which version a real API server says it has: to the injector that asks, and to Helm, which compares it with the chart's."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from helm_python import HelmError

from extproc.injector.cluster import Cluster as Asked
from extproc.injector.cluster import parse_version
from tests.k8s.apiserver import version
from tests.k8s.chart.rendering import CHART
from tests.k8s.cluster import Cluster


def account(cluster: Cluster, folder: Path, token: str) -> Asked:
    """What a pod is told by its environment and its mounts."""
    host, port = cluster.url.removeprefix("https://").split(":")
    shutil.copy(cluster.authority, folder / "ca.crt")
    (folder / "token").write_text(token)
    return Asked({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}, folder)


async def test_an_account_without_any_role_is_told(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    asked = account(cluster, tmp_path, cluster.api.token("default", namespace))
    await asked.ask()
    assert asked.version == parse_version(version())


async def test_who_is_nobody_is_not(cluster: Cluster, tmp_path: Path) -> None:
    asked = account(cluster, tmp_path, "made up")
    await asked.ask()
    assert asked.version is None


def test_a_server_that_is_too_old_for_the_chart_is_told_so(cluster: Cluster, helm: Any, tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "chart")
    about = tmp_path / "chart" / "Chart.yaml"
    about.write_text(about.read_text().replace(">=1.29.0-0", ">=1.999.0-0"))
    with pytest.raises(HelmError, match=f"requires kubeVersion: >=1.999.0-0 .*{version()}"):
        helm.install(tmp_path / "chart", "gate", {}, timeout=60)
