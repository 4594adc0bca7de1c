"""The examples load, do what they say, and satisfy the shipped schema that their first line names."""

import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from extproc.config.load import Loaded, load
from extproc.config.network import reached_by
from extproc.config.schema import SHIPPED

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_schema_that_editors_use(path: Path) -> None:
    text = path.read_text()
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SHIPPED.resolve()
    schema: dict[str, Any] = msgspec.json.decode(SHIPPED.read_bytes())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))


def _load(path: Path, **environ: str) -> Loaded:
    loaded = load(path, environ)
    assert loaded.problems == []
    return loaded


def test_quickstart_without_any_key() -> None:
    loaded = _load(EXAMPLES / "quickstart.yaml")
    assert loaded.config is not None
    assert {absent.name for absent in loaded.absent} == {"openai", "anthropic"}
    targets = {model.name: model.targets for model in loaded.config.models}
    assert targets["gpt-*"] == ("demo",)
    assert targets["claude-*"] == ("demo-anthropic",)
    assert targets["demo-fallback"] == ("demo/demo", "demo-anthropic/demo")


def test_quickstart_with_keys() -> None:
    loaded = _load(EXAMPLES / "quickstart.yaml", OPENAI_API_KEY="sk-1", ANTHROPIC_API_KEY="sk-2", HEADGATE_PORT="9000")
    assert loaded.config is not None
    assert loaded.absent == ()
    targets = {model.name: model.targets for model in loaded.config.models}
    assert targets["gpt-*"] == ("openai",)
    assert targets["claude-*"] == ("anthropic",)
    assert loaded.config.listener.port == 9000


def test_a_second_quickstart_has_the_ports_that_the_readme_gives_it() -> None:
    row = next(line for line in (EXAMPLES.parent / "README.md").read_text().splitlines() if "HEADGATE_API_PORT=" in line)
    ports = dict(re.findall(r"(HEADGATE_\w*PORT)=(\d+)", row))
    first, second = _load(EXAMPLES / "quickstart.yaml").config, _load(EXAMPLES / "quickstart.yaml", **ports).config
    assert first is not None and second is not None
    taken, fresh = ({one.listener.port, one.admin.port, (one.api.place or ("", 0))[1]} for one in (first, second))
    assert len(fresh) == 3 and not taken & fresh


def test_several_providers_with_and_without_keys() -> None:
    path = EXAMPLES / "several-providers.yaml"
    config = _load(path).config
    assert config is not None
    assert list(config.providers) == ["vllm"]
    keys = {f"{name}_API_KEY": "sk-1" for name in ("OPENAI", "ANTHROPIC", "GROQ", "OPENROUTER")}
    config = _load(path, **keys).config
    assert config is not None
    assert len(config.models[0].targets) == 3


def test_production(tmp_path: Path) -> None:
    path = tmp_path / "production.yaml"
    shutil.copy(EXAMPLES / "production.yaml", path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("openai", "anthropic"):
        (secrets / name).write_text("sk-1\n")
        (secrets / name).chmod(0o600)
    loaded = _load(path, REDIS_URL="rediss://:s3cret@redis:6379/0")
    assert loaded.config is not None
    assert loaded.absent == ()
    assert loaded.config.workers == 4
    assert loaded.config.providers["openai"].key == "sk-1"


def test_another_host() -> None:
    config = _load(EXAMPLES / "another-host.yaml", OPENAI_API_KEY="sk-1").config
    assert config is not None
    assert config.ext_proc is not None
    assert config.ext_proc.tls is not None
    assert reached_by(config.ext_proc) == "headgate.ai.svc.cluster.local"
    assert config.ext_proc.tls.certificate == str(EXAMPLES / "tls" / "tls.crt")
