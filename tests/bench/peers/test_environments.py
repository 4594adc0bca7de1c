"""Environments are made from what was locked and nothing else, and whoever lacks something is told what."""

import base64
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from bench.peers.environments import InstallError, NodeEnvironment, PythonEnvironment, is_made, make, node, python

PACKAGE = Path(__file__).parents[3] / "bench" / "peers" / "portkey"


def wheel(folder: Path) -> str:
    """A package `peerless` 1.0. Returns the digest that a lock file names."""
    files = {
        "peerless.py": "ANSWER = 42\n",
        "peerless-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: peerless\nVersion: 1.0\n",
        "peerless-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "peerless-1.0.dist-info/RECORD"
    path = folder / "peerless-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        lines = []
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text)}")
            archive.writestr(name, text)
        archive.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    digest = wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    path = tmp_path / "peer.lock"
    path.write_text(f"peerless==1.0 --hash=sha256:{digest}\n")
    return path


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_was_locked_is_installed(lock: Path, tmp_path: Path) -> None:
    environment, home = PythonEnvironment(lock), tmp_path / "peers" / "one"
    assert not is_made(environment, home)
    make(environment, home)
    assert is_made(environment, home)
    command = [str(python(home)), "-I", "-c", "import peerless; print(peerless.ANSWER)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"

    moved = home.rename(tmp_path / "peers" / "two")
    assert not is_made(environment, moved), "a virtual environment that was moved does not work"
    moved.rename(home)
    assert is_made(environment, home)
    lock.write_text(f"{lock.read_text()}other==2.0\n")
    assert not is_made(environment, home), "another version is wanted now"


def test_another_file_than_the_locked_one_is_refused(lock: Path, tmp_path: Path) -> None:
    environment, home = PythonEnvironment(lock), tmp_path / "peer"
    lock.write_text(f"peerless==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(InstallError, match=r"pip cannot install it .*HASHES.*install\.log"):
        make(environment, home)
    assert not is_made(environment, home)


def test_without_node_it_is_said_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InstallError, match=r"Node\.js 20 or newer and npm, and there is no npm on PATH"):
        make(NodeEnvironment(PACKAGE), tmp_path / "peer")
    executable(tmp_path / "bin" / "npm", "exit 0")
    with pytest.raises(InstallError, match=r"Node\.js 20 or newer, and there is no node on PATH"):
        make(NodeEnvironment(PACKAGE), tmp_path / "peer")
    executable(tmp_path / "bin" / "node", "echo v18.20.4")
    with pytest.raises(InstallError, match=r"Node\.js 20 or newer, and .*node is 18\.20\.4"):
        make(NodeEnvironment(PACKAGE), tmp_path / "peer")
    assert not is_made(NodeEnvironment(PACKAGE), tmp_path / "peer")
    executable(tmp_path / "bin" / "node", "echo v22.1.0")
    assert node() == str(tmp_path / "bin" / "node")


def test_what_npm_says_last_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    executable(tmp_path / "bin" / "node", "echo v20.1.0")
    said = "npm error code ENOTFOUND\nnpm error network getaddrinfo ENOTFOUND registry\nnpm error A complete log of this run is in npm.log"
    executable(tmp_path / "bin" / "npm", f"echo '{said}'; exit 1")
    with pytest.raises(InstallError, match=r"npm cannot install it .*: npm error network getaddrinfo ENOTFOUND registry \("):
        make(NodeEnvironment(PACKAGE), tmp_path / "peer")
    executable(tmp_path / "bin" / "npm", 'echo "$@" > asked')
    make(NodeEnvironment(PACKAGE), tmp_path / "peer")
    assert is_made(NodeEnvironment(PACKAGE), tmp_path / "peer")
    assert (tmp_path / "peer" / "asked").read_text() == "ci --omit=dev\n"
    assert "ignore-scripts=true" in (tmp_path / "peer" / ".npmrc").read_text()
