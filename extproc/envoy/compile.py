"""From `gateway.yaml` to what Envoy is told: a gateway of its own (edge), one beside an application (sidecar), or parts for an Envoy
that somebody runs (attach).
"""

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from msgspec.structs import replace

from extproc.config.listeners import Listener as Listening
from extproc.config.model import Config
from extproc.envoy.attach import shared_manager_parts, shared_virtual_host
from extproc.envoy.bootstrap import bootstrap, own_listeners, runtime
from extproc.envoy.clusters import provider_clusters
from extproc.envoy.egress import extensions, proxies
from extproc.envoy.fragments import bootstrap_parts
from extproc.envoy.message import Plain, typed
from extproc.envoy.places import Places
from extproc.envoy.routes import route_configuration
from extproc.envoy.workers import network_clusters, worker_clusters

LOOPBACK = "127.0.0.1"


def compile_edge(config: Config, places: Places, *, files: bool = False) -> Plain:
    """The bootstrap of a gateway. `files`: its providers and routes are in the files of `compile_clusters` and `compile_routes`,
    which must be there before Envoy starts; else the bootstrap is complete in itself.
    """
    return bootstrap(config, places, address=config.listener.address, files=files)


def compile_sidecar(config: Config, places: Places, *, files: bool = False) -> Plain:
    """The bootstrap of a gateway beside one application, see `beside`."""
    return bootstrap(beside(config), places, address=LOOPBACK, files=files)


def beside(config: Config) -> Config:
    """The configuration of a gateway that is reached by loopback alone: what a listener for others has - TLS, proxies before it - is none
    of its.
    """
    return replace(config, listener=Listening(port=config.listener.port))


def compile_attach(config: Config, places: Places) -> Plain:
    """What an Envoy that is already there needs: a runtime layer, fields of its HTTP connection manager, a virtual host, and clusters."""
    ours = worker_clusters(config, places) if config.ext_proc is None else network_clusters(config, config.ext_proc, places)
    way_out: Plain = {"bootstrap_extensions": extensions()} if proxies(config) else {}
    if more := own_listeners(config):
        way_out["listeners"] = more
    if parts := bootstrap_parts(config):
        way_out["bootstrap"] = parts
    return {
        "layered_runtime": runtime(config),
        **way_out,
        "http_connection_manager": shared_manager_parts(config, places),
        "virtual_host": shared_virtual_host(config),
        "validate_clusters": False,
        "clusters": ours + provider_clusters(config, places, adapter=True),
    }


def compile_clusters(config: Config, places: Places) -> Plain:
    """The watched file of provider clusters (CDS)."""
    return {"resources": [typed(Cluster(), **cluster) for cluster in provider_clusters(config, places)]}


def compile_listeners(config: Config) -> Plain:
    """The watched file of listeners (LDS): those that may come and go. The callers' own is in the bootstrap."""
    return {"resources": [typed(Listener(), **listener) for listener in own_listeners(config)]}


def compile_routes(config: Config) -> Plain:
    """The watched file of routes (RDS)."""
    return {"resources": [typed(RouteConfiguration(), **route_configuration(config))]}
