"""What a socket of the workers says of their health, and whether it says more than that."""

import grpc

from extproc.envoy import names
from extproc.transport.health import CHECK

SERVING = b"\x08\x01"
"""`HealthCheckResponse`, encoded."""


def ask(target: str, credentials: grpc.ChannelCredentials | None = None, service: str = "") -> bytes:
    """What `grpc.health.v1` answers at a gRPC target. Raises `grpc.RpcError`."""
    name = service.encode()
    options = [("grpc.use_local_subchannel_pool", 1)]
    made = grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
    with made as channel:
        answer: bytes = channel.unary_unary(CHECK, bytes, bytes)(b"\x0a%c%s" % (len(name), name) if name else b"", timeout=10)
    return answer


def process(target: str) -> grpc.StatusCode:
    """How a call of the gate's or the adapter's ends that says nothing."""
    with grpc.insecure_channel(target) as channel:
        try:
            next(channel.stream_stream(names.PROCESS, bytes, bytes)(iter([b""])))
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK
