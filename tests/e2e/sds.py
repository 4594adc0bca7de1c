"""Somebody who hands out certificates by SDS, as SPIRE's agent does: on a Unix socket, and new ones whenever there are some."""

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import CertificateValidationContext, Secret, TlsCertificate
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest, DiscoveryResponse
from envoy_data_plane.google.protobuf import Any as AnyMessage

_SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


class SecretServer:
    """Serves on a Unix socket, from `with` to its end."""

    def __init__(self, socket: Path) -> None:
        self._secrets: dict[str, Secret] = {}
        self._version = 0
        self._streams: list[queue.SimpleQueue[bytes | None]] = []
        self._server = grpc.server(ThreadPoolExecutor(16))
        handler: Any = grpc.stream_stream_rpc_method_handler(self._stream)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"StreamSecrets": handler}),))
        self._server.add_insecure_port(f"unix:{socket}")

    def put(self, name: str, *, certificate: bytes, key: bytes) -> None:
        """A certificate, which whoever has asked for it is told at once."""
        pair = TlsCertificate(certificate_chain=DataSource(inline_bytes=certificate), private_key=DataSource(inline_bytes=key))
        self._put(Secret(name=name, tls_certificate=pair))

    def trust(self, name: str, authority: bytes) -> None:
        """Who vouches for others."""
        self._put(Secret(name=name, validation_context=CertificateValidationContext(trusted_ca=DataSource(inline_bytes=authority))))

    def _put(self, secret: Secret) -> None:
        self._secrets[secret.name] = secret
        self._version += 1
        for waiting in self._streams:
            waiting.put(b"")

    def _stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        news: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._streams.append(news)

        def hear() -> None:
            try:
                for request in requests:
                    news.put(request)
            except grpc.RpcError:
                news.put(None)

        with ThreadPoolExecutor(1) as listening:
            listening.submit(hear)
            wanted: list[str] = []
            while (heard := news.get()) is not None:
                asked: Any = DiscoveryRequest.parse(heard) if heard else None
                wanted = list(asked.resource_names) if asked is not None else wanted
                if wanted and (asked is None or not asked.response_nonce):
                    found = [AnyMessage.pack(self._secrets[name]) for name in wanted]
                    version = str(self._version)
                    yield bytes(DiscoveryResponse(version_info=version, nonce=version, type_url=_TYPE, resources=found))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for waiting in self._streams:
            waiting.put(None)
        self._server.stop(0).wait(5)
