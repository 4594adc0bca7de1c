"""What is in force while a store elsewhere does not answer."""

from pathlib import Path

import pytest

from extproc.control import kept
from extproc.control.kept import remote_state
from extproc.control.keyfiles import FOLD, write
from extproc.errors import Reject
from extproc.keys import KeyState, StoredKey, StoredKeys, digest
from tests import stored


def found(state: KeyState, key: str) -> str:
    try:
        identity = StoredKeys(state, exist=True).find(digest(key))
    except Reject as reject:
        return str(reject.fault.status)
    return identity.key if identity is not None else "unknown"


def test_what_was_known_goes_on(tmp_path: Path, store_url: str) -> None:
    one, two = stored.create(store_url, "one"), stored.create(store_url, "two")
    before = remote_state(tmp_path, store_url, fold=False, up=True)
    stored.revoke(store_url, "two")
    assert [found(before, key) for key in (one, two, "hg-other")] == ["one", "two", "unknown"]
    stored.create(store_url, "three")
    # Nobody has asked since.
    during = remote_state(tmp_path, store_url, fold=False, up=False)
    assert [found(during, key) for key in (one, two, "hg-other")] == ["one", "two", "503"]
    assert (tmp_path / kept.FILE).stat().st_mode & 0o777 == 0o600
    after = remote_state(tmp_path, store_url, fold=False, up=True)
    assert not after.stale and found(after, two) == "unknown"


def test_with_many_keys_in_a_file(tmp_path: Path, store_url: str) -> None:
    keys = [StoredKey(f"key-{number}", digest(f"hg-{number}"), "acme") for number in range(FOLD + 1)]
    stored.add(store_url, keys)
    state = remote_state(tmp_path, store_url, fold=True, up=True)
    assert state.file and not state.added
    stored.revoke(store_url, "key-1")
    remote_state(tmp_path, store_url, fold=True, up=True)
    during = remote_state(tmp_path, store_url, fold=True, up=False)
    # A key that is known to be revoked stays so.
    assert [found(during, f"hg-{number}") for number in (0, 1, FOLD, FOLD + 1)] == ["key-0", "unknown", f"key-{FOLD}", "503"]
    assert write(tmp_path, store_url).exists()


def test_nothing_was_ever_known(tmp_path: Path) -> None:
    assert remote_state(tmp_path, "postgresql://nobody@localhost:1/x", fold=False, up=False) == KeyState(stale=True)
    assert found(KeyState(stale=True), "hg-any") == "503"


def test_a_store_that_fails_when_it_is_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert remote_state(tmp_path, f"postgresql://nobody@/x?host={tmp_path}", fold=False, up=True).stale
    assert "what was known of the store stays in force" in caplog.text


def test_what_was_kept_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / kept.FILE).write_bytes(b"nonsense")
    assert remote_state(tmp_path, "postgresql://h/x", fold=False, up=False) == KeyState(stale=True)
    assert "cannot be read" in caplog.text
