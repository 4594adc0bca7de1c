import os
from pathlib import Path

import pytest

from extproc.config.references import MAX_VALUE_BYTES, References, Resolved, Unresolved

ENVIRON = {"KEY": "s3cret$", "EMPTY": "", "PORT": "9000", "LONG": "x" * (MAX_VALUE_BYTES + 1), "BYTES": "\udcff"}


@pytest.fixture
def references(tmp_path: Path) -> References:
    return References(ENVIRON, tmp_path)


@pytest.mark.parametrize(
    ("text", "value", "referred"),
    [
        ("plain", "plain", False),
        ("env:KEY", "s3cret$", True),
        ("${KEY}", "s3cret$", True),
        ("http://h:${PORT}/v1", "http://h:9000/v1", True),
        ("${PORT}${PORT}", "90009000", True),
        ("${NONE:-8080}", "8080", True),
        ("${EMPTY:-8080}", "8080", True),
        ("${NONE:-}", "", True),
        ("a${EMPTY}b", "ab", True),
        ("$${KEY}", "${KEY}", False),
        ("$$$$", "$$", False),
        ("^a$", "^a$", False),
        ("$HOME", "$HOME", False),
        ("the env:KEY", "the env:KEY", False),
    ],
)
def test_resolved(references: References, text: str, value: str, referred: bool) -> None:
    assert references.resolve(text) == Resolved(value, referred)


@pytest.mark.parametrize(
    ("text", "part", "missing"),
    [
        ("env:NONE", "the environment variable NONE is not set", True),
        ("env:KEI", "KEI is not set (KEY is)", True),
        ("env:EMPTY", "EMPTY is set, but empty", True),
        ("env:a b", "takes the name", False),
        ("${NONE}", "NONE is not set", True),
        ("${PORT", "a reference is", False),
        ("${PORT-1}", "a reference is", False),
        ("${}", "a reference is", False),
        ("env:LONG", "longer than", False),
        ("env:BYTES", "UTF-8", False),
        ("file:", "takes the path", False),
        ("file:none", '"none" is not there', True),
        ("file:.", "not a regular file", False),
        ("file:${NONE}/x", "NONE is not set", True),
        ("file:a\0b", "takes the path", False),
    ],
)
def test_unresolved(references: References, text: str, part: str, missing: bool) -> None:
    found = references.resolve(text)
    assert isinstance(found, Unresolved)
    assert part in found.message
    assert found.missing is missing


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def test_a_file_is_stripped_and_relative_to_the_configuration(references: References, tmp_path: Path) -> None:
    _write(tmp_path / "key", b" sk-1\n")
    assert references.resolve("file:key") == Resolved("sk-1", True)
    assert references.resolve(f"file:{tmp_path}/key") == Resolved("sk-1", True)
    assert references.files == {tmp_path / "key"}


@pytest.mark.parametrize(
    ("content", "part"), [(b" \n", "is empty"), (b"\xff", "not text in UTF-8"), (b"x" * (MAX_VALUE_BYTES + 1), "longer than")]
)
def test_files_that_give_no_value(references: References, tmp_path: Path, content: bytes, part: str) -> None:
    _write(tmp_path / "key", content)
    found = references.resolve("file:key")
    assert isinstance(found, Unresolved)
    assert part in found.message


def test_a_file_that_others_may_read_is_told(references: References, tmp_path: Path) -> None:
    _write(tmp_path / "key", b"sk-1", 0o640)
    found = references.resolve("file:key")
    assert isinstance(found, Resolved)
    assert found.warning is not None
    assert "mode 0640" in found.warning
    assert "sk-1" not in found.warning


def test_a_fifo_does_not_hold_us_up(references: References, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert isinstance(references.resolve("file:fifo"), Unresolved)


@pytest.mark.parametrize("text", ["env:NOT_SET", "file:not-there", "env:not a name"])
def test_who_needs_no_secrets_gets_along_without(tmp_path: Path, text: str) -> None:
    without = References({"SET": "there"}, tmp_path, secrets=False)
    assert isinstance(References({}, tmp_path).resolve(text, secret=True), Unresolved)
    assert isinstance(without.resolve(text, secret=True), Resolved)
    assert without.resolve("env:SET", secret=True) == Resolved("there", True)
    assert isinstance(without.resolve(text), Unresolved)
