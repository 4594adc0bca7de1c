"""Three gateways are replaced one after another under load, as a Deployment does: no request fails, and no answer is cut."""

import asyncio
import itertools
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.balancer import Balancer, Replica
from tests.e2e.books import entries
from tests.e2e.crowd import Client, Provider
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.ports import free_port
from tests.e2e.test_many_streams import until
from tests.e2e.upstream import Demo

REPLICAS = 3
DELAY = 5.0
"""Of which the lag of the addresses takes a tenth: the rest is for a machine that is busy."""
PATIENCE = 60.0
"""Seconds that what is under way is given, and that a request may take."""
STREAMS_EACH = 20
CALLERS = 3


def settings(crowd: int, demo: Demo) -> dict[str, Any]:
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"http://127.0.0.1:{crowd}/v1", "key": "sk-provider"},
            "d": {"dialect": "openai", "base_url": f"{demo.url}/v1", "key": "sk-provider-d"},
        },
        "models": [{"name": "long", "targets": ["o"]}, {"name": "short", "targets": ["d/demo"]}],
        "drain_delay": DELAY,
        "drain": PATIENCE,
    }


class Caller(threading.Thread):
    """Short requests one after another, until it is over; on one connection as long as that is kept, or on a new one each."""

    def __init__(self, url: str, *, keeps: bool) -> None:
        super().__init__(daemon=True)
        self.ids: list[str] = []
        self.failed: list[str] = []
        self.over = threading.Event()
        self._url = url
        self._kept = httpx.Limits(max_keepalive_connections=1 if keeps else 0)
        self.start()

    def run(self) -> None:
        asked: list[tuple[str, dict[str, Any]]] = [
            ("/v1/chat/completions", chat("Hello", "short")),
            ("/v1/chat/completions", chat("Hello [demo: tokens=3 gap=0.02]", "short", stream=True)),
            ("/v1/messages", message("Hello", "short")),
        ]
        with httpx.Client(base_url=self._url, timeout=PATIENCE, verify=False, limits=self._kept) as client:
            for path, body in itertools.cycle(asked):
                if self.over.wait(0.05):
                    return
                try:
                    answer = client.post(path, json=body)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                self.ids.append(answer.headers["x-request-id"])
                if answer.status_code != 200 or (body.get("stream") and "[DONE]" not in answer.text):
                    self.failed.append(f"{answer.status_code} {answer.text[:200]}")


@pytest.mark.timeout(300)  # alone it takes twenty seconds
def test_no_request_is_lost(tmp_path: Path, openai_provider: Demo) -> None:
    asyncio.run(rolled(tmp_path, openai_provider))


async def rolled(tmp_path: Path, demo: Demo) -> None:
    provider, balancer, port, front = Provider(), Balancer(), free_port(), free_port()
    await provider.start(port)
    await balancer.start(front)
    replicas: list[Replica] = []
    streams: list[Client] = []
    callers: list[Caller] = []
    try:
        for _ in range(REPLICAS):
            await begin(tmp_path, settings(port, demo), balancer, replicas)
        # In turn, so these are with each, and outlive what is done to it.
        for _ in range(REPLICAS):
            await stream(front, streams)
        callers += [Caller(f"http://127.0.0.1:{front}", keeps=keeps) for keeps in (True, False) for _ in range(CALLERS)]
        olds = replicas[:REPLICAS]
        for replica in olds:
            await begin(tmp_path, settings(port, demo), balancer, replicas)
            await replica.end()
            await stream(front, streams)
        for replica in olds:
            await asyncio.to_thread(replica.until_closed)
        provider.release()
        await until(lambda: sum(client.whole for client in streams), len(streams) * STREAMS_EACH, streams)
        ended = await asyncio.gather(*(asyncio.to_thread(replica.gateway.wait) for replica in olds))
        assert ended == [0] * REPLICAS
        await asyncio.to_thread(check, callers, replicas, len(streams) * STREAMS_EACH)
        assert all(balancer.given[replica.gateway.port] > 1 for replica in replicas), "each has had callers"
    finally:
        for caller in callers:
            caller.over.set()
        await asyncio.gather(*(asyncio.to_thread(replica.stop) for replica in replicas))
        await balancer.close()
        provider.close()


def check(callers: list[Caller], replicas: list[Replica], long: int) -> None:
    """Nobody has met a failure, and the ledgers have each request, once."""
    for caller in callers:
        caller.over.set()
        caller.join(PATIENCE)
        assert not caller.is_alive()
        assert caller.failed == []
        assert len(caller.ids) > 20
    asked = {id for caller in callers for id in caller.ids}
    replicas[-1].gateway.until(
        lambda: sum(len(entries(replica.gateway)) for replica in replicas) >= len(asked) + long, "all is in the ledgers"
    )
    found = [entries(replica.gateway) for replica in replicas]
    assert sum(map(len, found)) == len({id for each in found for id in each}) == len(asked) + long
    assert asked <= {id for each in found for id in each}
    assert {entry["outcome"] for each in found for entry in each.values()} == {"complete"}


async def begin(tmp_path: Path, config: dict[str, Any], balancer: Balancer, replicas: list[Replica]) -> None:
    folder = tmp_path / str(len(replicas))
    folder.mkdir()
    replica = Replica(Gateway(folder, config), balancer)
    await replica.start()
    replicas.append(replica)


async def stream(front: int, streams: list[Client]) -> None:
    """Long streams on a connection of HTTP/2."""
    streams.append(Client(f"127.0.0.1:{front}", "long", STREAMS_EACH))
    await asyncio.get_running_loop().create_connection(lambda: streams[-1], "127.0.0.1", front)
    await until(lambda: sum(client.begun for client in streams), len(streams) * STREAMS_EACH, streams)
