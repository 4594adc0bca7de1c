"""Two real providers and one gateway in front of them, shared by all tests of a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Demo


@pytest.fixture(scope="module")
def openai_provider() -> Iterator[Demo]:
    """A provider that is asked in OpenAI's dialect."""
    with Demo() as demo:
        yield demo


@pytest.fixture(scope="module")
def anthropic_provider() -> Iterator[Demo]:
    """A provider that is asked in Anthropic's dialect."""
    with Demo() as demo:
        yield demo


@pytest.fixture(scope="module")
def config(openai_provider: Demo, anthropic_provider: Demo) -> dict[str, Any]:
    """A configuration with every constellation: one target in each dialect, and two in both orders."""
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1", "key": "sk-provider-o"},
            "a": {"dialect": "anthropic", "base_url": f"{anthropic_provider.url}/v1", "key": "sk-provider-a"},
        },
        "models": [
            {"name": "demo", "targets": ["o/demo"]},
            {"name": "gpt-*", "targets": ["o"]},
            {"name": "claude-*", "targets": ["a"]},
            {"name": "o-then-a", "targets": ["o/first-o", "a/second-a"]},
            {"name": "a-then-o", "targets": ["a/first-a", "o/second-o"]},
        ],
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    """A running gateway."""
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def folder(factory: pytest.TempPathFactory) -> Path:
    """A folder for a gateway of its own."""
    return factory.mktemp("gateway")


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> None:
    """Each test sees only its own requests at the providers."""
    for name in ("openai_provider", "anthropic_provider"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()
