"""Keys: shown once, of somebody, rotated with an overlap; many at once, all of them or none."""

from collections.abc import Callable, Iterable

import pytest

from extproc.errors import Reject
from extproc.identity.record import Changes, StoredKey
from extproc.keys import digest
from extproc.store import bulk
from extproc.store.bulk import Taken
from extproc.store.keys import Holder
from extproc.store.models import Actor, AuditEntry
from extproc.store.store import Store

OPERATOR = Actor("operator")


def imported(*numbers: int) -> list[StoredKey]:
    return [StoredKey(f"key-{number}", digest(f"hg-{number}"), f"tenant-{number}") for number in numbers]


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(Reject) as error:
        attempt()
    return error.value.fault.code


@pytest.fixture
def acme(store: Store) -> Holder:
    with store.write(OPERATOR) as tables:
        return Holder(tables.organizations.create("acme").id)


def good(store: Store) -> dict[bytes, str]:
    return {record.digest: record.name for record in store.following.each()}


def add(store: Store, holder: Holder, given: Iterable[StoredKey], *, skip: bool = False) -> int:
    with store.write(OPERATOR) as tables:
        return tables.keys.add_many(holder, given, skip_existing=skip)


def test_shown_once(store: Store, acme: Holder) -> None:
    with store.write(OPERATOR) as tables:
        key, clear = tables.keys.create(acme, "one")
        assert refused(lambda: tables.keys.create(acme, "one")) == "name_taken"
    assert clear.startswith(f"hg-{key.prefix}") and len(clear) > 40
    assert good(store) == {digest(clear): "one"}
    with store.read() as tables:
        assert [found.id for text in (clear, f"hg-{key.prefix}", key.prefix or "") for found in tables.keys.of_prefix(text)] == [key.id] * 3
        assert tables.keys.of_prefix("hg-nobody") == []
        told = "".join(f"{entry.before}{entry.after}" for entry in tables.audit.list())
    assert clear not in told and digest(clear).hex() not in told and "digest" not in told


def test_whom_a_key_may_belong_to(store: Store, acme: Holder) -> None:
    organization = acme.organization_id
    with store.write(OPERATOR) as tables:
        other = tables.organizations.create("other").id
        team, theirs = tables.teams.create(organization, "team").id, tables.teams.create(other, "team").id
        project = tables.projects.create(organization, "project").id
        robot = tables.service_accounts.create(organization, "robot").id
        alice, stranger = tables.users.create("alice").id, tables.users.create("stranger").id
        tables.memberships.create(organization, alice, "member", team_id=team)
        wrong = (
            Holder("org_nobody"),
            Holder(organization, team_id=theirs),
            Holder(organization, team_id=team, project_id=project),
            Holder(organization, team_id=team, user_id=alice, service_account_id=robot),
            Holder(organization, user_id=stranger),
            # Of the team alone, so not for the whole organization.
            Holder(organization, user_id=alice),
        )
        for holder in wrong:
            assert refused(lambda holder=holder: tables.keys.create(holder, "wrong")) == "invalid"  # type: ignore[misc]
        for number, holder in enumerate((Holder(organization, team_id=team, user_id=alice), Holder(other), acme)):
            tables.keys.create(holder, f"right-{number}")
        assert tables.keys.create(Holder(other), "right-0")[0].name == "right-0", "names are an organization's own"
    assert len(good(store)) == 4


def test_rotated(store: Store, acme: Holder) -> None:
    with store.write(OPERATOR) as tables:
        key, first = tables.keys.create(acme, "one")
    with store.write(OPERATOR) as tables:
        rotated, second = tables.keys.rotate(key.id, overlap=60_000, version=1)
        assert (rotated.id, rotated.version) == (key.id, 2)
    records = {record.digest: record for record in store.following.each()}
    assert records.keys() == {digest(first), digest(second)}
    assert (records[digest(second)].expires_at, records[digest(first)].expires_at) == (None, (rotated.rotated_at or 0) + 60_000)
    # The one before the one before is worth nothing, and nobody can bring it back as his own.
    with store.write(OPERATOR) as tables:
        _, third = tables.keys.rotate(key.id, overlap=60_000)
        tables.keys.change(key.id, {"expires_at": 5})
    assert {record.digest: record.expires_at for record in store.following.each()} == {digest(third): 5, digest(second): 5}
    with pytest.raises(Taken, match="hash"):
        add(store, acme, [StoredKey("mine", digest(second))])
    with store.write(OPERATOR) as tables:
        _, fourth = tables.keys.rotate(key.id)
        assert refused(lambda: tables.keys.rotate(key.id, overlap=-1)) == "invalid"
    assert good(store) == {digest(fourth): "one"}
    with store.read() as tables:
        assert len(tables.audit.list(AuditEntry.action == "rotate")) == 3


def test_suspended_and_deleted(store: Store, acme: Holder) -> None:
    with store.write(OPERATOR) as tables:
        one, two = (tables.keys.create(acme, name)[0] for name in ("one", "two"))
        tables.keys.change(one.id, {"disabled": True})
        tables.keys.delete(two.id)
    assert good(store) == {}
    assert store.following.keys_exist(), "so the gateway stays closed"
    with store.write(OPERATOR) as tables:
        tables.keys.change(one.id, {"disabled": False})
        assert refused(lambda: tables.keys.create(acme, "two")) == "name_taken"
        found = tables.keys.named(acme.organization_id, "two")
        assert found is not None and found.id == two.id
    assert list(good(store).values()) == ["one"]


def test_many(store: Store, acme: Holder) -> None:
    assert not store.following.keys_exist()
    assert add(store, acme, [*imported(*range(100)), StoredKey("alone", digest("alone"))]) == 101
    records = list(store.following.each())
    assert [record.name for record in records] == [*(f"key-{number}" for number in range(100)), "alone"]
    assert [records[7].tenant, records[-1].tenant] == ["tenant-7", "acme"]
    assert add(store, acme, []) == 0
    with store.read() as tables:
        (entry,) = tables.audit.list(AuditEntry.action == "import")
        assert entry.entity_id == records[0].id
        assert f'"keys":101,"first":"{records[0].id}","last":"{records[-1].id}"' in (entry.after or "")


@pytest.mark.parametrize(
    ("bad", "message"), [(StoredKey("key-1", digest("new")), "the name of"), (StoredKey("new", digest("hg-1")), "the hash of")]
)
@pytest.mark.parametrize("before", [5, 40])
def test_all_of_many_or_none(
    store: Store, acme: Holder, monkeypatch: pytest.MonkeyPatch, before: int, bad: StoredKey, message: str
) -> None:
    monkeypatch.setattr(bulk, "TOLD", 20)
    add(store, acme, imported(1, 2, 3))
    known, stamp = good(store), store.following.stamp()
    with pytest.raises(Taken, match=message) as error:
        add(store, acme, [*imported(*range(10, 10 + before)), bad])
    assert error.value.index == before
    assert good(store) == known
    assert store.following.since(stamp) == Changes()
    # What follows changes is in its place again.
    add(store, acme, imported(99))
    told = store.following.since(stamp)
    assert told is not None and [record.name for record in told.keys] == ["key-99"]


def test_once_more(store: Store, acme: Holder) -> None:
    add(store, acme, imported(1, 2))
    with store.write(OPERATOR) as tables:
        found = tables.keys.named(acme.organization_id, "key-2")
        assert found is not None
        tables.keys.delete(found.id)
    assert add(store, acme, imported(1, 2, 3), skip=True) == 1
    assert sorted(good(store).values()) == ["key-1", "key-3"], "what was deleted stays so"
    with pytest.raises(Taken, match="name of 'key-1'"):
        add(store, acme, [StoredKey("key-1", digest("new"))], skip=True)
    with pytest.raises(Taken, match="hash of 'key-1'"):
        add(store, acme, imported(1))
    with pytest.raises(Taken, match="name of 'key-4'"):
        add(store, acme, [*imported(4), StoredKey("key-4", digest("new"))])
