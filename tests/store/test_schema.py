"""Migrations: by themselves on SQLite, by command on PostgreSQL; an older program goes on where the schema says so."""

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from extproc.cli import main
from extproc.store import FILE, schema
from extproc.store.database import Database, in_folder, url_of
from extproc.store.keys import Holder
from extproc.store.models import Actor, Base
from extproc.store.store import Store
from tests.postgres import PostgresServer

OPERATOR = Actor("operator")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """Of an empty database."""
    return postgres.url(postgres.create())


@pytest.fixture(params=["sqlite", "postgres"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    where = in_folder(tmp_path) if request.param == "sqlite" else url_of(request.getfixturevalue("url"))
    with closing(Database(where)) as database:
        assert schema.migrate(database) == (0, schema.VERSION)
        yield database


def test_the_tables_are_those_of_the_models(migrated: Database) -> None:
    with migrated.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": lambda name, *_: name != "alembic_version"}
        )
        assert compare_metadata(context, Base.metadata) == []
    assert schema.migrate(migrated) == (schema.VERSION, schema.VERSION)


def test_a_newer_one_goes_on_with_older_programs(migrated: Database) -> None:
    """What the next release may do: a table, a column, a column with a default."""
    with migrated.write() as connection:
        connection.execute(text("CREATE TABLE news (id TEXT)"))
        connection.execute(text("ALTER TABLE keys ADD COLUMN colour TEXT"))
        connection.execute(text("ALTER TABLE organizations ADD COLUMN taste TEXT NOT NULL DEFAULT 'sweet'"))
        connection.execute(text(f"INSERT INTO schema_versions VALUES ({schema.VERSION + 1}, {schema.VERSION}, 0)"))
    schema.ensure(migrated)
    assert schema.migrate(migrated) == (schema.VERSION + 1, schema.VERSION + 1)
    store = Store(migrated)
    with store.write(OPERATOR) as tables:
        key, _ = tables.keys.create(Holder(tables.organizations.create("acme").id), "one")
        tables.keys.rotate(key.id)
    assert [record.name for record in store.following.each()] == ["one"]
    with migrated.write() as connection:
        connection.execute(text(f"INSERT INTO schema_versions VALUES ({schema.VERSION + 2}, {schema.VERSION + 1}, 0)"))
    with pytest.raises(schema.Unusable, match=f"of version {schema.VERSION + 2}"):
        schema.ensure(migrated)


def test_sqlite_is_made_when_it_is_needed(tmp_path: Path) -> None:
    folder = tmp_path / "100%" / "state"
    with closing(Database(in_folder(folder))) as database:
        assert schema.found(database).number == 0
        assert not folder.exists()
    with closing(Store.open(folder)) as store:
        assert not store.following.keys_exist()
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_several_come_at_once(tmp_path: Path) -> None:
    faults: list[Exception] = []

    def open_it() -> None:
        try:
            Store.open(tmp_path).close()
        except (SQLAlchemyError, OSError) as error:
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not faults
    with closing(Database(in_folder(tmp_path))) as database:
        assert schema.found(database).usable


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    """A table of somebody else's, where ours should be."""
    with closing(Database(in_folder(tmp_path))) as database:
        with database.write() as connection:
            connection.execute(text("CREATE TABLE memberships (mine TEXT)"))
        with pytest.raises(SQLAlchemyError, match="memberships already exists"):
            schema.ensure(database)
        with database.read() as connection:
            assert connection.execute(text("SELECT name FROM sqlite_master")).scalars().all() == ["memberships"]


def test_postgresql_is_migrated_by_command(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(schema.Unusable, match="headgate store migrate"):
        Store.open(url_of(url))
    monkeypatch.setenv("DATABASE_URL", url)
    at = ["--url", "env:DATABASE_URL"]
    assert main(["store", "status", *at]) == 1
    assert "there is no store yet" in capsys.readouterr().out
    assert main(["store", "migrate", *at]) == main(["store", "status", *at]) == 0
    assert f"version {schema.VERSION}, for Headgates that know version" in capsys.readouterr().out
    Store.open(url_of(url)).close()


def test_the_command_on_a_state_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--state", str(tmp_path / "state")]
    assert main(["store", "status", *at]) == 1
    assert not (tmp_path / "state").exists()
    assert main(["store", "migrate", *at]) == main(["store", "status", *at]) == 0
    (tmp_path / "state" / FILE).write_bytes(b"nonsense" * 1000)
    capsys.readouterr()
    assert main(["store", "status", *at]) == 1
    assert "the store cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["mysql://secret@host/name", "nonsense secret", "sqlite://", "env:NOT_THERE_AT_ALL"])
def test_urls_that_are_none(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "status", "--url", given]) == 2
    told = capsys.readouterr().err
    assert told.startswith("--url: ") and "secret" not in told


def test_other_commands_do_without() -> None:
    """SQLAlchemy and Alembic take longer to import than most commands to run."""
    program = "import sys, extproc.cli; print([name for name in ('sqlalchemy', 'alembic', 'psycopg') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
