"""An ext_proc server that says "go on" to everything: what a transport costs by itself.

    python -m bench.noop native unix:/tmp/gate.sock

No message is decoded; its first byte, the tag of the oneof, says what it is about, and the reply is a constant.
"""

import asyncio
import importlib
import signal
import sys

import uvloop

from extproc.drive import Waiting
from extproc.envoy import names
from extproc.transport.seam import Replies
from extproc.wire.encode import tag
from extproc.wire.outgoing import GO_ON

TRANSPORTS = {"grpcio": "extproc.transport.grpcio", "native": "extproc.transport.native"}
"""The module of each transport; its `Server` takes an address and the methods that are served."""

_REPLIES: dict[int, Replies] = {tag(part)[0]: [reply] for part, reply in GO_ON.items()}


class Session:
    """One stream: one request."""

    __slots__ = ()

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        """The constant for this kind of message."""
        return _REPLIES[message[0]]

    def close(self) -> Waiting[None] | None:
        """Nothing is left to do."""
        return None


async def serve(transport: str, address: str, stop: asyncio.Event) -> None:
    """Serves on `address` until `stop`."""
    server = importlib.import_module(TRANSPORTS[transport]).Server(address, {names.PROCESS: Session})
    await server.start()
    await stop.wait()
    await server.stop(0)


async def _main(transport: str, address: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(transport, address, stop)


def main() -> int:
    """Entry of the process."""
    transport, address = sys.argv[1:]
    uvloop.run(_main(transport, address))
    return 0


if __name__ == "__main__":
    sys.exit(main())
