"""The outermost layer: bugs of ours, and a store that does not answer."""

import logging
from pathlib import Path

import httpx
import pytest

from extproc.admin.app import build_app
from extproc.admin.credentials import Credentials
from extproc.admin.opened import Opened
from extproc.ledger.books import Ledgers
from extproc.store.database import url_of
from extproc.store.models import ENTITIES
from extproc.store.store import Store
from tests.admin.site import Site, fault
from tests.postgres import PostgresServer, postgres
from tests.store.conftest import postgres_store

__all__ = ["postgres", "postgres_store"]


async def test_a_bug_of_ours_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = await site.make("/organizations", name="acme")
    monkeypatch.delattr("extproc.store.store.Tables.__init__")
    with caplog.at_level(logging.ERROR):
        answer = await site.ask("GET", f"/organizations/{acme['id']}", x_request_id="request-4711")
    assert fault(answer) == (500, "internal_error") and answer.json()["error"]["request_id"] == "request-4711"
    assert [record.message for record in caplog.records] == [f"GET '/api/v1/organizations/{acme['id']}' failed (request request-4711)"]


async def test_every_answer_says_what_browsers_may_do_with_it(site: Site) -> None:
    for path in ("/me", "/openapi.json", "/nothing"):
        headers = (await site.ask("GET", path)).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    odd = await site.client.get("/me", headers={"x-request-id": "a b\x7f"})
    assert len(odd.headers["x-request-id"]) == 32


async def test_a_store_that_is_away(tmp_path: Path) -> None:
    site = Site(tmp_path)
    nobody = url_of("postgresql://u:hidden@127.0.0.1:9/x")
    opened = Opened(lambda: Store.open(nobody))
    app = build_app(opened, Credentials(tmp_path, opened), Ledgers(tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://admin/api/v1") as client:
        answer = await client.get("/organizations", headers={"authorization": f"Bearer {site.key}"})
        assert fault(answer) == (503, "store_unavailable") and "hidden" not in answer.text
        assert (await client.get("/healthz")).status_code == 200


async def test_a_store_that_has_to_be_migrated_first(tmp_path: Path, postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    empty = url_of(postgres.url(postgres.create()))
    site = Site(tmp_path)
    site.opened._open = lambda: Store.open(empty)
    answer = await site.ask("GET", "/organizations")
    assert fault(answer) == (503, "store_unavailable") and "headgate store migrate" in answer.text


async def test_the_same_on_postgresql(tmp_path: Path, postgres_store: Store) -> None:
    site = Site(tmp_path)
    site.opened._open = lambda: postgres_store
    acme = await site.make("/organizations", name="acme")
    red = await site.make(f"/organizations/{acme['id']}/teams", name="red")
    _, key = site.person("ada", acme["id"], "admin")
    assert (await site.ask("PATCH", f"/teams/{red['id']}", {"settings": {"models": ["x"]}}, key=key)).json()["version"] == 2
    made = [await site.ask("POST", f"/teams/{red['id']}/keys", {"name": "k"}, key=key, idempotency_key="a") for _ in range(2)]
    assert [one.status_code for one in made] == [201, 201] and made[1].json()["key"] is None
    assert (await site.ask("GET", "/me", key=made[0].json()["key"])).status_code == 200
    assert (await site.ask("GET", "/keys?prefix=%00")).status_code == 422
    for nothing in ("teams/team_%00", "teams/team_%00/members", "projects/proj_%00/keys", "service-accounts/sa_%00/keys"):
        assert fault(await site.ask("GET", f"/{nothing}")) == (404, "not_found")
    for path in ("/organizations?limit=1", "/users", "/plans", f"/organizations/{acme['id']}/members", "/audit", "/keys"):
        for each in (site.key, key):
            assert (await site.ask("GET", path, key=each)).status_code in {200, 403}
    assert (await site.ask("DELETE", f"/organizations/{acme['id']}")).status_code == 204
    assert len(ENTITIES) == 8
