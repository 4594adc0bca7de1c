"""The transport on grpcio: `grpc.aio` with raw bytes and no (de)serialisers. It costs some ten times what the native one does.

It keeps the native one's limits where grpcio has a name for them: streams of a connection, bytes of a message, the time for a greeting,
and how soon a host that has vanished is found out. Windows, headers and floods are bounded as grpcio sees fit; how many connections
there are, and what they hold in all, is not bounded.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import grpc

from extproc.drive import Waiting
from extproc.transport.endings import Endings
from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Methods, Opener, Refused, Replies, Session, Speaker
from extproc.transport.tls import Tls

_LIMITS = Limits()

_STATUSES = {code.value[0]: code for code in grpc.StatusCode}


def _options(limits: Limits, *, shared: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_concurrent_streams", limits.streams),
        # gRPC's 4 MiB default would refuse buffered bodies that Envoy's own limit has let in. -1 is without limit.
        ("grpc.max_receive_message_length", limits.message),
        ("grpc.max_send_message_length", -1),
        # Of TLS and of HTTP/2 together.
        ("grpc.server_handshake_timeout_ms", int(limits.handshake * 1000)),
        # Pings, also on a Unix socket: grpcio has no way to ask for TCP's own keepalive.
        ("grpc.keepalive_time_ms", 15_000),
        ("grpc.keepalive_timeout_ms", 15_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]


async def _unasked(writing: Coroutine[None, None, None]) -> None:
    """What a session says by itself: in vain, where its stream has ended meanwhile, which grpcio tells by errors of several kinds."""
    with contextlib.suppress(Exception):
        await writing


def _process(open_session: Opener, endings: Endings) -> Callable[[object, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[None]]:
    async def process(_: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        session: Session | None = None
        # One writes at a time, in the order in which they came.
        turn = asyncio.Lock()

        async def write(replies: Replies) -> None:
            async with turn:
                for reply in replies:
                    await context.write(reply)

        def say(replies: Replies) -> None:
            if session is not None:
                endings.own(asyncio.get_running_loop().create_task(_unasked(write(replies))))

        task = asyncio.current_task()
        assert task is not None
        endings.own(task)
        try:
            # `EOF` is an object of its own type, which the stubs do not say of `read`.
            while isinstance(message := await context.read(), bytes):
                if session is None:
                    session = open_session()
                    if isinstance(session, Speaker):
                        session.say = say
                replies = session.receive(message)
                await write(await replies if isinstance(replies, Waiting) else replies)
        except Refused as refused:
            await context.abort(_STATUSES[refused.status], refused.text)
        # The session has told what it was; Envoy, which puts our words into its log, is told no more than this.
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                # The stream was cancelled, and not only what the session waited for.
                raise
            await context.abort(grpc.StatusCode.INTERNAL, "broken off")
        finally:
            if session is not None:
                ended, session = session, None
                endings.close(ended)

    return process


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, methods: Methods, endings: Endings) -> None:
        # A call with one message each way is a stream of one.
        self._methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.stream_stream_rpc_method_handler(_process(opener, endings)) for name, opener in methods.items()
        }

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        return self._methods.get(details.method)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
    trusted = Path(tls.client_ca).read_bytes() if tls.client_ca else None
    return grpc.ssl_server_credentials([pair], root_certificates=trusted, require_client_auth=trusted is not None)


class Server:
    """A gRPC server on one address."""

    def __init__(
        self, address: str, methods: Methods, *, tls: Tls | None = None, shared: bool = False, limits: Limits = _LIMITS
    ) -> None:  # fmt: skip
        """`address`: `unix:/path`, `127.0.0.1:50051`, `[::1]:50051`. `shared`: other processes may listen on the same port.

        Of the limits, those hold that are named above.
        """
        self._server = grpc.aio.server(options=_options(limits, shared=shared))
        self._endings = Endings()
        self._server.add_generic_rpc_handlers((_Handlers(methods, self._endings),))
        self._address = address
        self._credentials = _credentials(tls) if tls is not None else None

    @property
    def handshakes_failed(self) -> int:
        """See `seam.Server`. grpcio tells nobody."""
        return 0

    def late(self) -> float:
        """See `seam.Server`. grpcio has threads of its own that read, and what waits with them it tells nobody."""
        return 0.0

    async def start(self) -> None:
        """See `seam.Server`."""
        address, credentials = self._address, self._credentials
        try:
            port = self._server.add_secure_port(address, credentials) if credentials else self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None
        if port == 0 and not address.startswith("unix:"):
            raise OSError(f"cannot listen on {address}")
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """See `seam.Server`."""
        await self._server.stop(grace)
        await self._endings.wait()
