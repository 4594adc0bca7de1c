"""What `headgate compile` prints: one text a form, complete in itself, with comments that say how to use it."""

from typing import Literal

from extproc.config.fleet import Fleet
from extproc.config.model import Config
from extproc.config.network import reached_by
from extproc.envoy.compile import beside, compile_attach, compile_edge
from extproc.envoy.document import to_yaml
from extproc.envoy.fleet import FLEET_CLUSTER, compile_xds
from extproc.envoy.message import Plain
from extproc.envoy.places import Places
from extproc.envoy.reasons import REASONS
from extproc.envoy.secrets import secret_files

Form = Literal["edge", "sidecar", "attach"]

_MADE = "Made by `headgate compile {form}`. Change gateway.yaml and compile again, rather than this."
_RUN = "Needs Envoy 1.40 and `headgate serve` beside it; run Envoy with --disable-hot-restart --file-flush-interval-msec 250."
_ATTACH = "Parts for an Envoy that you run, 1.40 or newer, with `headgate serve` on the same machine, at the sockets that are named here."
_ATTACH_FAR = (
    "Parts for an Envoy that you run, 1.40 or newer, with `headgate serve` on the host {host}.\n"
    "access_log names a file on your Envoy's host, whose folder has to exist there. Headgate cannot read it from here, so what a worker\n"
    "had under way when it was killed is not in the ledger; take access_log out, or use it for yourself."
)
_CERTIFICATES = (
    "Your Envoy's certificate and key, and the authority of that host's, belong where `transport_socket` says; or say where they are."
)
_FRONT = (
    "Your jwt_authn filter goes before these http_filters. Its payload_in_metadata is what `callers.jwt` says:\n`metadata`, or the issuer."
)
_MESH = (
    "Your HTTP connection manager has to see to it that x-forwarded-client-cert is nobody's but a proxy's.\n"
    "Where clients show their certificates to it, say forward_client_cert_details: SANITIZE_SET, with\n"
    "set_current_client_cert_details: {uri: true, dns: true}."
)
_NOTES = {
    "layered_runtime": "For your bootstrap: Envoy crashes without it, on long answers of models that have several targets. For the same\n"
    "reason give your listener a per_connection_buffer_limit_bytes larger than any answer.",
    "bootstrap_extensions": "For your bootstrap: the way out leads through a proxy, by internal listeners.",
    "listeners": "For static_resources.listeners. They hold the proxy's password, where it has one.",
    "bootstrap": "For your bootstrap: what `envoy.bootstrap` and `envoy.stats_sinks` say.",
    "http_connection_manager": "Fields for your HTTP connection manager. http_filters go directly before its router filter.\n"
    "For a line an attempt, add access_log's file logger to that router's upstream_log as well, with another path.\n"
    "Your other virtual hosts are left alone, but that callers' x-request-id and x-envoy-* headers are taken off there, too.",
    "virtual_host": "For the virtual_hosts of its route configuration. Where you narrow the domains to those that it shall serve, name\n"
    "the providers' hosts, too: the gate sets a provider's before Envoy chooses the route again, and would find none.\n"
    "Keep its name: by it, Envoy's own replies and the log's lines are known for ours.",
    "validate_clusters": "For that route configuration itself: a request without a target is sent to a cluster that exists nowhere,\n"
    "and Envoy would refuse the routes otherwise.",
    "clusters": "For static_resources.clusters. The first two must stay static: changing them by CDS would cut every answer under way.",
}


def render(form: Form, config: Config, places: Places) -> str:
    """The text of one form."""
    made = _MADE.format(form=form)
    if form == "attach":
        network = config.ext_proc
        attach = _ATTACH if network is None else _ATTACH_FAR.format(host=reached_by(network))
        if network is not None and network.tls is not None:
            attach += f"\n{_CERTIFICATES}"
        callers = config.callers
        attach += f"\n{_FRONT}" if any(one.verify == "front" for one in callers.jwt) else ""
        attach += f"\n{_MESH}" if config.certified else ""
        text = to_yaml(compile_attach(config, places), header=f"{made}\n{attach}", notes=_NOTES, reasons=REASONS)
    else:
        config = config if form == "edge" else beside(config)
        text = to_yaml(compile_edge(config, places), header=f"{made}\n{_RUN}", reasons=REASONS)
    files = secret_files(config, places).items()
    return text + "".join(f"\n# The file {path}, which has to be there first:\n{_quoted(document)}" for path, document in files)


_NODE = (
    "The bootstrap of a node of a fleet. Needs Envoy 1.40, `headgate serve` {workers}, and `headgate fleet serve` at {plane}.\n"
    "Run Envoy with --disable-hot-restart --file-flush-interval-msec 250{name}."
)
_NODE_NOTES = {
    "node": "What the control plane knows this Envoy by. `metadata` beside the id can make it a canary (`fleet.canary.metadata`).",
    "dynamic_resources": "All else comes from the control plane, by one stream. With initial_fetch_timeout 0s Envoy waits for it, and\n"
    "is not ready (/ready of its admin interface) before it has everything. What it has, it keeps while the control plane is away.",
    "static_resources": "The clusters of the workers are told here, since changing them would cut every answer under way;\n"
    "{plane} is the control plane.",
}


def render_node(config: Config, fleet: Fleet, places: Places, *, node: str = "") -> str:
    """The bootstrap of a node of a fleet. `node`: its id."""
    where = "on the same machine" if config.ext_proc is None else f"on {reached_by(config.ext_proc)}"
    name = "" if node else " --service-node NAME, a name that no other node has"
    header = _NODE.format(workers=where, plane=f"{fleet.reached_by}:{fleet.port}", name=name)
    notes = {key: note.format(plane=FLEET_CLUSTER) for key, note in _NODE_NOTES.items()}
    made = compile_xds(config, fleet, places, node=node)
    return to_yaml(made, header=f"{_MADE.format(form='xds')}\n{header}", notes=notes, reasons=REASONS)


def _quoted(document: Plain) -> str:
    return "".join(f"#   {line}\n" for line in to_yaml(document).splitlines())
