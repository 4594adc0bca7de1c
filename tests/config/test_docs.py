"""The YAML of the documentation is right: each block loads as it stands there, with what it leaves out (providers, a model) put beside it,
and nothing in it is told to have no effect.
"""

import base64
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.config.catalogue import catalogue
from extproc.config.load import load

ROOT = Path(__file__).parents[2]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL), 1)
]


def test_there_is_something_to_read() -> None:
    assert len(BLOCKS) >= 14


@pytest.mark.parametrize("block", BLOCKS)
def test_it_loads(block: str, tmp_path: Path) -> None:
    said = yaml.safe_load(block)
    path = tmp_path / "gateway.yaml"
    path.write_text(block + (yaml.safe_dump(more) if (more := _left_out(said)) else ""))
    for file in re.findall(r"file:([\w/.-]+)", block):
        (tmp_path / file).parent.mkdir(mode=0o700, exist_ok=True)
        (tmp_path / file).write_text("sk-secret")
        (tmp_path / file).chmod(0o600)
    loaded = load(path, _Environ(), has_stored_keys=lambda folder: True)
    assert loaded.config is not None, loaded.problems
    assert loaded.problems == []


class _Environ(defaultdict[str, str]):
    """Has every variable."""

    def __missing__(self, name: str) -> str:
        if name.endswith("_WEBHOOK_SECRET"):
            return "whsec_" + base64.b64encode(name.encode().ljust(24)).decode()
        if name.endswith("_DATABASE"):
            return f"postgresql://h/{name}"
        return f"https://value.test/{name}" if name.endswith("_URL") else f"value-of-{name}"

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    def __contains__(self, name: object) -> bool:
        return True


def _left_out(said: dict[str, Any]) -> dict[str, Any]:
    """The providers that are named and not there, where none is, and a model where none is."""
    more: dict[str, Any] = {}
    names = {one["to"] if isinstance(one, dict) else one for one in _targets(said)}
    missing = {name.partition("/")[0] for name in names} - set(said.get("providers") or ())
    if missing and "providers" not in said:
        more["providers"] = {name: _provider(name) for name in sorted(missing)}
    if "models" not in said:
        providers = said.get("providers") or more.setdefault("providers", {"lab": _provider("lab")})
        more["models"] = [{"name": "any", "targets": [next(iter(providers))]}]
    return more


def _targets(said: dict[str, Any]) -> list[Any]:
    fields = ("targets", "on_context_length", "on_content_policy")
    found = [target for model in said.get("models") or () for field in fields for target in model.get(field, ())]
    return found + [model["mirror"] for model in said.get("models") or () if "mirror" in model]


def _provider(name: str) -> dict[str, Any]:
    known = catalogue().get(name)
    if known is None:
        return {"dialect": "openai", "base_url": f"http://{name}.test/v1"}
    return {"settings": dict.fromkeys((key for key, one in known.settings.items() if one.default is None), "x")}
