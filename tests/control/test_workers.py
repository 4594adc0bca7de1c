"""Workers that hang, leave, or start where a killed gateway has left its sockets: real ones, without an Envoy."""

import asyncio
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
import yaml

from extproc.control.gateway import Gateway
from extproc.control.source import Source
from extproc.envoy import names
from extproc.transport.health import CHECK, Serving
from tests.e2e.ports import free_port

Call = grpc.aio.StreamStreamCall[bytes, bytes]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        yield Path(folder)


def made(folder: Path, *, workers: int = 1, patience: float = 3.0, drain_delay: float = 0.0) -> Gateway:
    document = {
        "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}},
        "models": [{"name": "demo", "targets": ["demo"]}],
        "admin": {"port": free_port()},
        "api": {"address": "off"},
        "workers": workers,
        "drain_delay": drain_delay,
    }
    (folder / "gateway.yaml").write_text(yaml.safe_dump(document))
    source = Source(folder / "gateway.yaml", folder / "state")
    return Gateway(source, source.load(), with_envoy=False, run_dir=folder / "run", patience=patience)


@pytest_asyncio.fixture
async def gateway(short: Path) -> AsyncIterator[Gateway]:
    """One that has a worker, and little patience with it."""
    gateway = made(short)
    await gateway.start()
    yield gateway
    await gateway.stop()


def worker(gateway: Gateway) -> int:
    (pid,) = gateway.workers.pids()
    return pid


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


async def test_one_that_hangs_is_killed_and_started_again(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    assert await gateway.missing() == []
    hung = worker(gateway)
    os.kill(hung, signal.SIGSTOP)
    await until(lambda: gateway.workers.missing() == ["worker-0"])
    await until(lambda: gateway.workers.missing() == [] and worker(gateway) != hung)
    assert f"worker-0 (pid {hung}) has said nothing for" in caplog.text
    assert "killed by SIGKILL" in caplog.text


async def test_one_that_hangs_for_a_moment_is_left_alone(gateway: Gateway) -> None:
    pid = worker(gateway)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(1.5)
    os.kill(pid, signal.SIGCONT)
    # Longer than the patience that is left.
    await asyncio.sleep(3)
    assert worker(gateway) == pid
    assert await gateway.missing() == []


async def test_we_ourselves_may_sleep(gateway: Gateway) -> None:
    pid = worker(gateway)
    # A control process that was stopped for a while: nobody has been listening.
    time.sleep(5)
    await asyncio.sleep(1.5)
    assert worker(gateway) == pid


async def test_one_that_leaves_is_relieved_at_once(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    left = worker(gateway)
    os.kill(left, signal.SIGTERM)
    await until(lambda: gateway.workers.pids() not in ([], [left]) and gateway.workers.missing() == [])
    assert f"worker-0 (pid {left}) has been asked to end" in caplog.text
    assert connects(names.gate_socket(str(gateway.run_dir), 0))


async def stream(gateway: Gateway) -> Call:
    """A stream at the gate: that it serves is told for each message, until we say that there are no more."""
    channel = grpc.aio.insecure_channel(f"unix:{names.gate_socket(str(gateway.run_dir), 0)}")
    call: Call = channel.stream_stream(CHECK)()
    assert await answer(call) == Serving.SERVING
    return call


async def answer(call: Call) -> int:
    await call.write(b"")
    reply = await call.read()
    assert isinstance(reply, bytes)
    return reply[1]


async def test_streams_of_somebody_else_s_envoy_may_end(short: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gateway = made(short)
    await gateway.start()
    call = await stream(gateway)
    stopping = asyncio.ensure_future(gateway.stop())
    await until(lambda: not connects(names.gate_socket(str(gateway.run_dir), 0)))
    # It takes what belongs to this stream, and says that it wants no others.
    assert await answer(call) == Serving.NOT_SERVING
    assert "the gateway is ending" in await gateway.missing()
    assert not stopping.done()
    await call.done_writing()
    async with asyncio.timeout(30):
        await stopping
    # It leaves because all is over.
    assert "takes its place" not in caplog.text


async def test_for_a_while_they_take_new_ones(short: Path) -> None:
    """Somebody else's Envoy learns by their health that it is to go elsewhere, and whoever has not learned yet is served."""
    gateway = made(short, drain_delay=60)
    await gateway.start()
    call = await stream(gateway)
    stopping = asyncio.ensure_future(gateway.stop())
    async with asyncio.timeout(30):
        while await answer(call) == Serving.SERVING:
            await asyncio.sleep(0.01)
    assert await gateway.missing() == ["the gateway is ending"]
    # What is asked for here is such a stream.
    assert connects(names.gate_socket(str(gateway.run_dir), 0))
    await call.done_writing()
    gateway.hurry()
    async with asyncio.timeout(30):
        await stopping


async def test_and_do_not_where_there_is_hurry(short: Path) -> None:
    gateway = made(short)
    await gateway.start()
    call = await stream(gateway)
    stopping = asyncio.ensure_future(gateway.stop())
    await until(lambda: not connects(names.gate_socket(str(gateway.run_dir), 0)))
    gateway.hurry()
    async with asyncio.timeout(30):
        await stopping
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()


async def test_sockets_that_a_killed_gateway_left_say_nothing(short: Path) -> None:
    (short / "run").mkdir()
    for path in (names.gate_socket, names.adapter_socket, names.health_socket):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path(str(short / "run"), 0))
    gateway = made(short)
    try:
        await gateway.start()
        # Not some time later.
        for path in (names.gate_socket, names.adapter_socket, names.health_socket):
            assert connects(path(str(gateway.run_dir), 0))
    finally:
        await gateway.stop()


async def test_it_says_who_is_missing(short: Path) -> None:
    gateway = made(short, workers=2)
    assert await gateway.missing() == ["worker-0", "worker-1"]
    await gateway.start()
    assert await gateway.missing() == []
    await gateway.stop()
    assert await gateway.missing() == ["worker-0", "worker-1", "the gateway is ending"]


async def test_at_a_node_of_a_fleet_nobody_is_sent_to_do_what_the_control_plane_does(short: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gateway = made(short)
    path = short / "gateway.yaml"
    document = {**yaml.safe_load(path.read_text()), "fleet": {}}
    more = {"listener": {"port": free_port()}, "providers": {**document["providers"], "more": {"dialect": "openai", "base_url": "demo:"}}}
    await gateway.start()
    try:
        path.write_text(yaml.safe_dump({**document, **more, "limits": {"concurrent_requests": 77}}))
        assert await gateway.reload()
    finally:
        await gateway.stop()
    assert "Envoy hears of that from the control plane of the fleet" in caplog.text
    assert "compile attach" not in caplog.text and "listener has changed" not in caplog.text
    assert "limits.concurrent_requests has changed" in caplog.text and "what `headgate compile xds` prints now" in caplog.text
