"""A cluster for all tests of a process, and a namespace of its own for each; tests that have either are marked `cluster`."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from helm_python import Config

from tests.k8s.cluster import Cluster, running_cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where Kubernetes cannot be built, `-m "not cluster"` leaves out what needs it."""
    for item in items:
        if isinstance(item, pytest.Function) and "cluster" in item.fixturenames:
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster. Tests make what they need in namespaces of their own."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one test."""
    name = cluster.namespace(f"t-{secrets.token_hex(4)}")
    yield name
    cluster.api.delete("v1/Namespace", name)


@pytest.fixture
def helm(cluster: Cluster, namespace: str) -> Iterator[Any]:
    """Helm's own engine, for the release `gate` in the test's namespace; what it has of the whole cluster goes with the test."""
    with Config(kubeconfig_path=cluster.kubeconfig, namespace=namespace) as config:
        yield config
        config.uninstall("gate", ignore_not_found=True)
