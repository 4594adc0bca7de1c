"""HTTP/3: a listener of its own, on the UDP port of the same number, with the same manager; and how clients are told of it.

https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/http3
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption, HeaderValueOptionHeaderAppendAction
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations

from extproc.config.certificates import ListenerTls
from extproc.config.listeners import Listener
from extproc.envoy import names
from extproc.envoy.certificates import server_context
from extproc.envoy.message import Plain, extension
from extproc.envoy.places import Places

_KNOWN_FOR = 86_400
"""Seconds for which clients remember it."""


def offer(listener: Listener) -> list[Plain]:
    """The filter that tells clients of HTTP/3 (RFC 7838), where it is spoken. Its order among filters is of no matter."""
    if not listener.http3:
        return []
    told = HeaderValue(key="alt-svc", value=f'h3=":{listener.http3_port or listener.port}"; ma={_KNOWN_FOR}')
    action = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    mutation = HeaderMutation(append=HeaderValueOption(header=told, append_action=action))
    return [extension(names.OFFER_FILTER, HeaderMutationFilter(mutations=Mutations(response_mutations=[mutation])))]


def quic_listener(base: Plain, tls: ListenerTls, places: Places) -> Plain:
    """The listener beside `base`, which is the one of TCP."""
    more = {"additional_addresses": [{"address": _udp(one["address"])} for one in base.get("additional_addresses", ())]}
    (chain,) = base["filter_chains"]
    (manager,) = chain["filters"]
    # A manager has one codec, and of that listener it can be no other.
    spoken = {**manager, "typed_config": {**manager["typed_config"], "codec_type": "HTTP3", "http3_protocol_options": {}}}
    socket = {
        "name": "envoy.transport_sockets.quic",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
            "downstream_tls_context": server_context(tls, places, http3=True),
        },
    }
    return {
        "name": names.QUIC,
        "address": _udp(base["address"]),
        **(more if more["additional_addresses"] else {}),
        "per_connection_buffer_limit_bytes": base["per_connection_buffer_limit_bytes"],
        # Each thread has a socket: without, packets of a connection would be handed from one to the other.
        "enable_reuse_port": True,
        "udp_listener_config": {"quic_options": {}, "downstream_socket_config": {"prefer_gro": True}},
        "filter_chains": [{"filters": [spoken], "transport_socket": socket}],
    }


def _udp(address: Plain) -> Plain:
    return {"socket_address": {**address["socket_address"], "protocol": "UDP"}}
