"""Real Envoys that are told their configuration by a control plane, by both protocols and mutual TLS, while they are asked."""

import copy
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from extproc.wire import discovery_pb2 as wire
from extproc.xds.kinds import CLUSTERS
from extproc.xds.wire import DELTA
from tests.e2e.fleet import FleetOfEnvoys, Load, Node, Protocol, until
from tests.e2e.upstream import Demo

CHANGES = 4


def configuration(demo: Demo) -> dict[str, Any]:
    """What the workers are told, too: one provider, by address."""
    return {
        "providers": {"o": {"dialect": "openai", "base_url": f"{demo.url}/v1"}},
        "models": [{"name": "m", "targets": ["o/m"]}],
    }


def changed(config: dict[str, Any], at: int) -> dict[str, Any]:
    """Another configuration for each number: a cluster more and one less, one that is in use changed, and every second time the routes."""
    made = copy.deepcopy(config)
    made["providers"]["o"]["timeouts"] = {"connect": 2 + at / 10}
    made["limits"] = {"request_body": 32 * 1024 * 1024 + at // 2}
    made["providers"][f"p{at}"] = {"dialect": "openai", "base_url": f"http://127.0.0.{at % 200 + 2}:9/v1"}
    made["providers"][f"n{at}"] = {"dialect": "openai", "base_url": f"http://n{at}.localhost:9/v1"}
    return made


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with Demo() as running:
        yield running


@pytest.fixture(scope="module", params=["delta", "sotw"])
def fleet(request: pytest.FixtureRequest, demo: Demo) -> Iterator[FleetOfEnvoys]:
    protocol: Protocol = request.param
    settings = {"settle": 0, "linger": 0.5, "canary": {"nodes": ["node-0"]}}
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as folder,
        FleetOfEnvoys(Path(folder), configuration(demo), settings, protocol).running() as running,
    ):
        until(running.settled, "all nodes have the first version")
        yield running


def test_changes_lose_no_request(fleet: FleetOfEnvoys, demo: Demo) -> None:
    config = configuration(demo)
    with Load(fleet.url, "m") as load:
        for at in range(CHANGES):
            before = fleet.status()["stable"]
            fleet.write(changed(config, at))
            fleet.until_changed(before)
        before = fleet.status()["stable"]
        fleet.write(config)
        fleet.until_changed(before)
        until(lambda: load.done > 20, "there were requests")
    assert not load.failed
    for node in fleet.nodes:
        # What is gone is gone, once nobody can mean it any more.
        until(lambda node=node: "provider_p" not in node.admin("/clusters"), "the clusters of before are gone")  # type: ignore[misc]
        assert not sum(node.stats("update_rejected$").values())
        assert node.stats("cluster_manager.cds.update_success$")["cluster_manager.cds.update_success"] > CHANGES
        assert node.stats("rds.headgate.update_success$")["http.headgate.rds.headgate.update_success"] > CHANGES // 2


def test_the_same_is_told_nobody_again(fleet: FleetOfEnvoys) -> None:
    before = fleet.status()["stable"]
    text = fleet.path.read_text()
    fleet.path.write_text(f"# Nothing that nodes are told.\n{text}")
    fleet.run("fleet", "status", str(fleet.path))
    assert fleet.settled() and fleet.status()["stable"] == before


def secrets(node: Node) -> str:
    """What a node has of the callers' certificate."""
    return node.admin("/config_dump?resource=dynamic_active_secrets")


def test_a_new_certificate_is_everywhere_within_a_moment(fleet: FleetOfEnvoys) -> None:
    before = [secrets(node) for node in fleet.nodes]
    listeners = [node.stats("listener_(added|modified)$") for node in fleet.nodes]
    assert all("listener-0" in one for one in before)
    with Load(fleet.url, "m") as load:
        # In place: nobody has to edit the configuration.
        fleet.certify("callers", "127.0.0.1", "localhost")
        until(lambda: not any(secrets(node) == one for node, one in zip(fleet.nodes, before, strict=True)), "all have it")
        done = load.done
        until(lambda: load.done > done + 10, "callers see it")
    # What all nodes have is the stable one a moment later.
    until(fleet.settled, "it is what the fleet has")
    assert not load.failed
    assert [node.stats("listener_(added|modified)$") for node in fleet.nodes] == listeners
    # The private key is no more than mentioned.
    assert "BEGIN" not in secrets(fleet.nodes[0])


def updates(fleet: FleetOfEnvoys) -> list[dict[str, int]]:
    """What nodes count when they are told something."""
    pattern = "(cds|lds|rds.headgate).update_(success|rejected)$|listener_(added|modified|removed)$|cluster_(added|modified|removed)$"
    return [node.stats(pattern) for node in fleet.nodes]


def test_a_control_plane_that_is_killed_and_started_again_changes_nothing(fleet: FleetOfEnvoys) -> None:
    until(lambda: fleet.settled() and updates(fleet) == updates(fleet), "all is quiet")
    before, version = updates(fleet), fleet.status()["stable"]
    with Load(fleet.url, "m") as load:
        fleet.kill_plane()
        done = load.done
        until(lambda: load.done > done + 10, "nodes go on without it")
        fleet.start_plane()
        until(fleet.settled, "all nodes are back")
    assert not load.failed
    assert fleet.status()["stable"] == version
    assert updates(fleet) == before


def test_what_has_changed_while_there_was_none_is_told_when_it_is_back(fleet: FleetOfEnvoys, demo: Demo) -> None:
    before = fleet.status()["stable"]
    with Load(fleet.url, "m") as load:
        fleet.kill_plane()
        # A cluster that nodes have changes, and its endpoints do not.
        fleet.write(changed(configuration(demo), CHANGES))
        fleet.start_plane()
        fleet.until_changed(before)
    assert not load.failed


def test_what_a_canary_refuses_reaches_nobody_else(fleet: FleetOfEnvoys, demo: Demo) -> None:
    config = configuration(demo)
    before, version = updates(fleet), fleet.status()["stable"]
    with socket.socket() as taken, Load(fleet.url, "m") as load:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        # Nobody but the node itself can know that its port is taken.
        fleet.write(config, port=taken.getsockname()[1])
        until(lambda: (fleet.status().get("refusal") or {}).get("node") == "node-0", "the canary has refused it")
        refusal = fleet.status()["refusal"]
        assert refusal["kind"] == "LDS" and "cannot bind" in refusal["why"]
        until(fleet.settled, "it is taken back")
    assert not load.failed
    assert fleet.status()["stable"] == version
    rejected = [after["listener_manager.lds.update_rejected"] for after in updates(fleet)]
    assert rejected[0] >= 1 and rejected[1:] == [0, 0]
    assert [after["listener_manager.lds.update_success"] for after in updates(fleet)][1:] == [
        one["listener_manager.lds.update_success"] for one in before[1:]
    ]
    shown = fleet.run("fleet", "status", str(fleet.path)).stdout
    assert f"taken back {refusal['version']}: node-0 refused it (LDS)" in shown
    assert f"{version} is everywhere" in shown
    # The configuration is mended.
    fleet.write(config)
    until(lambda: fleet.status()["refusal"] is None, "it is forgotten")


def test_a_node_that_starts_while_there_is_no_control_plane_waits_for_it(fleet: FleetOfEnvoys) -> None:
    fleet.kill_plane()
    node = fleet.nodes[2]
    node.stop()
    node.start()
    until(lambda: node.admin("/ready"), "it is there")
    assert not node.ready()
    fleet.start_plane()
    until(fleet.settled, "it has all")
    until(node.ready, "it is ready")


def say_hello(fleet: FleetOfEnvoys, authority: trustme.CA, certificate: trustme.LeafCert | None, name: str) -> grpc.StatusCode:
    """What a node of that name is told: the status of its stream, or that it is answered."""
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()) if certificate is not None else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), *pair)
    hello = wire.DeltaDiscoveryRequest(node=wire.Node(id=name), type_url=CLUSTERS)
    with grpc.secure_channel(f"127.0.0.1:{fleet.plane_port}", credentials) as channel:
        ask: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(DELTA)
        call = ask(iter([hello.SerializeToString()]), timeout=20)
        try:
            next(call)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK


def test_only_nodes_with_a_certificate_of_their_own_are_told_anything(fleet: FleetOfEnvoys) -> None:
    ours, strangers = fleet.authority, trustme.CA()
    assert say_hello(fleet, ours, ours.issue_cert("guest"), "guest") is grpc.StatusCode.OK
    assert say_hello(fleet, ours, ours.issue_cert("*.guests.example"), "a.guests.example") is grpc.StatusCode.OK
    assert say_hello(fleet, ours, ours.issue_cert("guest"), "node-0") is grpc.StatusCode.PERMISSION_DENIED
    assert say_hello(fleet, ours, ours.issue_cert("guest"), "") is grpc.StatusCode.INVALID_ARGUMENT
    assert say_hello(fleet, ours, strangers.issue_cert("guest"), "guest") is grpc.StatusCode.UNAVAILABLE
    assert say_hello(fleet, ours, None, "guest") is grpc.StatusCode.UNAVAILABLE
