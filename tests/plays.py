"""Commands played from files: `$` and what is typed, the files that there are (`== NAME`), dashes, and what the command prints.

$ explain --model smart
== gateway.yaml
...
----------
what is printed; an exit code other than 0 is told at the end
"""

import shlex
from pathlib import Path

import pytest

from extproc.cli import main

_DASHES = "-" * 10 + "\n"


def play(path: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, update: bool) -> None:
    """Runs one file in `folder`, and compares, or writes anew."""
    given, _, expected = path.read_text(encoding="utf-8").partition(_DASHES)
    command, *files = given.split("== ")
    for one in files:
        name, _, text = one.partition("\n")
        (folder / name.strip()).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    code = main(shlex.split(command.strip().removeprefix("$ ")))
    told = capsys.readouterr()
    printed = (told.out + told.err).replace(f"{folder}/", "")
    printed += f"exit code {code}\n" if code else ""
    if update:
        path.write_text(f"{given}{_DASHES}{printed}", encoding="utf-8")
    else:
        assert printed == expected, f"{path.name} differs: look at it, then run pytest with --update"
