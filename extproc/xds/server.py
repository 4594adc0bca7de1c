"""The control plane's gRPC server. `grpc.aio` with raw bytes: nodes are few, and say little."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from extproc.config.fleet import Fleet, FleetTls
from extproc.wire import discovery_pb2 as wire
from extproc.xds.delta import DeltaStream
from extproc.xds.messages import Answer
from extproc.xds.nodes import Node
from extproc.xds.plane import Live, Plane
from extproc.xds.sotw import WholeStream
from extproc.xds.wire import DELTA, WHOLE, answer, ask, delta_answer, delta_ask, node

_MOST_WAITING = 256
"""Answers that wait for one node: who asks and does not read is cut off."""
_LONGEST = 4 * 1024 * 1024
_STREAMS = 8
"""Of one connection. Envoy has one."""
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", _STREAMS),
    ("grpc.max_receive_message_length", _LONGEST),
    ("grpc.max_send_message_length", -1),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # A node that has vanished is to be known for gone.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.http2.max_ping_strikes", 0),
]

_log = logging.getLogger(__name__)


class Server:
    """Serves one control plane."""

    def __init__(self, plane: Plane, fleet: Fleet) -> None:
        self._plane = plane
        self._fleet = fleet
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Handlers({WHOLE: self._whole, DELTA: self._delta}),))

    async def start(self) -> None:
        """Listens. Raises `OSError` where it cannot."""
        address = f"[{self._fleet.address}]" if ":" in self._fleet.address else self._fleet.address
        where, tls = f"{address}:{self._fleet.port}", self._fleet.tls
        try:
            bound = self._server.add_secure_port(where, _credentials(tls)) if tls is not None else self._server.add_insecure_port(where)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {where}: {error}") from None
        if not bound:
            raise OSError(f"cannot listen on {where}")
        await self._server.start()

    async def stop(self) -> None:
        """Ends all streams at once: nodes keep what they have, and come back."""
        await self._server.stop(0)

    async def _whole(self, _: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        stream = WholeStream(self._fleet.linger)

        def receive(live: Live | None, message: bytes) -> Node | None:
            request = wire.DiscoveryRequest.FromString(message)
            if live is None:
                return node(request.node)
            if (asked := ask(request)) is not None:
                self._plane.receive(live, asked)
            return None

        await self._serve(context, stream, receive, answer)

    async def _delta(self, _: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        stream = DeltaStream(self._fleet.linger)

        def receive(live: Live | None, message: bytes) -> Node | None:
            request = wire.DeltaDiscoveryRequest.FromString(message)
            if live is None:
                return node(request.node)
            if (asked := delta_ask(request)) is not None:
                self._plane.receive(live, asked)
            return None

        await self._serve(context, stream, receive, delta_answer)

    async def _serve(
        self,
        context: "grpc.aio.ServicerContext[bytes, bytes]",
        stream: WholeStream | DeltaStream,
        receive: Callable[[Live | None, bytes], Node | None],
        encode: Callable[[Answer], bytes],
    ) -> None:
        """One stream, from its first request to its end. `receive` says, of the first one, whose it is."""
        waiting: asyncio.Queue[Answer] = asyncio.Queue(_MOST_WAITING)
        task = asyncio.current_task()
        assert task is not None

        def say(answers: Iterable[Answer]) -> None:
            for one in answers:
                try:
                    waiting.put_nowait(one)
                except asyncio.QueueFull:
                    _log.warning("a node does not read what it is told, and is cut off")
                    task.cancel()

        async def write() -> None:
            while True:
                await context.write(encode(await waiting.get()))

        live: Live | None = None
        writing = asyncio.get_running_loop().create_task(write())
        # Who cannot be told anything is not listened to either.
        writing.add_done_callback(lambda done: None if done.cancelled() else task.cancel())
        try:
            while isinstance(message := await context.read(), bytes):
                if live is None:
                    came = receive(None, message)
                    assert came is not None
                    live = self._admit(came, context, stream, say)
                receive(live, message)
        except (ValueError, DecodeError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except PermissionError as error:
            _log.warning("%s: %s", context.peer(), error)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if live is not None:
                self._plane.disconnect(live)

    def _admit(
        self, came: Node, context: "grpc.aio.ServicerContext[bytes, bytes]", stream: WholeStream | DeltaStream, say: Callable[..., None]
    ) -> Live:
        """Raises `PermissionError` where it is not who it says."""
        names = _names(context)
        tls = self._fleet.tls
        if tls is not None and not tls.any_name and not any(covers(name, came.id) for name in names):
            raise PermissionError(f"the certificate of {', '.join(names) or 'nobody'} is none of the node {came.id}'s")
        came.address = context.peer().removeprefix("ipv4:").removeprefix("ipv6:").replace("%5B", "[").replace("%5D", "]")
        came.certificate = ", ".join(names)
        came.protocol = "delta" if isinstance(stream, DeltaStream) else "sotw"
        return self._plane.connect(came, stream, say)


def covers(name: str, node: str) -> bool:
    """Whether a name in a certificate stands for a node: it is its id, or `*.example` and the id ends so."""
    if name.startswith("*."):
        return node.endswith(name[1:]) and len(node) >= len(name)
    return name == node


def _names(context: "grpc.aio.ServicerContext[bytes, bytes]") -> list[str]:
    """Those in a node's certificate. Where there are alternative names, the common name is none (RFC 9525, section 2)."""
    found = context.auth_context()
    told = found.get("x509_subject_alternative_name") or found.get("x509_common_name") or ()
    return [name.decode(errors="replace") for name in told]


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, methods: "dict[str, Callable[[object, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[None]]]") -> None:
        self._methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.stream_stream_rpc_method_handler(method) for name, method in methods.items()
        }

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        return self._methods.get(details.method)


def _credentials(tls: FleetTls) -> grpc.ServerCredentials:
    """Read again for a handshake when the files have changed."""
    read = [_read(tls)]

    def fetch() -> grpc.ServerCertificateConfiguration:
        try:
            read[0] = _read(tls)
        except OSError as error:  # ssl.SSLError is one
            _log.warning("the certificates of the control plane cannot be read, and those before stay in force: %s", error)
        return _configured(read[0])

    return grpc.dynamic_ssl_server_credentials(_configured(read[0]), fetch, require_client_authentication=True)


def _read(tls: FleetTls) -> tuple[bytes, bytes, bytes]:
    # A certificate without its key is no certificate: they are replaced one after the other.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
    return Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes(), Path(tls.client_ca).read_bytes()


def _configured(read: tuple[bytes, bytes, bytes]) -> grpc.ServerCertificateConfiguration:
    key, certificate, authority = read
    return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority)
