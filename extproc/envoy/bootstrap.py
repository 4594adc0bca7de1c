"""Envoy's bootstrap: all of it in one document, or with the providers, their proxies and routes in files that Envoy watches."""

from envoy_data_plane.envoy.config.bootstrap.v3 import Admin
from envoy_data_plane.envoy.config.core.v3 import Address, Node, Pipe
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import DownstreamConnectionsConfig

from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.certificates import sds_clusters
from extproc.envoy.chains import compiled_in
from extproc.envoy.clusters import provider_clusters
from extproc.envoy.egress import egress_listeners, extensions, proxies
from extproc.envoy.fragments import bootstrap_parts, overlaid, theirs
from extproc.envoy.listener import listeners, watched
from extproc.envoy.message import Plain, extension, plain
from extproc.envoy.places import Places
from extproc.envoy.workers import worker_clusters
from extproc.mirrors import MOST

_OWNER_ONLY = 0o600


def bootstrap(config: Config, places: Places, *, address: str, files: bool) -> Plain:
    """The bootstrap with its listener on `address`. The workers' clusters are static: changing those would cut every stream."""
    clusters = worker_clusters(config, places) + sds_clusters(config)
    static = listeners(config, places, address=address, files=files)
    more: Plain = {}
    if files:
        lds, cds = names.listeners_file(places.run_dir), names.clusters_file(places.run_dir)
        more["dynamic_resources"] = {"lds_config": watched(lds, places), "cds_config": watched(cds, places)}
    else:
        clusters += provider_clusters(config, places)
        static += own_listeners(config)
    if files or proxies(config):
        more["bootstrap_extensions"] = extensions()
    ours = {
        "node": plain(Node(id="headgate", cluster="headgate")),
        "admin": plain(Admin(address=Address(pipe=Pipe(path=names.admin_socket(places.run_dir), mode=_OWNER_ONLY)))),
        "overload_manager": {"resource_monitors": [_connections(config)]},
        "layered_runtime": runtime(config),
        **more,
        "static_resources": {"listeners": static, "clusters": clusters},
    }
    return overlaid(ours, bootstrap_parts(config))


def own_listeners(config: Config) -> list[Plain]:
    """Listeners that may come and go: those that lead to proxies, and the operator's own."""
    return egress_listeners(config) + theirs(config, "listeners")


def runtime(config: Config) -> Plain:
    """Features of Envoy that have to be off.

    With flow control on the stream to the adapter, Envoy tells an upstream connection to read on after its answer has ended, and it
    does not look whether that connection still is: SIGSEGV for everybody, once in three answers of 3 MB (tried on 1.40).
    """
    features: Plain = {"envoy.reloadable_features.grpc_side_stream_flow_control": False}
    if compiled_in(config):
        # Older ones take shorter regular expressions unless told otherwise.
        features["re2.max_program_size.error_level"] = 1000
    return {"layers": [{"name": "headgate", "static_layer": features}]}


def _connections(config: Config) -> Plain:
    # A client needs no more connections than requests. Those of copies for mirrors are counted with them, and shall keep nobody out.
    most = config.limits.concurrent_requests + (MOST * config.workers if config.mirrors else 0)
    bound = DownstreamConnectionsConfig(max_active_downstream_connections=most)
    return extension("envoy.resource_monitors.global_downstream_max_connections", bound)
