"""`headgate providers`: the whole catalogue, one entry of it, and what to write for that."""

from pathlib import Path

import pytest
import yaml

from extproc.cli import main
from extproc.config.catalogue import catalogue
from tests.cases import cases
from tests.config.settings import loader


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["providers", *arguments]) == 0
    return capsys.readouterr().out


def test_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = printed(capsys).splitlines()
    assert head.split() == ["NAME", "TITLE", "DIALECT", "KEY", "ENDPOINTS"]
    assert [row.split()[0] for row in rows] == list(catalogue())
    groq = next(row for row in rows if row.startswith("groq "))
    assert groq.split() == ["groq", "Groq", "openai", "GROQ_API_KEY", "chat", "responses", "audio", "models", "files", "batches"]
    assert all(("(not yet)" in row) != known.spoken for row, known in zip(rows, catalogue().values(), strict=True))


@cases("name", catalogue())
def test_what_it_says_to_write_is_right(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known = catalogue()[name]
    text = printed(capsys, name)
    assert text.startswith(f"{name}: {known.title}\n")
    assert known.docs in text
    assert known.base_url in text
    if not known.spoken:
        assert "not supported yet" in text
        return
    written = text[text.index("\nproviders:") + 1 :].replace("...", "x")
    assert list(yaml.safe_load(written)["providers"]) == [name]
    defaults = {default[4:]: "x" for setting in known.settings.values() if (default := setting.default or "").startswith("env:")}
    environ = {**defaults, **({known.env: "k"} if known.env else {})}
    loaded = loader(tmp_path)(written + f"models: [{{name: m, targets: [{name}]}}]\n", environ)
    assert loaded.problems == []


def test_one_with_everything(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "mistral")
    for line in ("refuses: user, logprobs", "rename: seed is random_seed", "call_id_length: 9", "stream_usage: no"):
        assert f"  quirk      {line}" in text
    text = printed(capsys, "azure-deployments")
    assert "  key        AZURE_API_KEY, sent in the header `api-key`\n" in text
    assert "  setting    resource: name of the Azure OpenAI resource; env:AZURE_RESOURCE_NAME unless given\n" in text
    assert "  path       chat: /deployments/{model}/chat/completions?api-version={version}\n" in text
    assert "  header     x-github-api-version: 2022-11-28\n" in printed(capsys, "github-models")
    assert "  key        none is needed\n" in printed(capsys, "vllm")
    assert "  key        none: requests are signed" in (signed := printed(capsys, "bedrock"))
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"):
        assert word in signed
    assert printed(capsys, "databricks").endswith("providers:\n  databricks:\n    settings: {workspace: ...}\n")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("grog", 'did you mean "groq"?'),
        ("azure", 'did you mean "azure-anthropic" or "azure-deployments" or "azure-foundry" or "azure-openai"?'),
        ("azur", 'did you mean "azure-anthropic" or "azure-deployments" or "azure-foundry" or "azure-openai"?'),
        ("q", "`headgate providers` lists it"),
    ],
)
def test_who_is_not_there(name: str, advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", name]) == 2
    assert advice in capsys.readouterr().err
