from pathlib import Path

import pytest

from tests.config.settings import Load, loader


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Loads a text as `gateway.yaml`."""
    return loader(tmp_path)
