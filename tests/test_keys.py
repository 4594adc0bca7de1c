"""Keys are stored as digests and found by them."""

import hashlib
import logging
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import keys as module
from extproc.errors import Reject
from extproc.identity.levels import EVERYTHING, Level
from extproc.identity.record import Owner
from extproc.identity.settings import NOTHING, Limit, Plan, Settings
from extproc.keyfile import KeyFile, Stamp, write_key_file
from extproc.keys import PREFIX, KeyState, KeyTable, StoredKey, StoredKeys, digest, make_key
from extproc.values import Identity


def test_made_keys() -> None:
    keys = {make_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 for key in keys)


ONE, TWO, THREE = StoredKey("one", digest("hg-1"), "acme"), StoredKey("two", digest("hg-2")), StoredKey("three", digest("hg-3"))


def stored(*added: StoredKey) -> StoredKeys:
    return StoredKeys(KeyState(added=added), exist=bool(added))


def written(folder: Path, keys: Iterable[StoredKey], number: int = 1) -> str:
    return str(write_key_file(folder, keys, Stamp(number, bytes(8))))


def test_table() -> None:
    table = KeyTable(stored(ONE, TWO))
    assert table.find("hg-1") == Identity("acme", "one")
    assert table.find("hg-2") == Identity("two", "two")
    assert table.find("hg-3") is None
    assert table.find("") is None
    # What is stored is of no use to who finds it.
    assert table.find(digest("hg-1").hex()) is None


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_has_a_digest(key: str) -> None:
    if not any(0xD800 <= ord(character) < 0xDC80 or 0xDCFF < ord(character) <= 0xDFFF for character in key):
        assert digest(key) == hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


@pytest.mark.parametrize(
    ("required", "own", "exist", "expected"),
    [
        (None, False, False, False), (None, False, True, True), (None, True, False, True), (None, True, True, True),
        (True, False, False, True), (False, True, True, False),
    ],
)  # fmt: skip
def test_whether_a_key_is_required(required: bool | None, own: bool, exist: bool, expected: bool) -> None:
    keys = StoredKeys()
    table = KeyTable(keys, [ONE] if own else [], required=required)
    keys.take(KeyState(), exist=exist)
    assert table.required == expected


def test_a_file_and_what_has_changed_since(tmp_path: Path) -> None:
    keys = StoredKeys(KeyState(written(tmp_path, [ONE, TWO, THREE])), exist=True)
    table = KeyTable(keys, [StoredKey("own", digest("hg-own"))])
    assert [table.find(f"hg-{name}") for name in ("1", "2", "3", "4", "own")] == [
        Identity("acme", "one"), Identity("two", "two"), Identity("three", "three"), None, Identity("own", "own"),
    ]  # fmt: skip
    renamed, four = StoredKey("one again", ONE.digest), StoredKey("four", digest("hg-4"))
    keys.take(KeyState(written(tmp_path, [ONE, TWO, THREE]), (renamed, four), (TWO.digest, digest("hg-own"))), exist=True)
    assert [table.find(f"hg-{name}") for name in ("1", "2", "3", "4", "own")] == [
        Identity("one again", "one again"), None, Identity("three", "three"), Identity("four", "four"), Identity("own", "own"),
    ]  # fmt: skip
    # Another file: what had changed is in it now.
    keys.take(KeyState(written(tmp_path, [renamed, THREE, four])), exist=True)
    assert [table.find(f"hg-{name}") is not None for name in "1234"] == [True, False, True, True]
    keys.take(KeyState(), exist=True)
    assert table.find("hg-1") is None
    assert table.required


def test_what_was_found_is_remembered_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 5)
    looked: list[bytes] = []

    class Counted(KeyFile):
        def find(self, digest: bytes) -> StoredKey | None:
            looked.append(digest)
            return super().find(digest)

    monkeypatch.setattr(module, "KeyFile", Counted)
    many = [StoredKey(f"key-{number}", digest(f"hg-{number}")) for number in range(20)]
    path = written(tmp_path, many)
    keys = StoredKeys(KeyState(path, (ONE,), (many[3].digest,)), exist=True)
    for _ in range(3):
        assert keys.find(many[0].digest) == Identity("key-0", "key-0")
        assert keys.find(TWO.digest) == Identity("key-2", "key-2")
    assert looked == [many[0].digest, TWO.digest]
    for key in [*many, *many]:
        found = keys.find(key.digest)
        assert (found is None) == (key.name == "key-3")
        assert len(keys._known) <= 7
    assert keys.find(ONE.digest) == Identity("acme", "one")
    # Keys that nobody has are not remembered, and those that are revoked are forgotten.
    for _ in range(2):
        assert keys.find(bytes(32)) is None
    assert looked[-2:] == [bytes(32), bytes(32)]
    keys.take(KeyState(path, revoked=(many[19].digest,)), exist=True)
    assert keys.find(many[19].digest) is None


def test_a_file_is_mapped_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    class Counted(KeyFile):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr(module, "KeyFile", Counted)
    path = written(tmp_path, [ONE])
    keys = StoredKeys(KeyState(path), exist=True)
    keys.take(KeyState(path, revoked=(TWO.digest,)), exist=True)
    assert keys.find(ONE.digest) is not None
    assert opened == [Path(path)]


def test_a_file_that_is_not_there_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    path = Path(written(tmp_path, [ONE]))
    path.rename(tmp_path / "aside")
    with caplog.at_level(logging.ERROR):
        keys = StoredKeys(KeyState(str(path), (TWO,), (THREE.digest,)), exist=True)
        table = KeyTable(keys, [StoredKey("own", digest("hg-own"))])
        for name in ("1", "4", "", "1"):
            with pytest.raises(Reject) as raised:
                table.find(f"hg-{name}")
            assert (raised.value.fault.status, raised.value.fault.code) == (503, "keys_unavailable")
    assert [record.getMessage() for record in caplog.records] == [
        f"requests with a key are refused: the key file {path} cannot be read: No such file or directory"
    ]
    # What is known without the file is known.
    assert [table.find("hg-2"), table.find("hg-own")] == [Identity("two", "two"), Identity("own", "own")]
    assert table.find("hg-3") is None
    # Once it is there again it counts, though not asked for with every request.
    (tmp_path / "aside").rename(path)
    with pytest.raises(Reject):
        table.find("hg-1")
    now += 1.0
    assert table.find("hg-1") == Identity("acme", "one")
    path.unlink()
    assert table.find("hg-1") == Identity("acme", "one")


def test_a_file_that_is_damaged_inside_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Path(written(tmp_path, [ONE]))
    data = bytearray(path.read_bytes())
    at = data.index(ONE.digest) + 32
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    table = KeyTable(StoredKeys(KeyState(str(path)), exist=True))
    with pytest.raises(Reject) as raised:
        table.find("hg-1")
    assert raised.value.fault.status == 503
    assert "damaged" in caplog.text
    assert table.find("hg-2") is None


def test_another_file_under_its_name_lets_nobody_in(tmp_path: Path) -> None:
    """Such as an older one, put back: revoked keys of then are not keys of now."""
    old, new = Path(written(tmp_path, [ONE, TWO])), Path(written(tmp_path, [ONE], 2))
    old.replace(new)
    with pytest.raises(Reject):
        KeyTable(StoredKeys(KeyState(str(new)), exist=True)).find("hg-2")


def test_a_key_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 999.9
    monkeypatch.setattr("time.time", lambda: now)
    ending = [msgspec.structs.replace(key, expires_at=1_000_000) for key in (ONE, TWO)]
    keys = StoredKeys(KeyState(written(tmp_path, ending[:1]), (ending[1],)), exist=True)
    assert [keys.find(key.digest) is not None for key in ending] == [True, True]
    now = 1000.0
    for key in ending:
        with pytest.raises(Reject, match="expired on 1970-01-01 at 00:16:40 UTC") as raised:
            keys.find(key.digest)
        assert (raised.value.fault.status, raised.value.fault.code) == (401, "expired_key")


def owned(name: str, *, team: str = "", settings: Settings = NOTHING, plan: str = "") -> StoredKey:
    return StoredKey(name, digest(name), "acme", f"key_{name}", Owner("org_1", team=team, user="user_1"), settings=settings, plan=plan)


def test_what_a_key_may_do(tmp_path: Path) -> None:
    """What is set for whom it belongs to, and for itself; whether it is in the file or told beside it."""
    levels = (
        Level(kind="organization", id="org_1", settings=Settings(models=("gpt-*",))),
        Level(kind="membership", id="user_1@team_1", settings=Settings(endpoints=("chat",))),
    )
    plain, member, own = owned("plain"), owned("member", team="team_1"), owned("own", settings=Settings(models=("gpt-5",)), plan="plan_1")
    plan = Plan(id="plan_1", name="free", limits=(Limit(unit="requests", amount=Decimal(1), window="day"),))
    for state in (
        KeyState(written(tmp_path, [plain, member, own]), levels=levels, plans=(plan,)),
        KeyState(added=(plain, member, own), levels=levels, plans=(plan,)),
    ):
        keys = StoredKeys(state, exist=True)
        found = {key.name: keys.find(key.digest) for key in (plain, member, own)}
        grants = {name: identity.grant for name, identity in found.items() if identity is not None}
        assert [(name, grant.allows_model("gpt-4"), grant.allows_model("o1")) for name, grant in grants.items()] == [
            ("plain", True, False), ("member", True, False), ("own", False, False),
        ]  # fmt: skip
        assert [grants[name].allows_endpoint("embeddings") for name in grants] == [True, False, True]
        assert [(applied.kind, applied.id, applied.plan) for applied in grants["own"].limits] == [("key", "key_own", "free")]
        assert found["member"] == Identity("acme", "member", "key_member", member.owner, None, grants["member"])
    # Somebody else's settings: the same keys, and at once.
    keys.take(KeyState(added=(plain,)), exist=True)
    found["plain"] = keys.find(plain.digest)
    assert found["plain"] is not None and found["plain"].grant is EVERYTHING


def test_whose_organization_is_suspended(tmp_path: Path) -> None:
    closed = Level(kind="organization", id="org_1", closed=True)
    keys = StoredKeys(KeyState(written(tmp_path, [owned("one"), TWO]), levels=(closed,)), exist=True)
    assert keys.find(TWO.digest) is not None
    for _ in range(2):
        with pytest.raises(Reject) as raised:
            keys.find(owned("one").digest)
        assert (raised.value.fault.status, raised.value.fault.code) == (403, "access_suspended")
        assert "organization" in raised.value.fault.message
