"""`headgate keys import`: all keys of a list, or none of them, and the line that is to blame."""

import io
import shlex
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.keys import StoredKey, digest
from tests import stored

CONFIG = """
providers: {one: {dialect: openai, base_url: "http://one.test/v1"}}
models: [{name: m, targets: [one]}]
"""


def hashed(key: str) -> str:
    return f"sha256:{digest(key).hex()}"


def imported(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> int:
    (folder / "gateway.yaml").write_text(CONFIG)
    monkeypatch.setattr("sys.stdin", io.StringIO(text, newline=""))
    return main(["keys", "import", str(folder / "gateway.yaml"), "--state", str(folder / "state"), *options])


def test_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = f'alice,{hashed("hg-1")}\n\n"bob, the second", {hashed("hg-2")} ,acme\r\ncarol,{hashed("hg-3")},\n'
    assert imported(tmp_path, monkeypatch, text) == 0
    assert "imported 3 keys" in capsys.readouterr().out
    assert stored.each(tmp_path / "state") == [
        StoredKey("alice", digest("hg-1"), "alice"),
        StoredKey("bob, the second", digest("hg-2"), "acme"),
        StoredKey("carol", digest("hg-3"), "carol"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dave", "line 2: this is not `name,sha256:HASH`"),
        ("dave,hg-plain-key", "line 2: this is not"),
        (f"dave,{hashed('x')}0", "line 2: this is not"),
        (f"dave,{hashed('x')},acme,more", "line 2: this is not"),
        (f" ,{hashed('x')}", "line 2: a key's name has"),
        (f"{'d' * 129},{hashed('x')}", "line 2: a key's name has"),
        (f"alice,{hashed('x')}", "line 2: another key has the name of 'alice'"),
        (f"\n\ndave,{hashed('hg-1')}", "line 4: another key has the hash of 'dave'"),
        (f"{'d' * 200_000},{hashed('x')}", "line 2: field larger than"),
    ],
)
def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    assert imported(tmp_path, monkeypatch, f"alice,{hashed('hg-1')}\n{line}\n") == 1
    told = capsys.readouterr().err
    assert "nothing was imported" in told
    assert message in told
    assert "hg-plain-key" not in told
    assert not stored.each(tmp_path / "state")


def test_nothing_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(tmp_path, monkeypatch, "\n") == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "nothing was imported: there were no keys on standard input\n")
    assert not stored.each(tmp_path / "state")


def test_as_spreadsheets_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(tmp_path, monkeypatch, f"\ufeffalice,sha256:{digest('hg-1').hex().upper()}\r\n") == 0
    assert stored.each(tmp_path / "state") == [StoredKey("alice", digest("hg-1"), "alice")]


def test_a_line_of_headings_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(tmp_path, monkeypatch, f"name,hash,tenant\nalice,{hashed('hg-1')},acme\n") == 0
    assert stored.each(tmp_path / "state") == [StoredKey("alice", digest("hg-1"), "acme")]


def test_who_made_a_key_is_told_how_to_revoke_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    where = ["--state", str(tmp_path / "state"), str(tmp_path / "gateway.yaml")]
    assert main(["keys", "create", "alice and bob", *where]) == 0
    told = capsys.readouterr().err
    _, _, command = told.partition("headgate ")
    assert main(shlex.split(command)) == 0
    assert stored.each(tmp_path / "state") == []


def test_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"alice,{hashed('hg-1')}\nbob,{hashed('hg-2')}\n"
    assert imported(tmp_path, monkeypatch, text, "--skip-existing") == 0
    stored.revoke(tmp_path / "state", "bob")
    capsys.readouterr()
    assert imported(tmp_path, monkeypatch, f"{text}carol,{hashed('hg-3')}\n", "--skip-existing") == 0
    assert "imported 1 key into" in (told := capsys.readouterr().out)
    assert "(2 were there already)" in told
    assert [key.name for key in stored.each(tmp_path / "state")] == ["alice", "carol"], "what was revoked stays so"
    assert imported(tmp_path, monkeypatch, text) == 1
    assert "line 1: another key has the hash of 'alice'" in capsys.readouterr().err
    # A name that now stands for another key is a mistake, whatever is skipped.
    assert imported(tmp_path, monkeypatch, f"{text}carol,{hashed('hg-4')}\n", "--skip-existing") == 1
    assert "line 3: another key has the name of 'carol'" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["hg-1", "hg-1\n\n hg-2 \r\nhg-3"])
def test_hashes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert main(["keys", "hash"]) == 0
    assert capsys.readouterr().out.splitlines() == [hashed(key) for key in given.split()]
