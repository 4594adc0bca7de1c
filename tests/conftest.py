"""What all tests share: the `--update` flag, which writes golden files anew instead of comparing with them."""

import pytest

pytest_plugins = ["tests.servers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write golden files anew")
