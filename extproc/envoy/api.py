"""The admin API at the callers' listener: its paths go to its own process, past the gate, which knows nothing of them.

It authenticates by itself, so the route takes nothing away from that, and adds what its process cannot see: the caller's address.
"""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    Pipe,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.config.route.v3 import Route, RouteAction, RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExtProcPerRoute

from extproc.admin import API, ROOTS
from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.message import Plain, plain, typed
from extproc.envoy.places import Places

_TIMEOUT = timedelta(seconds=60)


def _served(config: Config) -> bool:
    return config.api.listener and config.api.place is not None


def api_routes(config: Config) -> list[Plain]:
    """Before all others: whoever asks for these paths asks nothing of a provider."""
    if not _served(config):
        return []
    address = HeaderValueOption(
        header=HeaderValue(key=names.API_ADDRESS_HEADER, value="%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    action = RouteAction(cluster=names.API_CLUSTER, timeout=_TIMEOUT)
    past = {names.GATE_FILTER: typed(ExtProcPerRoute(disabled=True))}
    # One expression for all of them would be larger than Envoy takes (`re2.max_program_size.error_level`).
    matches = {root: RouteMatch(path_separated_prefix=f"{API}/{root}") for root in ROOTS}
    return [
        plain(Route(name=f"api-{root}", match=match, route=action, request_headers_to_add=[address]), typed_per_filter_config=past)
        for root, match in matches.items()
    ]


def api_clusters(config: Config, places: Places) -> list[Plain]:
    """The process that serves it."""
    if not _served(config):
        return []
    where = Endpoint(address=Address(pipe=Pipe(path=names.api_socket(places.run_dir))))
    found = Cluster(
        name=names.API_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=5),
        load_assignment=ClusterLoadAssignment(
            cluster_name=names.API_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=where)])]
        ),
    )
    return [plain(found)]
