"""What a control plane tells Prometheus."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from extproc.ledger.named import Named

_PHASES = ("none", "canary", "spreading", "steady")


def render(status: dict[str, Any]) -> bytes:
    """The metrics of `Plane.status`, in Prometheus' text format."""
    registry = CollectorRegistry()
    named = Named(registry)
    nodes: Iterable[dict[str, Any]] = status["nodes"]
    connected = [node for node in nodes if node["connected"]]
    named.gauge("fleet_nodes", "Nodes that are connected to the control plane").set(len(connected))
    behind = named.gauge("fleet_nodes_behind", "Those of them that do not have all that they are to have")
    behind.set(sum(node["complete"] != node["wanted"] for node in connected))
    refused = named.gauge("fleet_nodes_refusing", "Those of them that have refused what they are to have")
    refused.set(sum(node["nack"] is not None and node["nack"]["version"] == node["wanted"] for node in connected))
    phase = named.gauge("fleet_rollout", "1 for the phase that the roll-out is in", ["phase"])
    for one in _PHASES:
        phase.labels(one).set(one == status["phase"])
    named.gauge("fleet_rolled_back", "1 if the configuration as it stands was taken back").set(status["refusal"] is not None)
    named.counter("fleet_refusals", "Parts of versions that nodes have refused since the start").inc(status["refusals"])
    return generate_latest(registry)
