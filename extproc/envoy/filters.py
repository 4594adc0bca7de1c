"""The two ext_proc filters: the gate, once a request, and the adapter, once an attempt."""

from datetime import timedelta

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import BackoffStrategy, GrpcService, GrpcServiceEnvoyGrpc, RetryPolicy
from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ExtProcOverrides,
    ExtProcPerRoute,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec

from extproc.envoy import names
from extproc.envoy.chains import FULL
from extproc.envoy.message import Plain, extension, typed

SEND, SKIP = ProcessingModeHeaderSendMode.SEND, ProcessingModeHeaderSendMode.SKIP
NONE, STREAMED, BUFFERED = ProcessingModeBodySendMode.NONE, ProcessingModeBodySendMode.STREAMED, ProcessingModeBodySendMode.BUFFERED

GATE_PATIENCE = timedelta(seconds=30)
"""Longest wait for a reply of the gate's: requests for the same answer wait for the first of them there."""
ADAPTER_PATIENCE = timedelta(hours=1)
"""The same for the adapter, which withholds replies until a provider speaks. The provider's own timeouts are what counts."""

# Bridges a worker's restart: with 40 retries and full jitter, about 4 seconds. Envoy's own back-off here would be 1 to 10 seconds.
_RETRY = RetryPolicy(
    retry_back_off=BackoffStrategy(base_interval=timedelta(milliseconds=25), max_interval=timedelta(milliseconds=250)),
    num_retries=40,
    retry_on="connect-failure,refused-stream,unavailable,reset",
)
_LENGTH_ALLOWED = (1, 38)
"""The version that has `allow_content_length_header`."""
_RULES = HeaderMutationRules(allow_all_routing=True, allow_envoy=True)


def _service(cluster: str) -> GrpcService:
    # No timeout: a stream lives as long as its answer. The retry policy works here only, not within envoy_grpc.
    return GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=cluster), timeout=timedelta(0), retry_policy=_RETRY)


def _metadata(*, forwarded: list[str], received: list[str]) -> MetadataOptions:
    return MetadataOptions(
        forwarding_namespaces=MetadataOptionsMetadataNamespaces(untyped=forwarded),
        receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=received),
    )


def _mode(request_body: ProcessingModeBodySendMode) -> ProcessingMode:
    # The response's headers are asked for by the gate's first reply: were they configured, replies to what is no request (431, 400)
    # would go through the gate too, and Envoy closes such connections without waiting for it.
    return ProcessingMode(
        request_header_mode=SEND,
        request_body_mode=request_body,
        response_header_mode=SKIP,
        response_body_mode=NONE,
        request_trailer_mode=SKIP,
        response_trailer_mode=SKIP,
    )


def gate(*, mirrors: bool = False, vouches: bool = False) -> Plain:
    """The gate, an HTTP filter before the router. Fails closed. `mirrors`: on the listener of copied requests. `vouches`: it is told
    what Envoy has found in tokens.
    """
    processor = ExternalProcessor(
        grpc_service=_service(names.GATE_CLUSTER),
        stat_prefix="gate",
        processing_mode=_mode(BUFFERED),
        allow_mode_override=True,
        message_timeout=GATE_PATIENCE,
        mutation_rules=_RULES,
        request_attributes=[names.FILTER_CHAIN_ATTRIBUTE] if mirrors else [],
        response_attributes=[names.CLUSTER_ATTRIBUTE, names.ATTEMPT_ATTRIBUTE, names.DETAILS_ATTRIBUTE],
        # Not its own namespace: the gate knows what it said, and would get it back with every chunk.
        metadata_options=_metadata(
            forwarded=[names.USE_NAMESPACE, *([names.JWT_NAMESPACE] if vouches else [])],
            received=[names.NAMESPACE, names.TARGETS_NAMESPACE],
        ),
    )
    return extension(names.GATE_FILTER, processor)


def unbuffered() -> Plain:
    """A route's `typed_per_filter_config`: the gate does not read the body.

    It cannot wait for the gate to say so: while a body is to be buffered, one beyond the limit is 413 whatever the gate says later.
    """
    return {names.GATE_FILTER: typed(ExtProcPerRoute(overrides=ExtProcOverrides(processing_mode=_mode(NONE))))}


def adapter(version: tuple[int, int] = FULL) -> Plain:
    """The adapter, an upstream HTTP filter. Off, but where a route switches it on (`adapted`). `version`: of Envoy."""
    processor = ExternalProcessor(
        grpc_service=_service(names.ADAPTER_CLUSTER),
        stat_prefix="adapter",
        processing_mode=ProcessingMode(
            request_header_mode=SEND,
            request_body_mode=BUFFERED,
            response_header_mode=SEND,
            # `FULL_DUPLEX_STREAMED` would hold no provider back, however far behind a worker is.
            response_body_mode=STREAMED,
            request_trailer_mode=SKIP,
            response_trailer_mode=SEND if version >= FULL else SKIP,
        ),
        message_timeout=ADAPTER_PATIENCE,
        mutation_rules=_RULES,
        request_attributes=[names.CLUSTER_ATTRIBUTE, names.ATTEMPT_ATTRIBUTE, *([names.AT_ATTRIBUTE] if version < FULL else [])],
        # What follows a failed attempt may be others than the gate had said.
        metadata_options=_metadata(forwarded=[names.NAMESPACE], received=[names.USE_NAMESPACE, names.NAMESPACE, names.TARGETS_NAMESPACE]),
        # Headers that are withheld until the first event can still become an error, and be retried.
        send_body_without_waiting_for_header_response=True,
        # Where it is not known, a whole answer of several targets has no content-length.
        allow_content_length_header=version >= _LENGTH_ALLOWED,
    )
    # A filter that is off is never made; one that is there and skipped costs each request as much as a small filter does.
    return {**extension(names.ADAPTER_FILTER, processor), "disabled": True}


def adapted() -> Plain:
    """A route's `typed_per_filter_config`: attempts go through the adapter."""
    return {names.ADAPTER_FILTER: typed(FilterConfig(), config={})}


def upstream_filters(*after: Plain, clean: Plain | None = None, version: tuple[int, int] = FULL) -> list[Plain]:
    """The upstream filter chain; its last filter is always the codec. `after`: filters for what the attempt has made of the request;
    `clean`: one before it.
    """
    codec = extension("envoy.filters.http.upstream_codec", UpstreamCodec())
    return [*([clean] if clean is not None else []), adapter(version), *after, codec]
