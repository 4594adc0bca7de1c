"""Limits that nobody counts are told of."""

from decimal import Decimal
from pathlib import Path

from extproc.config.load import load
from extproc.control.bounds import unseen
from extproc.identity.settings import Limit, Settings
from tests import stored

CONFIG = """
providers: {demo: {base_url: "demo:", dialect: openai}}
models: [{name: m, targets: [demo]}]
filters: [{auth: {}}, {route: {}}]
"""
LIMITED = Settings(limits=(Limit(unit="requests", amount=Decimal(5), window="day"),))


def test_limits_of_identities_need_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    loaded = load(path, {}, has_stored_keys=lambda _: True)
    assert list(unseen(loaded, tmp_path)) == []
    stored.create(tmp_path, "one")
    assert list(unseen(loaded, tmp_path)) == []
    stored.change(tmp_path, lambda tables, holder: tables.organizations.change(holder.organization_id, {"settings": LIMITED}))
    (line,) = unseen(loaded, tmp_path)
    assert "add `- limits:`" in line
    path.write_text(CONFIG.replace("{auth", "{meter: {}}, {auth").replace("{route: {}}", "{route: {}}, {limits: {}}"))
    assert list(unseen(load(path, {}, has_stored_keys=lambda _: True), tmp_path)) == []


def test_limits_that_are_declared_are_seen_before_they_are_in_the_store(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    for declared in ("organizations: {acme: {limits: [cost=5/month]}}", "plans: {free: {limits: [requests=5/day]}}"):
        path.write_text(f"{CONFIG}identities: {{{declared}}}\n")
        (line,) = unseen(load(path, {}, has_stored_keys=lambda _: True), tmp_path)
        assert "add `- limits:`" in line
    path.write_text(f"{CONFIG}identities: {{organizations: {{acme: {{}}}}}}\n")
    assert list(unseen(load(path, {}, has_stored_keys=lambda _: True), tmp_path)) == []


def test_what_is_not_in_the_ledger_is_never_counted(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.replace("{route: {}}", "{route: {}}, {limits: {}}"))
    (line,) = unseen(load(path, {}, has_stored_keys=lambda _: True), tmp_path)
    assert "add `- meter:`" in line
