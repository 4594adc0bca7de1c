"""The key file: it finds what a dict finds, and what is not one, or not this one, is refused."""

import hashlib
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.identity.record import Owner, StoredKey
from extproc.identity.settings import Settings
from extproc.keyfile import KeyFile, KeyFileError, Stamp, file_name, is_whole, read_header, write_key_file
from tests.examples import examples

STAMP = Stamp(7, b"12345678")
# Digests that begin alike, so that they fight for slots; real ones never do.
ALIKE = st.builds(lambda first, last: bytes([first]) + bytes(15) + last, st.integers(0, 3), st.binary(min_size=16, max_size=16))
DIGESTS = st.one_of(st.binary(min_size=32, max_size=32), ALIKE)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
OWNERS = st.none() | st.builds(Owner, st.sampled_from(["org_1", "org_2"]), team=st.sampled_from(["", "team_1"]))
SETTINGS = st.sampled_from([Settings(), Settings(models=("gpt-*",), tags={"a": "ü"})])
KEY = st.builds(
    StoredKey, TEXT, st.just(b""), st.sampled_from(["", "acme", "Ünïts"]) | TEXT, st.sampled_from(["", "key_1"]), OWNERS,
    st.none() | st.integers(0, 2**53), SETTINGS, st.sampled_from(["", "plan_1"]),
)  # fmt: skip
KEYS = st.dictionaries(DIGESTS, KEY, max_size=60)


def digest(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def numbered(number: int) -> StoredKey:
    return StoredKey(f"key-{number}", digest(number), f"tenant-{number % 100}")


def many(count: int) -> list[StoredKey]:
    return [numbered(number) for number in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_key_file(tmp_path, many(50), STAMP)


@given(KEYS, st.lists(DIGESTS, max_size=20))
@settings(max_examples=examples(200), deadline=None)
def test_it_finds_what_a_dict_finds(tmp_path_factory: pytest.TempPathFactory, keys: dict[bytes, StoredKey], others: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("keys")
    keys = {hashed: msgspec.structs.replace(key, digest=hashed) for hashed, key in keys.items()}
    written = write_key_file(folder, keys.values(), STAMP)
    file = KeyFile(written)
    assert (len(file), file.header.stamp) == (len(keys), STAMP)
    # A tenant that has the key's own name is not written.
    expected = {hashed: key if key.tenant != key.name else msgspec.structs.replace(key, tenant="") for hashed, key in keys.items()}
    for hashed in [*keys, *others]:
        assert file.find(hashed) == expected.get(hashed)


def test_a_hundred_thousand(tmp_path: Path) -> None:
    file = KeyFile(write_key_file(tmp_path, many(100_000), STAMP))
    assert file.header.size < 100_000 * 100
    assert all(file.find(digest(number)) == numbered(number) for number in range(0, 100_000, 7))
    assert not any(file.find(digest(number)) for number in range(100_000, 110_000))


def looks(path: Path, found: bool) -> float:
    """Slots that are looked at for a key, on the average."""
    file = KeyFile(path)
    slots = file._slots
    counted = 0
    for number in range(1000) if found else range(10**6, 10**6 + 1000):
        at = int.from_bytes(digest(number)[:8], sys.byteorder) & file._mask
        while True:
            counted += 1
            place = slots[at]
            if not place or file._map[place : place + 32] == digest(number):
                break
            at = (at + 1) & file._mask
    return counted / 1000


@pytest.mark.parametrize("count", [1_000, 60_000, 65_536, 65_537])
def test_the_work_does_not_grow(tmp_path: Path, count: int) -> None:
    path = write_key_file(tmp_path, many(count), STAMP)
    assert looks(path, found=True) < 1.7
    assert looks(path, found=False) < 3.0


def test_more_owners_than_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.keyfile._WRITTEN", 3)
    monkeypatch.setattr("extproc.keyfile._READ", 3)
    file = KeyFile(write_key_file(tmp_path, many(1000), STAMP))
    assert all(file.find(digest(number)) == numbered(number) for number in range(1000))


def test_the_file_is_the_owners_and_named_by_what_it_holds(path: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header = read_header(path)
    assert path.name == file_name(header.digest)
    assert is_whole(path, header)
    # The same keys make the same file; others, or another moment, make another.
    assert write_key_file(tmp_path, many(50), STAMP) == path
    assert write_key_file(tmp_path, many(51), STAMP) != path
    assert write_key_file(tmp_path, many(50), Stamp(8, b"12345678")) != path
    assert not list(tmp_path.glob(".unfinished-*"))


def test_what_has_no_place_in_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        write_key_file(tmp_path, [*many(3), StoredKey("x", b"short")], STAMP)
    with pytest.raises(ValueError, match="begin alike"):
        write_key_file(tmp_path, [StoredKey("x", bytes(28) + number.to_bytes(4)) for number in range(2000)], STAMP)
    assert not list(tmp_path.iterdir())


def test_a_mapped_file_outlives_its_name(path: Path, tmp_path: Path) -> None:
    old = KeyFile(path)
    new = write_key_file(tmp_path, many(10), STAMP)
    path.unlink()
    new.rename(path)
    assert old.find(digest(49)) == numbered(49)
    with pytest.raises(KeyFileError, match="another one than its name says"):
        KeyFile(path)


def damaged(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "begins with something else"),
        (lambda data: b"SQLite format 3\0" + bytes(200), "begins with something else"),
        (lambda data: data[:100], "ends in its header"),
        (lambda data: data[:-1], "bytes long instead of"),
        (lambda data: data + b"\0", "bytes long instead of"),
        (lambda data: damaged(data, 8, (3).to_bytes(4, "little")), "of version 3"),
        (lambda data: damaged(data, 12, b"\x01\x02\x03\x04"), "byte order"),
        (lambda data: damaged(data, 40, (3).to_bytes(8, "little")), "contradicts itself"),
        (lambda data: damaged(data, 32, (2**40).to_bytes(8, "little")), "contradicts itself"),
        (lambda data: damaged(data, 48, (2**40).to_bytes(8, "little")), "contradicts itself"),
        (lambda data: damaged(data, 96, bytes(32)), "another one than its name says"),
    ],
)
def test_what_is_no_key_file_is_refused(path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(KeyFileError, match=message):
        KeyFile(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        KeyFile(tmp_path / "none.keys")
    with pytest.raises(KeyFileError, match="directory"):
        KeyFile(tmp_path)


def test_every_flipped_bit_is_noticed_by_whoever_reads_all(path: Path) -> None:
    data = path.read_bytes()
    for at in range(0, len(data), 37):
        path.write_bytes(damaged(data, at, bytes([data[at] ^ 1])))
        try:
            header = read_header(path)
        except KeyFileError:
            continue
        assert not (is_whole(path, header) and path.name == file_name(header.digest)), at


@given(st.data())
@settings(max_examples=examples(200), deadline=None)
def test_a_damaged_table_misleads_nobody(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Workers do not read all of a file that the control process has. Whatever is wrong inside: no loop without an end, no other's name
    for a digest that is not there, no crash.
    """
    keys = many(20)
    path = write_key_file(tmp_path_factory.mktemp("keys"), keys, STAMP)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 40))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    file = KeyFile(path)
    for number in range(40):
        try:
            found = file.find(digest(number))
        except KeyFileError:
            continue
        assert found is None or number < 20
