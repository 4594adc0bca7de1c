"""What the configuration declares is brought into the store, and what is in the way is told once."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from extproc.config.identities import DeclaredKey, Identities, Organization
from extproc.config.model import Config
from extproc.config.store import Store
from extproc.control.declared import Declaration
from extproc.control.identities import Identities as Followed
from tests import stored
from tests.scene import CONFIG

SECRET = "hg-" + "s" * 43


def declaring(url: str = "", name: str = "acme") -> Config:
    keys = {"ci": DeclaredKey(organization=name, secret=SECRET)}
    identities = Identities(organizations={name: Organization()}, keys=keys)
    return replace(CONFIG, identities=identities, store=Store(url=url) if url else None)


def in_force(state: Path, url: str = "") -> list[str]:
    return [key.id for key in Followed(state, url).each()]


def test_nothing_is_declared(tmp_path: Path) -> None:
    Declaration(tmp_path).bring(CONFIG, up=True)
    assert not list(tmp_path.iterdir())


def test_in_the_state_folder(tmp_path: Path) -> None:
    declaration = Declaration(tmp_path)
    declaration.bring(declaring(), up=False)
    assert in_force(tmp_path) == ["key_ci"]
    declaration.bring(declaring(name="other"), up=False)
    with_other = Followed(tmp_path)
    (key,) = with_other.each()
    assert key.owner is not None and key.owner.organization == "org_other"


def test_elsewhere_when_it_can_be_asked(tmp_path: Path, store_url: str) -> None:
    declaration = Declaration(tmp_path)
    declaration.bring(declaring(store_url), up=False)
    assert in_force(tmp_path, store_url) == []
    declaration.bring(declaring(store_url), up=True)
    assert in_force(tmp_path, store_url) == ["key_ci"]


def test_what_is_in_the_way_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored.change(tmp_path, lambda tables, _: tables.organizations.create("acme"))
    declaration = Declaration(tmp_path)
    for _ in range(3):
        declaration.bring(declaring(), up=True)
    assert caplog.text.count("There is another organization with this name") == 1
    assert in_force(tmp_path) == []
