"""TLS at the callers' listener: what it shows, and what it asks of clients.

Certificates are secrets (SDS) that a file tells of, and that file names those with the certificate and its key. Envoy watches their
folders, so one that is renewed counts for the next connection, without a reload: Envoy looks at whatever is renamed there, also where
Kubernetes swaps `..data`. While certificate and key do not fit each other, for a moment, the ones before stay in force (tried on 1.40).

https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret
"""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import Address, DataSource, Http2ProtocolOptions, Pipe
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    DownstreamTlsContext,
    Secret,
    TlsCertificate,
    TlsParameters,
    TlsParametersTlsProtocol,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as Upstream
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsExplicitHttpConfig

from extproc.config.certificates import ListenerTls
from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.message import Plain, plain, typed
from extproc.envoy.places import Places

_ALPN = ["h2", "http/1.1"]
_ALPN_3 = ["h3"]
_OLDEST = {"1.2": TlsParametersTlsProtocol.TLSv1_2, "1.3": TlsParametersTlsProtocol.TLSv1_3}
_OWN, _CLIENTS = "listener", "clients"
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def server_context(tls: ListenerTls, places: Places, *, http3: bool = False) -> Plain:
    """The content of a `DownstreamTlsContext`. `http3`: for QUIC, which is TLS 1.3 by itself."""
    common = CommonTlsContext(
        alpn_protocols=_ALPN_3 if http3 else _ALPN,
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_3 if http3 else _OLDEST[tls.minimum]),
    )
    shown = [by_file(_own(at), places) for at in range(len(tls.files))] if tls.sds is None else [_by_server(tls.sds.certificate)]
    parts = plain(common, tls_certificate_sds_secret_configs=shown)
    if tls.sds is not None and tls.sds.authority is not None:
        parts["validation_context_sds_secret_config"] = _by_server(tls.sds.authority)
    elif tls.client_ca is not None:
        parts["validation_context_sds_secret_config"] = by_file(_CLIENTS, places)
    needed = tls.checks and tls.client_certificate == "required"
    return plain(DownstreamTlsContext(require_client_certificate=needed or None), common_tls_context=parts)


def certificate_files(config: Config, places: Places) -> dict[str, Plain]:
    """By path, what Envoy is told of each certificate: where it is, and nothing of what it is."""
    tls = config.listener.tls
    if tls is None:
        return {}
    secrets = {_own(at): key_pair(_own(at), one.certificate, one.key) for at, one in enumerate(tls.files)}
    if tls.client_ca is not None:
        secrets[_CLIENTS] = authorities(_CLIENTS, tls.client_ca)
    return {names.certificate_file(places.run_dir, name): {"resources": [secret]} for name, secret in secrets.items()}


def key_pair(name: str, certificate: str, key: str) -> Plain:
    """A secret: a certificate and its key, by the files that they are in."""
    pair = TlsCertificate(certificate_chain=DataSource(filename=certificate), private_key=DataSource(filename=key))
    return typed(Secret(name=name, tls_certificate=pair))


def authorities(name: str, file: str) -> Plain:
    """A secret: who vouches for the other side."""
    return typed(Secret(name=name, validation_context=CertificateValidationContext(trusted_ca=DataSource(filename=file))))


def sds_clusters(config: Config) -> list[Plain]:
    """Whoever hands out certificates."""
    tls = config.listener.tls
    if tls is None or tls.sds is None:
        return []
    where = LbEndpoint(endpoint=Endpoint(address=Address(pipe=Pipe(path=tls.sds.socket))))
    http2 = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions())
    cluster = Cluster(
        name=names.SDS_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=5),
        load_assignment=ClusterLoadAssignment(cluster_name=names.SDS_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[where])]),
    )
    return [plain(cluster, typed_extension_protocol_options={_OPTIONS: typed(Upstream(explicit_http_config=http2))})]


def _own(at: int) -> str:
    return f"{_OWN}-{at}"


def by_file(name: str, places: Places) -> Plain:
    """A secret that a file tells of."""
    source = {"path_config_source": {"path": names.certificate_file(places.run_dir, name)}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _by_server(name: str) -> Plain:
    asked = {"envoy_grpc": {"cluster_name": names.SDS_CLUSTER}}
    source = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [asked]}
    # However long that takes: without a certificate Envoy would listen after 15 s, say that it is ready, and close every connection.
    waiting = {"initial_fetch_timeout": "0s"}
    return {"name": name, "sds_config": {"api_config_source": source, "resource_api_version": "V3", **waiting}}
