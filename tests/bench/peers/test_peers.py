"""What is compared with: pinned, left out where it is not installed, started and ended like any system."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from bench.children import free_port
from bench.peers import peers
from bench.peers.environments import NodeEnvironment, PythonEnvironment
from bench.peers.install import main
from bench.peers.known import PEERS
from bench.peers.peer import HOST, Peer
from bench.system import Target

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Scripted(Peer):
    """A gateway of a few lines."""

    name = "scripted"
    version = "1.0"

    def __init__(self, script: str, folder: Path) -> None:
        super().__init__(folder)
        self._script = script

    async def start(self, provider: str, folder: Path) -> Target:
        port = free_port()
        await self.spawn([sys.executable, "-c", self._script, str(port)], folder, {})
        return await self.ready(Target(host=HOST, port=port, model="other"), folder, 60)


def test_every_package_is_pinned_by_hash() -> None:
    for name, kind in PEERS.items():
        environment = kind.environment
        if isinstance(environment, PythonEnvironment):
            text = environment.lock.read_text()
            assert re.search(rf"^{name}(\[.*\])?=={re.escape(kind.version)} ", text, re.MULTILINE)
            blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
            assert [block for block in blocks if "--hash=sha256:" not in block or "==" not in block] == []
        else:
            assert isinstance(environment, NodeEnvironment)
            packages = json.loads((environment.package / "package-lock.json").read_text())["packages"]
            assert packages["node_modules/@portkey-ai/gateway"]["version"] == kind.version
            # Newer ones break its streams.
            assert packages["node_modules/@hono/node-server"]["version"] == "1.13.5"
            assert [path for path, package in packages.items() if path and not package["integrity"].startswith("sha512-")] == []


def test_what_cannot_be_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["portkey", "--folder", str(tmp_path / "peers")]) == 1
    assert re.search(r"portkey [\d.]+: left out: it needs Node\.js 20 or newer and npm", capsys.readouterr().err)
    assert peers(tmp_path / "peers") == []
    said = capsys.readouterr().err
    assert all(f"left out: {name} is not installed" in said for name in PEERS)


def test_wrong_names_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["portkei"])
    assert "no such peer: portkei (there are tensorzero, portkey, litellm)" in capsys.readouterr().err


def test_the_versions_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v20.11.1\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    kinds = PEERS["portkey"], PEERS["litellm"]
    assert [kind(tmp_path).versions for kind in kinds] == [f"{kinds[0].version} (Node.js 20.11.1)", kinds[1].version]


async def test_a_peer_is_started_and_ended(tmp_path: Path) -> None:
    peer = Scripted(SERVER, tmp_path)
    try:
        target = await peer.start("http://127.0.0.1:1", tmp_path)
        (pid,) = target.pids["gateway"]
        os.kill(pid, 0)
        assert target.model == "other"
    finally:
        await peer.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await peer.stop()


async def test_a_peer_that_dies_is_quoted(tmp_path: Path) -> None:
    peer = Scripted("raise SystemExit('no such model')", tmp_path)
    with pytest.raises(RuntimeError, match=r"scripted 1\.0 does not start: it has ended .*\nno such model"):
        await peer.start("http://127.0.0.1:1", tmp_path)
    await peer.stop()
