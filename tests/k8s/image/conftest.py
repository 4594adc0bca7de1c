"""Tests of the image build it, once; where that cannot be done they are left out, and test_lacking.py says so."""

import shutil
from collections.abc import Iterator

import pytest

from tests.k8s.image.building import Images, lacking


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not lacking():
        return
    out = [item for item in items if isinstance(item, pytest.Function) and "images" in item.fixturenames]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """With ours, whose name is `headgate`."""
    folder = tmp_path_factory.mktemp("images")
    made = Images(folder)
    made.build()
    yield made
    # Each layer is a copy of those before.
    shutil.rmtree(folder)
