"""A folder for sockets: pytest's own are too deep for a Unix socket's path (107 bytes)."""

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture
def socket_path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hg-limits-") as folder:
        yield f"{folder}/control.sock"
