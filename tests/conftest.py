"""What all tests share: the `--update` flag, which writes golden files anew instead of comparing with them, and the order of files."""

import gc
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.rewriting import share

# Before anybody imports grpcio: its fork handlers abort a child that tests of another file start, now and then, while its threads run.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# How long an example takes is the machine's business: one that is busy is no failure.
# Half of the usual examples: those of a run are others than those of the runs before and after it.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.load_profile("any-machine")
# For what has few examples in an ordinary run (tests/examples.py): `make test ARGS='--hypothesis-profile=long -k TestModel'`.
settings.register_profile("long", settings.get_profile("any-machine"), max_examples=5_000)

pytest_plugins = ["tests.servers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write golden files anew")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tables that tests have recorded as their property `table`, also where other processes ran them."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            if name == "table":
                terminalreporter.write_line(value)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Modules and items stay to the end, and are millions of objects: the garbage collector is not to go through them again and again."""
    gc.disable()
    share(session.config, Path(__file__).parent)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """For `--dist loadfile`, which is what the Makefile says."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.spread import Spread  # noqa: PLC0415 - who runs tests alone needs no pytest-xdist

    return Spread(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole gateways first: their files take longest, and processes that run files side by side end together when short ones come last."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)
