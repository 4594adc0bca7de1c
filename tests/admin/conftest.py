"""An API for each test that wants one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.admin.site import Site


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.client.aclose()
    made.opened.close()
