"""A demo provider on a loopback port, with its witness."""

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from extproc.demo.app import build_app
from tests.demo.ask import Demo


@pytest_asyncio.fixture
async def demo() -> AsyncIterator[Demo]:
    async with TestClient(TestServer(build_app(inspect=True))) as client:
        yield client
