"""What the control process sees of the store of a state folder: nothing where there is none, and every change."""

from pathlib import Path

import pytest

from extproc.control.identities import Identities
from extproc.identity.record import Changes
from extproc.identity.settings import Settings
from tests import stored


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    identities = Identities(tmp_path / "state")
    assert identities.version() == (None, None)
    assert not identities.exist()
    assert (identities.since(None), identities.stamp(), identities.levels(), list(identities.each())) == (Changes(), None, ((), ()), [])
    assert not (tmp_path / "state").exists()


def test_every_change_is_noticed(tmp_path: Path) -> None:
    identities = Identities(tmp_path)
    seen = [identities.version()]
    for name in ("one", "two"):
        stored.create(tmp_path, name)
        seen.append(identities.version())
    stored.revoke(tmp_path, "one")
    seen.append(identities.version())
    bounds = {"settings": Settings(models=("gpt-*",))}
    stored.change(tmp_path, lambda tables, holder: tables.organizations.change(holder.organization_id, bounds))
    seen.append(identities.version())
    assert len(set(seen)) == 5
    assert [key.name for key in identities.each()] == ["two"]
    assert identities.exist() and identities.since(identities.stamp()) == Changes()
    (level,), _ = identities.levels()
    assert level.settings == bounds["settings"]
    assert identities.version() == seen[-1], "reading is no change"


def test_a_fault_is_told_and_passes(tmp_path: Path) -> None:
    stored.create(tmp_path, "one")
    identities = Identities(tmp_path)
    file = tmp_path / "store.sqlite"
    aside = file.rename(tmp_path / "aside")
    file.write_bytes(b"nonsense" * 200)
    with pytest.raises(OSError, match=r"store\.sqlite cannot be read: .*not a database$"):
        identities.exist()
    aside.replace(file)
    assert identities.exist()
