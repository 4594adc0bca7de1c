"""Sections completed from the catalogue, each case a file: the environment, `gateway.yaml`, a line, and what came of it.

`pytest --update` writes what comes out now; read the difference before you keep it.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extproc.config.load import Loaded
from extproc.config.model import Provider
from tests.config.settings import Load, told

GOLDEN = Path(__file__).parent / "golden"
LINE = "\n----------\n"


def outcome(loaded: Loaded) -> dict[str, Any]:
    """Problems, what is absent, and of each provider what it does not leave at its default."""
    bare = json.loads(msgspec.json.encode(Provider(dialect="openai", base_url="")))
    providers: dict[str, dict[str, Any]] = {}
    for name, provider in (loaded.config.providers if loaded.config else {}).items():
        said = json.loads(msgspec.json.encode(provider))
        providers[name] = {key: value for key, value in said.items() if key in ("dialect", "base_url") or value != bare[key]}
        if "paths" in providers[name]:
            providers[name]["paths"] = {operation: path for operation, path in said["paths"].items() if path is not None}
    problems = [(severity, *problem) for severity in ("error", "warning") for problem in told(loaded, severity)]
    return {
        "problems": [f"{severity} {line} {path}: {message}" for severity, path, line, message in problems],
        "absent": [f"{absent.kind} {absent.name}: {absent.reason}" for absent in loaded.absent],
        "providers": providers,
    }


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.txt")), ids=lambda file: file.stem)
def test_completion(file: Path, load_text: Load, request: pytest.FixtureRequest) -> None:
    given, _, expected = file.read_text().partition(LINE)
    environ, _, text = given.partition("\n\n")
    result = outcome(load_text(text + "\n", dict(line.split("=", 1) for line in environ.splitlines() if "=" in line)))
    if request.config.getoption("--update", default=False):
        file.write_text(given + LINE + json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return
    assert result == json.loads(expected)
