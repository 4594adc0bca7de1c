"""What is said on a stream, between messages as they go over the wire and plain values."""

from extproc.version import VERSION
from extproc.wire import discovery_pb2 as wire
from extproc.xds.kinds import NAMES
from extproc.xds.messages import Answer, Ask, DeltaAsk
from extproc.xds.nodes import Node

_SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
WHOLE = f"{_SERVICE}/StreamAggregatedResources"
DELTA = f"{_SERVICE}/DeltaAggregatedResources"
_IDENTIFIER = f"headgate {VERSION}"
_LONGEST = 256
"""Of a node's id: it is shown to people."""


def node(said: wire.Node) -> Node:
    """Who it says that it is. Raises `ValueError` where that is nobody."""
    if not said.id or len(said.id) > _LONGEST or not said.id.isprintable():
        raise ValueError(f"a node needs an id of 1 to {_LONGEST} characters: `node.id` of its bootstrap, or --service-node")
    texts = {name: value.string_value for name, value in said.metadata.fields.items() if value.HasField("string_value")}
    version = said.user_agent_build_version.version
    envoy = f"{version.major_number}.{version.minor_number}.{version.patch}"
    return Node(id=said.id, cluster=said.cluster, metadata=texts, envoy="" if envoy == "0.0.0" else envoy)


def ask(request: wire.DiscoveryRequest) -> Ask | None:
    """A request; None: of a kind that is none of ours."""
    if request.type_url not in NAMES:
        return None
    return Ask(
        kind=request.type_url,
        names=tuple(request.resource_names),
        version=request.version_info,
        nonce=request.response_nonce,
        error=request.error_detail.message if request.HasField("error_detail") else None,
    )


def delta_ask(request: wire.DeltaDiscoveryRequest) -> DeltaAsk | None:
    """The same of the incremental protocol."""
    if request.type_url not in NAMES:
        return None
    return DeltaAsk(
        kind=request.type_url,
        subscribe=tuple(request.resource_names_subscribe),
        unsubscribe=tuple(request.resource_names_unsubscribe),
        initial=dict(request.initial_resource_versions),
        nonce=request.response_nonce,
        error=request.error_detail.message if request.HasField("error_detail") else None,
    )


def answer(said: Answer) -> bytes:
    """An answer."""
    response = wire.DiscoveryResponse(version_info=said.version, type_url=said.kind, nonce=said.nonce)
    response.control_plane.identifier = _IDENTIFIER
    for one in said.resources:
        response.resources.add(type_url=said.kind, value=one.body)
    return response.SerializeToString()


def delta_answer(said: Answer) -> bytes:
    """The same of the incremental protocol."""
    response = wire.DeltaDiscoveryResponse(system_version_info=said.version, type_url=said.kind, nonce=said.nonce)
    response.control_plane.identifier = _IDENTIFIER
    response.removed_resources.extend(said.removed)
    for one in said.resources:
        added = response.resources.add(name=one.name, version=one.version)
        added.resource.type_url, added.resource.value = said.kind, one.body
    return response.SerializeToString()
