"""What Envoy sends at the head of its streams to the gate: the same bytes each time, which is why they need be decoded only once.

Decoding costs as much as all the rest of a stream, and nothing else would tell if each one were decoded.
"""

import certifi
import httpx
import pytest

from extproc.envoy import names
from extproc.envoy.places import below
from extproc.transport.native import Driver, Server
from extproc.transport.seam import Replies
from extproc.wire.outgoing import answer
from tests.envoy.samples import SEVERAL
from tests.envoy.test_live import Running

STREAMS = 20


class Answered:
    """A session that answers each request at once."""

    def receive(self, message: bytes) -> Replies:
        return [answer(200, {}, b"here", details="headgate_test")]

    def close(self) -> None:
        """Nothing is left to do."""


def remembered(connection: Driver) -> set[bytes]:
    """The blocks that it knows. Whatever is not among them is decoded, and then it is."""
    return set(connection._core._blocks._known)


async def test_only_the_first_are_decoded(tmp_path_factory: pytest.TempPathFactory) -> None:
    places = below(str(tmp_path_factory.mktemp("e")), ca_file=certifi.where())
    servers = [Server(f"unix:{names.gate_socket(places.run_dir, index)}", {names.PROCESS: Answered}) for index in range(SEVERAL.workers)]
    for server in servers:
        await server.start()
    envoy = Running(places)
    try:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20, verify=False), timeout=20) as client:

            async def ask() -> None:
                for number in range(STREAMS):
                    body, headers = {"number": number}, {"x-request-id": f"r-{number}"}
                    told = await client.post(f"{envoy.url}/v1/chat/completions", json=body, headers=headers)
                    assert told.text == "here"

            await ask()
            # Envoy has others as well, which it hardly uses.
            busiest = max((one for server in servers for one in server.connections), key=lambda one: one._core._last)
            before, number = remembered(busiest), busiest._core._last
            await ask()
            after, more = remembered(busiest), (busiest._core._last - number) // 2
    finally:
        envoy.process.terminate()
        envoy.process.wait(10)
        for server in servers:
            await server.stop(0)
    # The first stream of all begins before Envoy has heard that it may have no table, and the next says that it has none, once.
    assert len(before) == 2
    assert after == before
    assert more >= STREAMS // len(servers) // 2
