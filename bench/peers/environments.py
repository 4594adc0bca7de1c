"""Environments that peers live in: a virtual environment or a folder of node_modules each, from a lock file with hashes.

LiteLLM was published twice with a thief inside (1.82.7 and 1.82.8, March 2026), and it brings over a hundred packages: what is installed
is what was locked, to the byte, and nothing that comes with it runs while it is installed (wheels only, no scripts of npm packages).
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

_STAMP = ".installed"
_LOG = "install.log"
_NODE = 20


class InstallError(RuntimeError):
    """Why an environment could not be made, for whoever wants the benchmark."""


class Environment(Protocol):
    """A kind of environment."""

    def key(self) -> bytes:
        """Changes whenever the environment has to be made anew."""
        ...

    def make(self, home: Path) -> None:
        """Makes it in `home`, an empty folder. Raises `InstallError`."""
        ...


class PythonEnvironment(Struct, frozen=True):
    """A virtual environment of the Python that runs this."""

    lock: Path
    """Requirements with hashes."""

    def key(self) -> bytes:
        """See `Environment`."""
        return sys.version.encode() + self.lock.read_bytes()

    def make(self, home: Path) -> None:
        """See `Environment`."""
        # Without a pip of its own, which takes longer to install than most else: ours installs into it.
        venv = [sys.executable, "-m", "venv", "--without-pip", str(home / "venv")]
        _run(venv, home, "a virtual environment cannot be made (Debian: python3-venv)")
        pip = [
            sys.executable,
            "-I",
            "-m",
            "pip",
            "--python",
            str(python(home)),
            "--disable-pip-version-check",
            "--no-input",
            "--retries",
            "2",
        ]
        wanted = ["install", "--require-hashes", "--only-binary", ":all:", "-r", str(self.lock)]
        _run([*pip, *wanted], home, "pip cannot install it (is the package registry reachable?)")


class NodeEnvironment(Struct, frozen=True):
    """A folder of node_modules."""

    package: Path
    """The folder of package.json, package-lock.json and .npmrc."""

    def key(self) -> bytes:
        """See `Environment`."""
        return b"".join((self.package / name).read_bytes() for name in ("package.json", "package-lock.json", ".npmrc"))

    def make(self, home: Path) -> None:
        """See `Environment`."""
        npm = shutil.which("npm")
        if npm is None:
            raise InstallError(f"it needs Node.js {_NODE} or newer and npm, and there is no npm on PATH")
        node()
        shutil.copytree(self.package, home, dirs_exist_ok=True)
        _run([npm, "ci", "--omit=dev"], home, "npm cannot install it (is the package registry reachable?)")


def node() -> str:
    """Node.js. Raises `InstallError` if there is none, or an old one."""
    found = shutil.which("node")
    if found is None:
        raise InstallError(f"it needs Node.js {_NODE} or newer, and there is no node on PATH")
    version = node_version(found)
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < _NODE:
        raise InstallError(f"it needs Node.js {_NODE} or newer, and {found} is {version or 'no Node.js'}")
    return found


def node_version(binary: str) -> str:
    """Like `20.11.1`."""
    return subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout.strip().removeprefix("v")


def python(home: Path) -> Path:
    """The interpreter of a virtual environment."""
    return home / "venv" / "bin" / "python"


def is_made(environment: Environment, home: Path) -> bool:
    """True if `home` holds just this environment, whole."""
    try:
        return (home / _STAMP).read_text() == _stamp(environment, home)
    except FileNotFoundError:
        return False


def make(environment: Environment, home: Path) -> None:
    """Makes an environment in `home`, from scratch. Raises `InstallError`; what is there then is not taken for whole."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    environment.make(home)
    (home / _STAMP).write_text(_stamp(environment, home))


def _stamp(environment: Environment, home: Path) -> str:
    # A virtual environment knows where it is: one that was moved is made anew.
    return hashlib.sha256(environment.key() + os.fsencode(home.resolve())).hexdigest()


def _run(command: Sequence[str], home: Path, trouble: str) -> None:
    log = home / _LOG
    with log.open("a") as output:
        code = subprocess.run(command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode
    if code:
        raise InstallError(f"{trouble}: {_last_word(log)} (all that it said is in {log})")


def _last_word(log: Path) -> str:
    """The line of a log that says most: the last that calls itself an error, else the last."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm err", "npm error")) and "complete log" not in line.lower()]
    return (errors or lines or ["it said nothing"])[-1][:300]
