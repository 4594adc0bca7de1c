"""What docs/injector.md shows can be used as it stands there, and it names every setting and annotation."""

import re
from pathlib import Path

import msgspec
import yaml

from extproc.injector.clients import _BASES, _KEYS
from extproc.injector.inject import inject
from extproc.injector.manifests import Manifests
from extproc.injector.overrides import _READERS
from extproc.injector.settings import Settings, read_settings

PAGE = (Path(__file__).parents[2] / "docs" / "injector.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```yaml {kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "injector.yaml"
    path.write_text(block("injector"))
    settings, problems = read_settings(path, {})
    assert settings is not None and not problems
    assert set(yaml.safe_load(block("injector"))) == {field.name for field in msgspec.structs.fields(Settings)}
    shown, usual = msgspec.to_builtins(settings), msgspec.to_builtins(Settings())
    assert {name for name in usual if shown[name] != usual[name]} == {"image", "image_pull_secrets", "client_key", "env"}


def test_manifests() -> None:
    manifests = Manifests(lambda pod: inject(pod, Settings(), native=True))
    assert "team-a" in manifests.injected(block("manifests")) and not manifests.told


def test_all_is_named() -> None:
    for name in _READERS:
        assert re.search(rf"headgate\.io/{name}\b|headgate\.io/{name.partition('-')[0]}-request`, `-limit`", PAGE), name
    for name in (name for names in (*_KEYS, *(names for _, names in _BASES)) for name in names):
        assert f"`{name}`" in PAGE, name
