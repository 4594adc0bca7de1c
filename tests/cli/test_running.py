"""How the process ends that runs the gateway."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from extproc.cli import main
from extproc.cli.running import told_of_callers
from extproc.config.callers import Callers, Mesh, Workload
from extproc.config.certificates import ListenerTls
from extproc.config.listeners import Listener
from filters.auth import Auth
from tests.e2e.ports import free_port
from tests.scene import CONFIG

# A start that is given up while Envoy's configuration is compiled, or after that; the thread lives on when its work is done.
STORY = """
import asyncio, atexit, sys, threading, time
from extproc.cli.running import _ended
from extproc.control.compiler import _aside

def linger(frame, event, _):
    if event == "return" and frame.f_code.co_name == "run" and frame.f_code.co_filename.endswith("aside.py"):
        time.sleep(60)

threading.setprofile(linger)

async def start():
    work = asyncio.create_task(_aside(lambda: time.sleep({takes})))
    await asyncio.wait({{work}}, timeout={waits})

atexit.register(print, "Python has ended by itself")
asyncio.run(start())
print("ended")
sys.exit(_ended(3))
"""


@pytest.mark.parametrize(("takes", "waits", "said"), [(60, 0.5, "ended\n"), (0, 20, "ended\nPython has ended by itself\n")])
def test_nobody_waits_for_a_compilation_and_none_is_torn_apart(takes: int, waits: float, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORY.format(takes=takes, waits=waits)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")


@pytest.fixture
def umask() -> Iterator[None]:
    """What the command changes of this process."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_port_of_the_operator_s_own_listener_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        own = {"name": "own", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": []}
        whole = {
            "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}}, "models": [{"name": "*", "targets": ["demo"]}],
            "listener": {"port": free_port()}, "admin": {"port": free_port()}, "api": {"address": "off"}, "envoy": {"listeners": [own]},
        }  # fmt: skip
        path = tmp_path / "gateway.yaml"
        path.write_text(yaml.safe_dump(whole))
        assert main(["up", str(path), "--state", str(tmp_path / "state")]) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"headgate: port {port} ")]
        assert " on 127.0.0.1 is taken by " in line and line.endswith("`$.envoy.listeners[0]`.")


ASKS = ListenerTls(certificate="a.crt", key="a.key", client_ca="ca.pem")
MESH = Mesh(workloads=(Workload(dns="{key}.test"),))
KEY, CERTIFICATE = " -H 'authorization: Bearer YOUR_KEY'", " --cert YOUR.crt --key YOUR.key"


@pytest.mark.parametrize(
    ("listener", "mesh", "required", "keys", "said", "options"),
    [
        ({}, None, None, False, "no keys configured: this machine only", ""),
        ({"open": True}, None, None, False, "no keys configured: anybody may call", ""),
        ({}, None, None, True, "callers need a key", KEY),
        ({}, None, False, True, "no key is needed: this machine only", ""),
        ({"address": "0.0.0.0"}, None, False, True, "callers need a key", KEY),
        ({"tls": replace(ASKS, client_certificate="wanted")}, MESH, False, True, "no key is needed: this machine only", ""),
        ({"tls": replace(ASKS, client_certificate="wanted")}, MESH, None, True, "callers need a key", KEY),
        ({"tls": ASKS}, None, None, False, "no keys configured: this machine only, with a certificate", CERTIFICATE),
        ({"tls": ASKS}, None, None, True, "callers need a certificate and a key", CERTIFICATE + KEY),
        ({"tls": ASKS}, MESH, None, True, "callers need a certificate", CERTIFICATE),
    ],
)
def test_the_banner_says_what_callers_need(
    listener: dict[str, Any], mesh: Mesh | None, required: bool | None, keys: bool, said: str, options: str
) -> None:
    config = replace(CONFIG, listener=Listener(**listener), callers=Callers(mesh=mesh))
    assert told_of_callers(config, [Auth(required=required)], keys=keys, with_envoy=True) == (said, options)


def test_a_key_is_not_waived_where_somebody_elses_envoy_asks() -> None:
    assert told_of_callers(CONFIG, [Auth(required=False)], keys=True, with_envoy=False) == ("callers need a key", KEY)
