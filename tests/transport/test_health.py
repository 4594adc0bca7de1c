"""`grpc.health.v1.Health` as grpcio's client asks for it, on both transports."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from extproc.transport import health
from tests.transport.talk import KINDS, SERVICE, Scene, failure, running


@pytest_asyncio.fixture(params=KINDS)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with running(request.param) as made:
        yield made


async def ask(scene: Scene, message: bytes = b"") -> bytes:
    """A health check."""
    return await scene.ask(health.CHECK, message)


async def test_health(scene: Scene) -> None:
    named = b"\x0a" + bytes((len(SERVICE),)) + SERVICE.encode()
    assert [await ask(scene), await ask(scene, named)] == [b"\x08\x02", b"\x08\x02"]
    scene.health.serving = True
    assert [await ask(scene), await ask(scene, named), await ask(scene, b"\x0a\x00")] == [b"\x08\x01"] * 3


@pytest.mark.parametrize("message", [b"\x0a\x04acme", b"\x0a\x05acme", b"\x0a", b"\xff\xff", b"\x0a\xff\x01" + b"x" * 255, b"\x12\x00"])
async def test_the_health_of_what_is_not_there(scene: Scene, message: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(scene, message)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watching_is_not_offered(scene: Scene) -> None:
    # Whoever asks for it has to ask by Check instead, as the protocol provides.
    code, _ = await failure(scene.stream("/grpc.health.v1.Health/Watch"))
    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_health_is_asked_while_streams_are_under_way(scene: Scene) -> None:
    scene.health.serving = True
    stream = scene.stream()
    await stream.write(b"wait")
    await scene.until(b"wait")
    assert await ask(scene) == b"\x08\x01"
    scene.go.set()
    assert await stream.read() == b"waited"
