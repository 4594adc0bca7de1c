"""What all tests share: the `--update` flag, which writes golden files anew instead of comparing with them."""

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's business: one that is busy is no failure.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

pytest_plugins = ["tests.servers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write golden files anew")
