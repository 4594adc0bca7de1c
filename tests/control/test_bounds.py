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
filters: [{auth: {}}, {route: {}}, {load: {}}]
"""
LIMITED = Settings(limits=(Limit(unit="requests", amount=Decimal(5), window="day"),))


def test_limits_of_identities_need_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.replace(", {load: {}}", ""))
    loaded = load(path, {}, has_stored_keys=lambda _: True)
    assert list(unseen(loaded, tmp_path)) == []
    stored.create(tmp_path, "one")
    assert list(unseen(loaded, tmp_path)) == []
    stored.change(tmp_path, lambda tables, holder: tables.organizations.change(holder.organization_id, {"settings": LIMITED}))
    (line,) = unseen(loaded, tmp_path)
    assert "add `- limits:`" in line
    path.write_text(CONFIG.replace("{load: {}}", "{limits: {}}"))
    assert list(unseen(load(path, {}, has_stored_keys=lambda _: True), tmp_path)) == []
