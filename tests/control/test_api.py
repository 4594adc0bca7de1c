"""The process of the admin API, as the control process keeps it: where it listens, what it is told, and when it is not there at all."""

import asyncio
import socket
from pathlib import Path

import httpx
import msgspec
import pytest

from extproc.admin.operator_keys import HASHES_FILE, KEY_FILE
from extproc.config.callers import Callers, Issuer
from extproc.config.listeners import Api
from extproc.config.model import Config, Model, Provider
from extproc.control import api as control_api
from extproc.control.api import AdminApi
from tests.e2e.ports import free_port


def config(**api: object) -> Config:
    provider = Provider(dialect="openai", base_url="http://one.test/v1")
    return Config(providers={"a": provider}, models=(Model(name="m", targets=("a",)),), api=Api(**api), drain=1)  # type: ignore[arg-type]


async def answers(port: int) -> int:
    """Who has the socket listens from the start on; so whoever asks waits, and that may be long on a busy machine."""
    async with httpx.AsyncClient(timeout=60) as client:
        return (await client.get(f"http://127.0.0.1:{port}/api/v1/healthz")).status_code


async def test_it_serves_follows_and_ends(tmp_path: Path) -> None:
    port = free_port()
    before = config(address=f"127.0.0.1:{port}")
    api = AdminApi(before, tmp_path, tmp_path)
    await api.start(before, [], None)
    try:
        assert await answers(port) == 200
        first = api.pid
        await api.follow(before)
        assert api.pid == first
        issuer = Issuer(issuer="i", audiences=("a",), jwks="{}")
        await api.follow(msgspec.structs.replace(before, callers=Callers(jwt=(issuer,))))
        # It has keys that are none, so it does not start, and the one before goes on.
        assert api.pid == first and await answers(port) == 200
        assert (tmp_path / "api.json").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / KEY_FILE).read_text().strip() not in (tmp_path / HASHES_FILE).read_text()
    finally:
        await api.stop(5)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_it_is_off_where_it_is_not_wanted_or_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = config(address="off")
    api = AdminApi(off, tmp_path, tmp_path)
    left = socket.socket()
    await api.start(off, [left.detach()], None)
    assert (api.pid, api.keep(), api.handed(), await api.renew()) == (None, [], None, "")
    monkeypatch.setattr(control_api, "installed", lambda: False)
    on = config(address=f"127.0.0.1:{free_port()}")
    api = AdminApi(on, tmp_path, tmp_path)
    await api.start(on, [], None)
    await api.follow(on)
    await api.stop(0)
    assert api.pid is None and not list(tmp_path.iterdir())


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = config(address=f"127.0.0.1:{other.getsockname()[1]}")
        api = AdminApi(taken, tmp_path, tmp_path)
        with pytest.raises(OSError, match=r"the admin API: port .* is taken by .*`api: {address: ...}`"):
            await api.start(taken, [], None)
        await api.stop(0)
