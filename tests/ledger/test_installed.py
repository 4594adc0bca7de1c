"""A state folder's catalogues: one is in force, whole; those before it can be gone back to."""

import json
from pathlib import Path

import pytest

from extproc.errors import ConfigError
from extproc.ledger.installed import Installed, from_file
from extproc.ledger.sheet import MOST_BYTES


def document(day: int) -> bytes:
    """A catalogue of that day."""
    model = {"id": "m", "prices": [{"rates": {"input": "1"}}]}
    told = {"format": "headgate-catalogue/1", "date": f"2026-11-{day:02}", "providers": {"lab": {"models": [model]}}}
    return json.dumps(told).encode()


def test_there_and_back(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    assert installed.load() is None
    with pytest.raises(LookupError):
        installed.revert()
    first = installed.update(document(1), "first.json")
    second = installed.update(document(2), "https://prices.example/2")
    assert [entry.origin for entry in installed.entries()] == ["https://prices.example/2", "first.json"]
    found = Installed(tmp_path).load()
    assert found is not None
    assert found.digest == second.digest
    assert installed.revert().digest == second.digest
    found = installed.load()
    assert found is not None
    assert found.digest == first.digest
    assert installed.revert().digest == first.digest
    assert installed.load() is None
    assert [path.name for path in installed.pointer.parent.iterdir()] == ["current"]


def test_what_is_wrong_changes_nothing(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    installed.update(document(1), "a")
    before = {path.name: path.read_bytes() for path in installed.pointer.parent.iterdir()}
    with pytest.raises(ConfigError):
        installed.update(document(2).replace(b'"1"', b"1"), "b")
    assert {path.name: path.read_bytes() for path in installed.pointer.parent.iterdir()} == before


def test_the_same_again_and_many(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    for day in (1, 2, 1, *range(3, 20)):
        installed.update(document(day), f"day {day}")
    entries = installed.entries()
    assert [entry.origin for entry in entries] == [f"day {day}" for day in range(19, 10, -1)]
    assert len(list(installed.pointer.parent.glob("*.json"))) == len(entries)


def test_damage_is_noticed(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    installed.update(document(1), "a")
    (kept,) = installed.pointer.parent.glob("*.json")
    kept.write_bytes(document(2))
    with pytest.raises(ValueError, match="damaged"):
        installed.load()
    installed.pointer.write_bytes(b'{"entries": [{"digest": "../../x", "origin": "", "at": 0}]}')
    with pytest.raises(ValueError, match="names what no catalogue is called"):
        installed.load()


def test_files_have_a_bound(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ConfigError):
        from_file(large)
