"""The transport on grpcio: `grpc.aio` with raw bytes, no (de)serialisers, one method."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import grpc

from extproc.drive import Waiting
from extproc.transport.seam import Opener

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"

# -1 is without limit: gRPC's 4 MiB default would refuse buffered bodies that Envoy's own limit has let in.
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.max_ping_strikes", 0),
]

_log = logging.getLogger(__name__)
_endings: set[asyncio.Task[None]] = set()


def _process(open_session: Opener) -> Callable[[object, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[None]]:
    async def process(_: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        session = open_session()
        try:
            # `EOF` is an object of its own type, which the stubs do not say of `read`.
            while isinstance(message := await context.read(), bytes):
                replies = session.receive(message)
                for reply in await replies if isinstance(replies, Waiting) else replies:
                    await context.write(reply)
        except Exception:  # noqa: BLE001 - the session has told what it was; Envoy, which puts our words into its log, is told no more than this
            await context.abort(grpc.StatusCode.INTERNAL, "broken off")
        finally:
            # This task may be cancelled already (a hang-up cancels the RPC), so what is left has a task of its own.
            if (rest := session.close()) is not None:
                _finish(rest)

    return process


def _finish(rest: Waiting[None]) -> None:
    async def ending() -> None:
        try:
            await rest
        except Exception:  # noqa: BLE001 - the exchange is over: there is nobody left to answer, so a bug in its ending can only be told
            _log.exception("the end of an exchange failed")

    task = asyncio.get_running_loop().create_task(ending())
    _endings.add(task)
    task.add_done_callback(_endings.discard)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, open_session: Opener) -> None:
        self._method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(_process(open_session))

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        return self._method if details.method == f"/{SERVICE}/Process" else None


class Server:
    """An ext_proc server on one address."""

    def __init__(self, address: str, open_session: Opener) -> None:
        """`address` as gRPC spells it: `unix:/path`, `127.0.0.1:50051`."""
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Handlers(open_session),))
        if self._server.add_insecure_port(address) == 0 and not address.startswith("unix:"):
            raise OSError(f"cannot listen on {address}")

    async def start(self) -> None:
        """Begins to take streams."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Takes no new streams, gives those under way `grace` seconds, and waits for their endings."""
        await self._server.stop(grace)
        if _endings:
            await asyncio.wait(_endings, timeout=grace)
