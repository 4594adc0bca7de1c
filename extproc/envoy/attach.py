"""Parts for an Envoy that has other things to do as well: what they change, they change for our virtual host alone.

Without that, the gate would judge somebody's own traffic, and send it on with a provider's credential; their errors would look like ours;
and the ledger would take their requests for ours.
"""

from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter

from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.fragments import switched_on, their_filters
from extproc.envoy.jwt import enabled
from extproc.envoy.listener import connection_manager_parts
from extproc.envoy.local_reply import local_reply_config
from extproc.envoy.message import Plain, extension
from extproc.envoy.places import Places
from extproc.envoy.routes import virtual_host
from extproc.envoy.trailers import untrailed

_SWITCHED = (names.GATE_FILTER, names.TOKEN_FILTER, names.TRAILERS_FILTER)
_OURS = f'xds.virtual_host_name == "{names.ROUTES}"'
_PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"


def shared_manager_parts(config: Config, places: Places) -> Plain:
    """The fields of `connection_manager_parts`, with the gate off but where a route switches it on."""
    parts = connection_manager_parts(config, places)
    switched = {*_SWITCHED, *their_filters(config)}
    only_ours = {"extension_filter": extension("envoy.access_loggers.extension_filters.cel", ExpressionFilter(expression=_OURS))}
    return {
        **parts,
        "local_reply_config": local_reply_config(config, only=_OURS),
        "access_log": [{**log, "filter": _both(only_ours, log.get("filter"))} for log in parts["access_log"]],
        "http_filters": [
            {**http_filter, "disabled": True} if http_filter["name"] in switched else http_filter for http_filter in parts["http_filters"]
        ],
    }


def _both(ours: Plain, theirs: Plain | None) -> Plain:
    return ours if theirs is None else {"and_filter": {"filters": [ours, theirs]}}


def shared_virtual_host(config: Config) -> Plain:
    """The virtual host, which switches the gate on: a configuration of its own for a filter, even an empty one, does that."""
    return {
        **virtual_host(config),
        "typed_per_filter_config": {
            names.GATE_FILTER: {"@type": _PER_ROUTE, "overrides": {}},
            **untrailed(),
            **enabled(config),
            **switched_on(config),
        },
    }
