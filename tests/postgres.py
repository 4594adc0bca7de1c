"""A real PostgreSQL for tests: one server for each process that runs tests, one database for each test that wants one."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

# Where Debian and its kin keep what is not on PATH.
_DEBIAN = Path("/usr/lib/postgresql")
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
}


def _program(name: str) -> str:
    """One of PostgreSQL's programs. It is never done without: what is said of PostgreSQL is tried on PostgreSQL."""
    places = [str(path) for path in sorted(_DEBIAN.glob("*/bin"), reverse=True)]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise RuntimeError(f"tests need PostgreSQL, and there is no `{name}`: apt-get install postgresql (Debian), brew install postgresql")
    return found


def _owner() -> str | None:
    """Whose the server is to be: PostgreSQL refuses to be root's. None: ours."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


class PostgresServer:
    """A PostgreSQL on a Unix socket in a folder of its own, without a thought for what a crash would leave."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = _owner()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def start(self) -> None:
        """Makes it, starts it, and waits until it answers."""
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
        made = self._folder / "data"
        subprocess.run(
            [_program("initdb"), "-D", made, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, user=self._owner, group=self._group, cwd="/", timeout=60,
        )  # fmt: skip
        with (made / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**_SETTINGS, "unix_socket_directories": self._folder}.items())
        self.resume()

    @property
    def _group(self) -> int | None:
        return pwd.getpwnam(self._owner).pw_gid if self._owner is not None else None

    def resume(self) -> None:
        """Starts it with all that it knows."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", self._folder / "data"], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                user=self._owner, group=self._group, cwd="/", start_new_session=True,
            )  # fmt: skip
        ready = [_program("pg_isready"), "-q", "-h", str(self._folder), "-d", "postgres", "-U", "tests"]
        while subprocess.run(ready, check=False, timeout=30).returncode != 0:
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """Ends it at once: all connections break."""
        if self._process is not None and self._process.poll() is None:
            # "Immediate" shutdown (https://www.postgresql.org/docs/current/server-shutdown.html).
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """While this lasts it takes what it is sent, and answers nothing."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        pids = [self._process.pid, *map(int, children)]
        _tell(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _tell(pids, signal.SIGCONT)

    def url(self, database: str = "postgres") -> str:
        """As SQLAlchemy and libpq take it."""
        return f"postgresql://tests@/{database}?host={self._folder}"

    def create(self, template: str = "template1") -> str:
        """A new database, like another one that nobody uses at the moment; its name."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name


def _tell(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        # Processes of connections that are over may be gone.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for the whole session; one that is stopped is started again by whoever stopped it."""
    # Near the root: a socket's path must be shorter than 108 bytes.
    with tempfile.TemporaryDirectory(prefix="hg-postgres-", dir="/tmp") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
