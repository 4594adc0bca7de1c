"""The Envoy that the gateway runs, before it runs."""

import asyncio
from pathlib import Path

from extproc.control.envoy import Envoy
from extproc.envoy.places import below


async def nothing() -> None:
    """No stream is under way."""


async def test_it_is_asked_before_it_has_been_started(tmp_path: Path) -> None:
    # The operator's port is open by then, and asks on everybody's behalf.
    envoy = Envoy(below(str(tmp_path)), tmp_path / "envoy.log")
    assert not await envoy.ready()
    assert await envoy.admin.open_breakers() == {}
    await envoy.drain(asyncio.get_running_loop().time() + 5, asyncio.Event(), nothing)
    await envoy.stop()
