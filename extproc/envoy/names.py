"""Names on which Envoy's configuration and our workers must agree. Workers import this module: nothing heavy here.

Dynamic metadata, all of it untyped:

- `headgate`: set by the gate, read by Envoy and by the adapter. `dialect` of the client; `idle` says that the request goes on, and picks
  the route with the right silence; `adapter` = "1" picks among those the one with the adapter; `record` is what the access log keeps;
  `call` is what the adapter has to know of the request. `judged`, set by the adapter: the last attempt that failed with an answer, and so
  has had the pause after it. `tenant`, `key` and `model`, where there is a log for people (`access_log`).
- `headgate.use`: set by the adapter, read by the gate.
- `headgate.targets`: set by the gate for a request that has several: the clusters to try, in order (see `targets`).

A single target is a header, `x-headgate-cluster`, which costs Envoy less. It counts only once the gate has said `idle`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extproc.config.timeouts import Timeouts

GATE_FILTER = "headgate.gate"
ADAPTER_FILTER = "headgate.adapter"
CLEANER_FILTER = "headgate.cleaner"
"""Takes credentials off before the adapter, see `sealed`."""
TRAILERS_FILTER = "headgate.trailers"
"""Takes the trailers of requests off, see `trailers`."""
OFFER_FILTER = "headgate.http3"
"""Tells clients of HTTP/3, see `http3`."""
PATH_STATE = "headgate.path"
"""Filter state that keeps the client's own path, without its query: attempts rewrite `:path`, and queries may hold keys."""

PROVIDER = "provider"
"""Key of a cluster's own metadata, in `headgate`: the name of the provider, for Envoy's replies to name."""
NAMESPACE = "headgate"
USE_NAMESPACE = "headgate.use"
JWT_NAMESPACE = "envoy.filters.http.jwt_authn"
"""Where Envoy's `jwt_authn` says what was in a token."""
TOKEN_FILTER = "headgate.tokens"  # noqa: S105 - a name
"""Ours among filters of that kind."""
TARGETS_NAMESPACE = "headgate.targets"
DIALECT, ADAPTER, IDLE, RECORD, CALL, JUDGED, HANDED = "dialect", "adapter", "idle", "record", "call", "judged", "handed"
TENANT, KEY, MODEL = "tenant", "key", "model"
"""Said by the gate where there is a log for people: who calls, and what was asked for."""
ADAPTER_ON = "1"
UPGRADED = "upgrade"
"""Value of `idle` for a WebSocket."""
CLUSTER_HEADER = "x-headgate-cluster"
"""The cluster of a request's only target. Callers' own are taken off before the gate, and no provider gets it."""

GATE_CLUSTER = "headgate_gate"
ADAPTER_CLUSTER = "headgate_adapter"
NO_ADDRESS_CLUSTER = "headgate_no_address"
"""Where an attempt ends whose provider's name cannot be resolved: nobody is there, so that it fails and the next target is asked."""
NO_ADDRESS = "no-address.sock"
"""The file of its socket, which never exists. `response.code_details` names it."""
EGRESS = "headgate_egress_"
"""Begins the name of an internal listener that leads to a proxy, and of the proxy's cluster, see `egress`."""
EGRESS_NAMESPACE = "headgate.egress"
"""Metadata of an endpoint behind it: `to` is the host and the port that the proxy is asked for."""
SDS_CLUSTER = "headgate_sds"
"""Who hands out certificates."""
API_CLUSTER = "headgate_api"
"""The admin API."""
API_ADDRESS_HEADER = "x-headgate-caller-address"
"""Tells it the address of a caller who came by Envoy, which sets it anew."""
NO_TARGET_CLUSTER = "headgate_no_target"
"""Exists nowhere: where a request goes as long as the gate has named no target, so that it gets 503 and never some default provider."""

DETAILS_PREFIX = "headgate_"
"""Begins the `details` of the gate's immediate responses. Envoy rewrites every other reply of its own into the client's dialect."""

UNUSABLE = "unusable_answer"
"""What the adapter's stream ends with where a provider's answer cannot be read to its end: a part of `response.code_details`."""

RETRIABLE = [401, 402, 403, 404, 405, 408, 409, 410, 424, 425, 429, 498, 499]
"""Statuses, beside 5xx, after which another provider may do better: its key, its quota, its models. The gate switches retries on.
Bedrock has 424 for a model that failed, and Groq 498 for no room (https://console.groq.com/docs/flex-processing).
"""

ATTRIBUTES = "envoy.filters.http.ext_proc"
"""Key of the attributes in a message, whatever the filter is called."""
CLUSTER_ATTRIBUTE = "xds.cluster_name"
ATTEMPT_ATTRIBUTE = "upstream.request_attempt_count"
DETAILS_ATTRIBUTE = "response.code_details"
VIA_UPSTREAM = "via_upstream"
"""`response.code_details` of what a provider answered; anything else is a reply of Envoy's own."""
WHOLE_OVER = "response_timeout"
"""The same where the time for the whole request was over, all attempts together."""

NO_UPGRADE = "websocket_handshake_unsuccessful"
"""The same where a provider has answered a WebSocket's request with another status than 101: its head goes on, its body does not."""
SILENT = "stream_idle_timeout"
"""The same where nothing came for too long, all attempts together."""
ENDING = "gateway_ending"
"""The ledger's word where the gateway, or the worker, has ended before the answer."""
BACKSTOP = 0.5
"""Seconds by which Envoy's clocks run behind the gate's own, which ends streams in their dialect; Envoy can only break them off."""

ROUTES = "headgate"
"""The route configuration, and its virtual host."""

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
"""The gRPC service that Envoy asks of the gate and of the adapter alike: which of them it means is a matter of the socket."""
PROCESS = f"/{SERVICE}/Process"
"""Its only method."""


CHAIN = "chain_"
"""Begins the name of a cluster that holds several providers, for an Envoy that cannot be told which to try (`chains.py`)."""
AT_ATTRIBUTE = "xds.upstream_host_metadata.filter_metadata['headgate']['at']"
"""Of an attempt in such a cluster: which of its providers has been chosen, from 0 on."""
AT = "at"


def chain_name(clusters: Iterable[str]) -> str:
    """The cluster that holds the providers of all these."""
    return CHAIN + "+".join(cluster.removeprefix(cluster_name("")) for cluster in clusters)


BEHIND = "~"
"""Stands in a cluster's name behind the provider's, which cannot hold it."""


def cluster_name(provider: str) -> str:
    """The provider's cluster."""
    return f"provider_{provider}"


def resolved_name(cluster: str) -> str:
    """The cluster behind a provider's, with the addresses that its host's name has. No provider's own: none may hold a `~`."""
    return f"{cluster}{BEHIND}dns"


def targets(clusters: Iterable[str]) -> dict[str, Any]:
    """Value of `headgate.targets`: attempt n goes to the n-th cluster.

    Shape: `PriorityGroupsOverride` of envoy.extensions.router.cluster_specifiers.priority_group.v3.
    """
    return {
        "priority_groups": [
            {"name": str(position), "clusters": [{"cluster_name": cluster, "weight": 1}]} for position, cluster in enumerate(clusters)
        ]
    }


def silence(timeouts: "Timeouts") -> float:
    """Longest silence of a provider, in seconds. Envoy's clock for it also runs before the first byte, so it is no shorter than that."""
    return max(timeouts.idle, timeouts.first_byte)


def idle_key(timeouts: "Iterable[Timeouts]") -> str:
    """Value of `headgate`:`idle` for a request with these targets: the longest of their silences, in seconds."""
    return f"{max(silence(one) for one in timeouts):g}"


QUIC = "headgate_http3"
"""The listener of HTTP/3."""

MIRROR_HEADER = "x-headgate-mirror"
"""Tells the gate of a copied request (`mirrored.py`). Believed of those alone that came to the mirrors' listener."""
MIRRORS = "headgate_mirrors"
"""The mirrors' listener, and its filter chain."""
FILTER_CHAIN_ATTRIBUTE = "xds.filter_chain_name"
"""Which listener's filter chain a request came by: no client can say it."""


def mirror_socket(run_dir: str) -> str:
    """Where workers send copies of requests."""
    return f"{run_dir}/mirror.sock"


def gate_socket(run_dir: str, worker: int) -> str:
    """Where worker number `worker` serves the gate."""
    return f"{run_dir}/worker-{worker}.gate.sock"


def adapter_socket(run_dir: str, worker: int) -> str:
    """Where worker number `worker` serves the adapter."""
    return f"{run_dir}/worker-{worker}.adapter.sock"


def health_socket(run_dir: str, worker: int) -> str:
    """Where worker number `worker` says whether it serves (grpc.health.v1), and nothing else."""
    return f"{run_dir}/worker-{worker}.health.sock"


def origin_socket(run_dir: str) -> str:
    """Where the local origin serves the demo provider."""
    return f"{run_dir}/origin.sock"


def api_socket(run_dir: str) -> str:
    """Where the admin API serves callers who come by Envoy."""
    return f"{run_dir}/api.sock"


def no_address_socket(run_dir: str) -> str:
    """Where nobody ever listens."""
    return f"{run_dir}/{NO_ADDRESS}"


def admin_socket(run_dir: str) -> str:
    """Envoy's admin interface."""
    return f"{run_dir}/envoy-admin.sock"


def clusters_file(run_dir: str) -> str:
    """The provider clusters, watched by Envoy."""
    return f"{run_dir}/cds.yaml"


def routes_file(run_dir: str) -> str:
    """The routes, watched by Envoy."""
    return f"{run_dir}/rds.yaml"


def listeners_file(run_dir: str) -> str:
    """Listeners that come and go while Envoy runs, watched by it."""
    return f"{run_dir}/lds.yaml"


def secret_file(run_dir: str, provider: str) -> str:
    """Where Envoy reads which file holds the key of a provider, see `sealed`."""
    return f"{run_dir}/key-{provider}.yaml"


def certificate_file(run_dir: str, name: str) -> str:
    """Where Envoy reads which files hold a certificate, or the authorities that vouch for others', see `certificates`."""
    return f"{run_dir}/tls-{name}.yaml"
