"""Identities in PostgreSQL: a change is in force at once, and while the database is away what was known goes on."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from extproc.identity.settings import Settings
from extproc.store import schema
from extproc.store.database import Database, url_of
from tests import stored
from tests.e2e.gateway import Gateway, chat
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]

CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    url = postgres.url(postgres.create())
    with contextlib.closing(Database(url_of(url))) as database:
        schema.migrate(database)
    return url


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], url: str) -> Iterator[Gateway]:
    whole = {**config, "store": {"url": "env:STORE_URL"}}
    with Gateway(tmp_path_factory.mktemp("gateway"), whole, {"STORE_URL": url}) as running:
        yield running


def status(gateway: Gateway, key: str, model: str = "demo") -> int:
    return CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model), headers={"x-api-key": key}).status_code


@contextlib.contextmanager
def away(server: PostgresServer) -> Iterator[None]:
    """While this lasts there is no database."""
    server.stop()
    try:
        yield
    finally:
        server.resume()


def test_changes_are_in_force_at_once(followed: Gateway, url: str) -> None:
    # Without any keys it does not stand open.
    assert CLIENT.get(f"{followed.url}/v1/models").status_code == 401
    key = stored.create(url, "one")
    # A second is what is promised; a busy machine is given more.
    followed.until(lambda: status(followed, key) == 200, "the key is known")
    bounds = {"settings": Settings(models=("gpt-*",))}
    stored.change(url, lambda tables, holder: tables.organizations.change(holder.organization_id, bounds))
    followed.until(lambda: status(followed, key) == 403, "what is set for its organization is in force")
    assert status(followed, key, "gpt-5") == 200
    stored.revoke(url, "one")
    followed.until(lambda: status(followed, key, "gpt-5") == 401, "the key is refused")


def test_an_outage(
    followed: Gateway, config: dict[str, Any], url: str, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:  # fmt: skip
    known, gone = stored.create(url, "known"), stored.create(url, "gone")
    followed.until(lambda: status(followed, known, "gpt-5") == status(followed, gone, "gpt-5") == 200, "the keys are known")
    stored.revoke(url, "gone")
    followed.until(lambda: status(followed, gone, "gpt-5") == 401, "the key is refused")
    with away(postgres):
        followed.until(lambda: status(followed, "hg-unknown") == 503, "it is noticed")
        assert (status(followed, known, "gpt-5"), status(followed, known)) == (200, 403)
        # Also for a gateway that is started meanwhile.
        followed.stop()
        followed.__enter__()
        assert "known keys go on working" in followed.log.read_text()
        assert [status(followed, key, "gpt-5") for key in (known, "hg-unknown")] == [200, 503]
        assert status(followed, gone, "gpt-5") in (401, 503)
        with Gateway(tmp_path_factory.mktemp("ignorant"), {**config, "store": {"url": "env:STORE_URL"}}, {"STORE_URL": url}) as ignorant:
            # It lives, and nobody should be sent to it who has a key.
            assert httpx.get(f"{ignorant.operator}/healthz", verify=False).status_code == 200
            ready = httpx.get(f"{ignorant.operator}/readyz", verify=False)
            assert (ready.status_code, ready.json()["missing"]) == (503, ["the store has never answered, and nothing is known of it"])
            assert status(ignorant, known, "gpt-5") == 503
    new = stored.create(url, "new")
    followed.until(lambda: status(followed, new, "gpt-5") == 200, "it is followed again")
    assert [status(followed, key, "gpt-5") for key in (known, gone, "hg-unknown")] == [200, 401, 401]
