"""The README tells the truth: its requests, its Python and its configuration are run as they stand there, only on other ports."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from extproc.config.load import load
from tests.e2e.gateway import Gateway

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
KEYS = {"OPENAI_API_KEY": "sk-unused", "ANTHROPIC_API_KEY": "sk-ant-unused"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


CURLS = [block for block in blocks("sh") if block.startswith("curl")]
PYTHON = blocks("python")
YAML = blocks("yaml")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())
    with Gateway(tmp_path_factory.mktemp("quickstart"), config) as running:
        yield running


def ask(command: str, gateway: Gateway) -> httpx.Response:
    """What curl does with this command line; the machine need not have it."""
    words = shlex.split(command.replace("\\\n", " ").replace("http://127.0.0.1:8080", gateway.url))
    assert words[:2] == ["curl", "-sS"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert set(given) == {"-H", "-d"}
    name, _, value = given["-H"].partition(": ")
    return httpx.post(words[2], headers={name: value}, content=given["-d"], verify=False)


def test_there_is_something_to_run() -> None:
    assert (len(CURLS), len(PYTHON), len(YAML)) == (2, 3, 1)


@pytest.mark.parametrize("command", CURLS)
def test_a_curl_line_is_answered(quickstart: Gateway, command: str) -> None:
    answer = ask(command, quickstart)
    assert answer.status_code == 200
    assert "demo provider" in answer.json()["choices"][0]["message"]["content"]


def test_the_first_curl_line_is_the_one_that_is_printed(quickstart: Gateway) -> None:
    printed = quickstart.log.read_text().replace(quickstart.url, "http://127.0.0.1:8080")
    assert " ".join(CURLS[0].split()) in " ".join(printed.split())


# In one process: the SDKs take seconds to import, and each would.
RUN = "import sys\nfor program in sys.argv[1:]:\n    exec(program, {'__name__': '__main__'})\n    print('\\f')"


@pytest.fixture(scope="module")
def printed(quickstart: Gateway) -> list[list[str]]:
    """What each of the programs prints, line by line."""
    programs = [program.replace("http://127.0.0.1:8080", quickstart.url) for program in PYTHON]
    done = subprocess.run([sys.executable, "-c", RUN, *programs], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [said.strip().split("\n") for said in done.stdout.split("\f")[: len(programs)]]


@pytest.mark.parametrize("number", [0, 1])
def test_python_runs(printed: list[list[str]], number: int) -> None:
    whole, streamed = printed[number]
    assert whole == streamed
    assert "demo provider" in whole


def test_a_conversation_goes_on(printed: list[list[str]]) -> None:
    first, answer, second = printed[2]
    assert (first, second) == ("My name is Ada.", "What is my name?")
    assert "demo provider" in answer


@pytest.mark.parametrize("text", YAML)
def test_the_configuration_is_good(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    loaded = load(path, KEYS)
    assert loaded.problems == []
    assert loaded.config is not None
