"""The listener, and what its HTTP connection manager does to every request before and after the gate."""

from datetime import timedelta
from ipaddress import ip_network

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    ApiVersion,
    CidrRange,
    ConfigSource,
    DataSource,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    PathConfigSource,
    Pipe,
    SchemeHeaderTransformation,
    SocketAddress,
    SubstitutionFormatString,
    WatchedDirectory,
)
from envoy_data_plane.envoy.config.listener.v3 import (
    AdditionalAddress,
    FilterChainMatch,
    Listener,
    ListenerConnectionBalanceConfig,
    ListenerConnectionBalanceConfigExactBalance,
)
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import FilterStateValue
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config as SetFilterState
from envoy_data_plane.envoy.extensions.filters.listener.proxy_protocol.v3 import ProxyProtocol
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerForwardClientCertDetails,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpConnectionManagerSetCurrentClientCertDetails,
    HttpConnectionManagerUpgradeConfig,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import HeaderMutation as EarlyHeaderMutation
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import DownstreamTlsContext
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.access_log import ATTEMPT, REQUEST, access_log, failed, people_log
from extproc.envoy.buffers import buffered
from extproc.envoy.certificates import server_context
from extproc.envoy.chains import version
from extproc.envoy.filters import gate, upstream_filters
from extproc.envoy.fragments import manager_parts, their_filters, theirs
from extproc.envoy.http3 import offer, quic_listener
from extproc.envoy.jwt import token_filter, vouches
from extproc.envoy.local_reply import local_reply_config
from extproc.envoy.message import Plain, extension, plain, typed
from extproc.envoy.places import Places
from extproc.envoy.routes import route_configuration
from extproc.envoy.trailers import trailers_filter


def listeners(config: Config, places: Places, *, address: str, files: bool) -> list[Plain]:
    """All that there are. `files`: their routes come from a file that Envoy watches."""
    found = [listener(config, places, address=address, files=files)]
    if config.listener.http3 and config.listener.tls is not None:
        found.append(quic_listener(found[0], config.listener.tls, places))
    if config.mirrors:
        found.append(mirrors_listener(config, places, files=files))
    return found


def listener(config: Config, places: Places, *, address: str, files: bool) -> Plain:
    """The callers' listener."""
    message = Listener(
        name="headgate",
        address=_address(address, config.listener.port),
        additional_addresses=[AdditionalAddress(address=_address(*place)) for place in config.listener.places[1:]],
        # A second Envoy on the port must fail, not share it. What reuse_port is for, even threads, exact balance does better.
        enable_reuse_port=False,
        # The end of an answer waits for the adapter. If a slow client's buffer fills up in that very moment, Envoy tells an upstream
        # connection to pause that is no more, and crashes (tried on 1.40); so it has to be larger than any answer;
        # than streams, too, which `limits.response_body` does not bound.
        per_connection_buffer_limit_bytes=buffered(config),
        connection_balance_config=ListenerConnectionBalanceConfig(exact_balance=ListenerConnectionBalanceConfigExactBalance()),
    )
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": _manager(config, places, files)}
    chain: Plain = {"filters": [manager]}
    before: Plain = {}
    if config.listener.proxy_protocol:
        # Who is connected in truth, not whom he speaks for. Nobody else finds a chain of filters, and his connection is closed.
        chain["filter_chain_match"] = plain(FilterChainMatch(direct_source_prefix_ranges=list(map(_range, config.listener.proxy_protocol))))
        before = {"listener_filters": [extension("envoy.filters.listener.proxy_protocol", ProxyProtocol())]}
    if config.listener.tls is not None:
        context = typed(DownstreamTlsContext(), **server_context(config.listener.tls, places))
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return plain(message, **before, filter_chains=[chain])


def _address(address: str, port: int) -> Address:
    # `::` is all addresses of both families: without that, Linux gives Envoy those of IPv6 alone.
    return Address(socket_address=SocketAddress(address=address, port_value=port, ipv4_compat=address == "::"))


def _range(text: str) -> CidrRange:
    network = ip_network(text)
    return CidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen)


def mirrors_listener(config: Config, places: Places, *, files: bool) -> Plain:
    """The listener for copies of requests that workers send: the same gate and routes, on a socket that only this user can reach."""
    pipe = Pipe(path=names.mirror_socket(places.run_dir), mode=0o600)
    message = Listener(
        name=names.MIRRORS, address=Address(pipe=pipe), per_connection_buffer_limit_bytes=buffered(config), enable_reuse_port=False
    )
    parts = _manager(config, places, files)
    parts["stat_prefix"] = names.MIRRORS
    # People have asked for none of these; the ledger knows of them.
    del parts["access_log"][1:]
    parts["http_filters"] = [
        gate(mirrors=True) if one["name"] == names.GATE_FILTER else one
        for one in parts["http_filters"]
        if one["name"] not in {names.TOKEN_FILTER, *their_filters(config)}
    ]
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": parts}
    return plain(message, filter_chains=[{"name": names.MIRRORS, "filters": [manager]}])


def connection_manager_parts(config: Config, places: Places) -> Plain:
    """The fields that any HTTP connection manager needs in order to carry the gate."""
    return {
        "generate_request_id": True,
        "always_set_request_id_in_response": True,
        "early_header_mutation_extensions": [_early()],
        "upgrade_configs": [plain(HttpConnectionManagerUpgradeConfig(upgrade_type="websocket"))],
        "local_reply_config": local_reply_config(config),
        "access_log": [access_log(places.access_log, REQUEST), *people_log(config), *theirs(config, "access_logs")],
        **manager_parts(config),
        "http_filters": [
            _path(),
            *theirs(config, "http_filters", "before_gate"),
            trailers_filter(),
            *token_filter(config),
            gate(vouches=vouches(config)),
            *theirs(config, "http_filters", "after_gate"),
        ],
    }


def _manager(config: Config, places: Places, files: bool) -> Plain:
    message = HttpConnectionManager(
        stat_prefix="headgate",
        server_name="headgate",
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.OVERWRITE,
        use_remote_address=True,
        normalize_path=True,
        merge_slashes=True,
        # Model names may hold an escaped slash; no route depends on the path.
        path_with_escaped_slashes_action=HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED,
        common_http_protocol_options=HttpProtocolOptions(
            headers_with_underscores_action=HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST
        ),
        max_request_headers_kb=config.limits.request_headers,
        request_headers_timeout=timedelta(seconds=30),
        # Until a route with a provider's own silence is chosen: a client that stops in mid-request.
        stream_idle_timeout=timedelta(minutes=5),
        # HTTP/2 providers refuse a :scheme that is not their connection's.
        scheme_header_transformation=SchemeHeaderTransformation(match_upstream=True),
    )
    _take_certificates(message, config)
    document = typed(message, **connection_manager_parts(config, places))
    document["http_filters"] = [*offer(config.listener), *document["http_filters"], _router(config, places)]
    if files:
        document["rds"] = {"route_config_name": names.ROUTES, "config_source": watched(names.routes_file(places.run_dir), places)}
    else:
        document["route_config"] = route_configuration(config)
    return document


def _take_certificates(message: HttpConnectionManager, config: Config) -> None:
    """What becomes of `x-forwarded-client-cert`, which is taken off unless said otherwise."""
    if not config.certified:
        return
    trusted, tls = config.callers.mesh is not None and config.callers.mesh.trusted, config.listener.tls
    if tls is None or not tls.checks:
        # Whoever is in front has checked certificates, not this listener.
        message.forward_client_cert_details = HttpConnectionManagerForwardClientCertDetails.ALWAYS_FORWARD_ONLY
        return
    kind = HttpConnectionManagerForwardClientCertDetails
    message.forward_client_cert_details = kind.APPEND_FORWARD if trusted else kind.SANITIZE_SET
    message.set_current_client_cert_details = HttpConnectionManagerSetCurrentClientCertDetails(uri=True, dns=True)


def watched(path: str, places: Places) -> Plain:
    """A source of configuration: a file that is replaced by renaming another one to it."""
    file = PathConfigSource(path=path, watched_directory=WatchedDirectory(path=places.run_dir))
    return plain(ConfigSource(path_config_source=file, resource_api_version=ApiVersion.V3))


def _early() -> Plain:
    # Before Envoy makes the request id and reads x-envoy-*: the ledger counts by that id, and a caller commands no timeouts or retries,
    # and chooses no cluster.
    theirs = HeaderMutationRemoveOnMatch(key_matcher=StringMatcher(prefix="x-envoy-", ignore_case=True))
    mutations = [
        HeaderMutation(remove="x-request-id"),
        HeaderMutation(remove=names.CLUSTER_HEADER),
        HeaderMutation(remove_on_match=theirs),
    ]
    return extension("envoy.http.early_header_mutation.header_mutation", EarlyHeaderMutation(mutations=mutations))


def _path() -> Plain:
    form = SubstitutionFormatString(text_format_source=DataSource(inline_string="%PATH(NQ:PATH)%"))
    value = FilterStateValue(object_key=names.PATH_STATE, factory_key="envoy.string", format_string=form)
    return extension("envoy.filters.http.set_filter_state", SetFilterState(on_request_headers=[value]))


def _router(config: Config, places: Places) -> Plain:
    router = Router(suppress_envoy_headers=True)
    return extension(
        "envoy.filters.http.router",
        router,
        upstream_log=[{**access_log(places.attempts_log, ATTEMPT), "filter": failed()}],
        upstream_http_filters=upstream_filters(*theirs(config, "http_filters", "upstream"), version=version(config)),
    )
