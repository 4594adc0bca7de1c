"""Key files of a state folder: written when it is worth it, used while they are good, removed when nobody needs them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.control import keyfiles
from extproc.control.identities import Identities
from extproc.control.keyfiles import FOLD, key_state
from extproc.keyfile import KeyFile, KeyFileError
from extproc.keys import KeyState, StoredKey, StoredKeys, digest
from extproc.store.changes import TOLD
from tests import stored


def imported(*numbers: int) -> list[StoredKey]:
    return [StoredKey(f"key-{number}", digest(f"hg-{number}"), f"tenant-{number % 9}") for number in numbers]


@pytest.fixture
def many(tmp_path: Path) -> None:
    """More keys than are worth telling one by one."""
    stored.add(tmp_path, imported(*range(FOLD + 1)))


def told(state: KeyState) -> KeyState:
    """Without what only the store can know."""
    return KeyState(state.file, tuple(stored.plain(state.added)), state.revoked)


def names(tmp_path: Path) -> set[str]:
    folder = tmp_path / "keyfiles"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def in_force(state: KeyState, *numbers: int) -> list[bool]:
    keys = StoredKeys(state, exist=True)
    return [keys.find(digest(f"hg-{number}")) is not None for number in numbers]


def test_without_keys_there_is_no_file(tmp_path: Path) -> None:
    assert key_state(tmp_path / "state", fold=True) == KeyState()
    assert not (tmp_path / "state").exists()


def test_few_keys_need_no_file(tmp_path: Path) -> None:
    stored.add(tmp_path, imported(*range(FOLD)))
    assert told(key_state(tmp_path, fold=True)) == KeyState(added=tuple(imported(*range(FOLD))))
    assert not names(tmp_path)


def test_many_are_folded_into_one(tmp_path: Path, many: None) -> None:
    before = key_state(tmp_path, fold=False)
    assert (before.file, len(before.added)) == ("", FOLD + 1)
    state = key_state(tmp_path, fold=True)
    assert (state.added, state.revoked) == ((), ())
    assert len(KeyFile(Path(state.file))) == FOLD + 1
    assert in_force(state, 0, FOLD, FOLD + 1) == [True, True, False]
    assert (tmp_path / "keyfiles").stat().st_mode & 0o777 == 0o700
    # Nothing has changed: the same.
    assert key_state(tmp_path, fold=True) == key_state(tmp_path, fold=False) == state


def test_a_change_is_told_beside_the_file(tmp_path: Path, many: None) -> None:
    file = key_state(tmp_path, fold=True).file
    stored.revoke(tmp_path, "key-1")
    key = stored.create(tmp_path, "new", "acme")
    state = key_state(tmp_path, fold=True)
    assert told(state) == KeyState(file, (StoredKey("new", digest(key), "acme"),), (digest("hg-1"),))
    assert in_force(state, 0, 1, 2) == [True, False, True]


def test_many_changes_make_a_new_file(tmp_path: Path, many: None) -> None:
    old = key_state(tmp_path, fold=True).file
    stored.revoke(tmp_path, "key-1")
    stored.add(tmp_path, imported(*range(FOLD + 1, 2 * FOLD + 1)))
    # Nobody waits for it who wants a revoked key to be worthless.
    changed = key_state(tmp_path, fold=False)
    assert (changed.file, len(changed.added), changed.revoked) == (old, FOLD, (digest("hg-1"),))
    folded = key_state(tmp_path, fold=True)
    assert folded == KeyState(folded.file) != KeyState(old)
    for state in (changed, folded):
        assert in_force(state, 0, 1, 2 * FOLD, 2 * FOLD + 1) == [True, False, True, False]


def test_more_changes_than_can_be_told_need_a_new_file(tmp_path: Path, many: None) -> None:
    old = key_state(tmp_path, fold=True).file
    stored.revoke(tmp_path, "key-1")
    stored.add(tmp_path, imported(*range(FOLD + 1, FOLD + 1 + TOLD)))
    state = key_state(tmp_path, fold=False)
    assert state == KeyState(state.file) != KeyState(old)
    assert in_force(state, 0, 1, FOLD + TOLD) == [True, False, True]


def test_the_last_two_are_kept(tmp_path: Path, many: None) -> None:
    """A worker that starts just now may have been told of the one before."""
    files = [Path(key_state(tmp_path, fold=True).file).name]
    for number in range(3):
        stored.create(tmp_path, f"new-{number}")
        files.append(keyfiles.write(tmp_path).name)
        (tmp_path / "keyfiles" / ".unfinished-killed").touch()
    assert names(tmp_path) == {*files[-2:], ".unfinished-killed"}
    keyfiles.write(tmp_path)
    assert ".unfinished-killed" not in names(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "short", "flipped", "foreign", "empty"])
def test_a_file_that_is_not_good_is_written_again(tmp_path: Path, many: None, damage: str) -> None:
    file = Path(key_state(tmp_path, fold=True).file)
    data = file.read_bytes()
    # Others have it mapped: it must not change under them, so a damaged one is another file in its place.
    file.unlink()
    if damage != "gone":
        content = {"short": data[:-1], "flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "foreign": b"x" * len(data), "empty": b""}
        file.write_bytes(content[damage])
    state = key_state(tmp_path, fold=True)
    assert Path(state.file) == file
    assert file.read_bytes() == data


def test_a_file_of_another_store_is_not_used(tmp_path: Path, many: None) -> None:
    old = key_state(tmp_path, fold=True).file
    (tmp_path / "store.sqlite").unlink()
    stored.add(tmp_path, imported(1))
    assert told(key_state(tmp_path, fold=True)) == KeyState(added=tuple(imported(1)))
    (tmp_path / "store.sqlite").unlink()
    assert key_state(tmp_path, fold=True) == KeyState()
    assert names(tmp_path) == {Path(old).name}


def test_what_cannot_be_written_is_told(tmp_path: Path, many: None) -> None:
    (tmp_path / "keyfiles").write_text("in the way")
    assert len(key_state(tmp_path, fold=False).added) == FOLD + 1
    with pytest.raises(OSError, match=r"the key file cannot be written: .*keyfiles"):
        key_state(tmp_path, fold=True)


def test_what_changes_while_a_file_is_written_is_not_lost(tmp_path: Path, many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    each = Identities.each

    def slowly(self: Identities) -> Iterator[StoredKey]:
        for number, key in enumerate(each(self)):
            if number == 100:
                # One that was read already, one that was not, and a new one.
                for name in ("key-50", f"key-{FOLD}"):
                    stored.revoke(tmp_path, name)
                stored.add(tmp_path, imported(5000))
            yield key

    monkeypatch.setattr(Identities, "each", slowly)
    keyfiles.write(tmp_path)
    state = key_state(tmp_path, fold=False)
    assert state.file
    assert in_force(state, 49, 50, FOLD - 1, FOLD, 5000) == [True, False, True, False, True]


def test_readers_never_see_half_a_file(tmp_path: Path, many: None) -> None:
    """While one file after the other is written, whoever looks finds all keys that were there all the time."""
    written = [keyfiles.write(tmp_path)]
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            stored.create(tmp_path, f"new-{number}")
            written.append(keyfiles.write(tmp_path))
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        seen: set[Path] = set()
        while len(seen) < 6:
            path = written[-1]
            try:
                file = KeyFile(path)
            except KeyFileError:
                # Two newer ones were written since it was looked for.
                there = path.exists()
                assert not there
                continue
            seen.add(path)
            assert all(file.find(digest(f"hg-{number}")) for number in (0, 1, FOLD))
    finally:
        stop.set()
        thread.join()
