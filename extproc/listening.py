"""What a worker listens on: three Unix sockets of its own, and the ports that it shares with the other workers, if an Envoy on another
host is to reach them.

A socket each for the gate, the adapter and the health check, so that nobody has to look into a stream's headers to tell them apart.
"""

from pathlib import Path

from msgspec import Struct

from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.model import Config, Transport
from extproc.config.urls import bracketed
from extproc.envoy import names
from extproc.transport.native import Server as NativeServer
from extproc.transport.seam import Methods, Server
from extproc.transport.tls import Tls


class Setup(Struct, frozen=True):
    """What of the configuration a worker is told at its start, for good: one that is started again does as those beside it."""

    transport: Transport = "native"
    ext_proc: ExtProc | None = None
    drain: float = 0.0
    """Seconds that the streams it has are given when it is asked to end."""
    cache: tuple[int, int] | None = None
    """Bytes of the memory cache, and of its largest entry, for a worker that keeps it itself: the only one. None: it is shared."""


def setup_of(config: Config, cache: tuple[int, int]) -> Setup:
    """What the workers of this configuration are told. `cache`: as in `Setup`."""
    return Setup(config.transport, config.ext_proc, config.drain, cache if config.workers == 1 else None)


def tls_of(tls: ExtProcTls) -> Tls:
    """The section as a transport has it."""
    return Tls(certificate=tls.certificate, key=tls.key, client_ca=tls.client_ca or "")


def listen(setup: Setup, worker: int, run_dir: str, *, gate: Methods, adapter: Methods, health: Methods) -> list[Server]:
    """Servers, to be started in this order. Raises `OSError` for what cannot be listened on, and for certificates that cannot be read."""
    servers = []
    if (network := setup.ext_proc) is not None:
        tls = tls_of(network.tls) if network.tls is not None else None
        servers = [
            _server(setup, f"{bracketed(network.address)}:{network.gate_port}", gate, tls),
            _server(setup, f"{bracketed(network.address)}:{network.adapter_port}", adapter, tls),
            _server(setup, f"{bracketed(network.health_address or network.address)}:{network.health_port}", health, None),
        ]
    sockets = {names.gate_socket: gate, names.adapter_socket: adapter, names.health_socket: health}
    return servers + [_server(setup, f"unix:{_cleared(path(run_dir, worker))}", methods, None) for path, methods in sockets.items()]


def _server(setup: Setup, address: str, methods: Methods, tls: Tls | None) -> Server:
    if setup.transport == "grpcio":
        # Optional: only a worker that is told to use it needs it.
        from extproc.transport.grpcio import Server as GrpcioServer  # noqa: PLC0415

        return GrpcioServer(address, methods, tls=tls, shared=True)
    return NativeServer(address, methods, tls=tls, shared=True)


def _cleared(path: str) -> str:
    # What a killed worker left behind; nobody listens on it, because only one worker has this number.
    Path(path).unlink(missing_ok=True)
    return path
