"""The command `headgate`, as people type it: it says what it does, what is in its way, and leaves nothing behind."""

import contextlib
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from msgspec import Struct

from extproc.cli import main
from extproc.control.ports import is_free
from extproc.envoy.binary import validate
from extproc.ledger.store import Store
from tests.e2e.gateway import Gateway, chat
from tests.e2e.upstream import Demo

COMMANDS = [
    "up",
    "serve",
    "check",
    "compile",
    "providers",
    "keys",
    "keys create",
    "keys import",
    "keys list",
    "keys revoke",
    "keys hash",
    "usage",
    "version",
]
HEADGATE = [sys.executable, "-m", "extproc.cli"]
# What is promised is 2 seconds to stop and 3 to start, and 0.3 and 1.7 are what it takes. A machine that runs other tests beside is given
# much more to stop, which is still far less than what must not hold it up; what a start takes is counted in seconds of CPU.
STOPS_WITHIN, STARTS_FOR = 30.0, 10.0


class Done(Struct):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Headgate = Callable[..., Done]


@pytest.fixture
def headgate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Headgate]:
    """Runs a command in an empty folder, with no provider's key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    umask = os.umask(0o022)
    yield run
    os.umask(umask)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        yield Path(folder)


@pytest.fixture
def stopped(tmp_path: Path, config: dict[str, Any]) -> Gateway:
    """A gateway that does not run yet."""
    return Gateway(tmp_path, config)


@pytest.fixture
def typed(tmp_path: Path, config: dict[str, Any]) -> Gateway:
    """The same, whose commands are started as people start them: imports and all."""
    return Gateway(tmp_path, config, by_itself=True)


# What it says.


def test_help_tells_the_whole_story(headgate: Headgate) -> None:
    done = headgate("--help")
    assert done.returncode == 0
    for command in {command.partition(" ")[0] for command in COMMANDS}:
        assert re.search(rf"^    {command}\b", done.stdout, re.MULTILINE), command


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(headgate: Headgate, command: str) -> None:
    done = headgate(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: headgate {command.partition(' ')[0]}" in done.stdout


def test_version(headgate: Headgate) -> None:
    assert re.fullmatch(r"headgate \d+\.\d+\.\d+ \(.*\)\n", headgate("version").stdout)


@pytest.mark.parametrize("arguments", [[], ["upp"], ["check", "a.yaml", "b.yaml"], ["compile", "moon"], ["usage", "--nonsense"]])
def test_what_it_does_not_understand(headgate: Headgate, arguments: list[str]) -> None:
    done = headgate(*arguments)
    assert done.returncode == 2
    assert "usage: headgate" in done.stderr
    assert "Traceback" not in done.stderr


# check


def test_check_of_a_good_configuration(stopped: Gateway) -> None:
    done = stopped.run("check", "gateway.yaml")
    assert done.returncode == 0, done.stderr
    assert "good; 2 providers" in done.stdout
    assert "written here plainly" in done.stderr


def test_check_without_a_configuration_checks_the_built_in_one(headgate: Headgate, tmp_path: Path) -> None:
    done = headgate("check", "--no-envoy")
    assert done.returncode == 0, done.stderr
    assert "quickstart.yaml: good" in done.stdout
    assert "OPENAI_API_KEY" in done.stdout
    assert list(tmp_path.iterdir()) == []


WRONG = """\
providers:
  o:
    dialect: opennai
    base_url: ftp://nowhere
    kye: x
models:
  - name: m
    targets: [oo/m]
  - targets: []
filters:
  - auth:
  - rout:
listener:
  port: 99999
limits:
  request_body: many
"""


def test_check_finds_everything_that_is_wrong(headgate: Headgate, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(WRONG)
    done = headgate("check")
    assert (done.returncode, done.stdout) == (2, "")
    found = re.findall(r"^.*gateway\.yaml:(\d+):\d+: error: (\$[^:]*): (.*)$", done.stderr, re.MULTILINE)
    places = {(int(line), path) for line, path, _ in found}
    assert places >= {
        (3, "$.providers.o.dialect"),
        (4, "$.providers.o.base_url"),
        (5, "$.providers.o.kye"),
        (9, "$.models[1].targets"),
        (12, "$.filters[1].rout"),
        (14, "$.listener.port"),
        (16, "$.limits.request_body"),
    }
    said = {path: message for _, path, message in found}
    assert '"key"' in said["$.providers.o.kye"]
    assert "openai" in said["$.providers.o.dialect"]
    assert '"route"' in said["$.filters[1].rout"]


@pytest.mark.parametrize("text", ["", "providers: [", "- a\n- b", "\x00", "a: &a [*a]", "providers: {}\nmodels: []\n"])
def test_check_of_what_is_no_configuration(headgate: Headgate, tmp_path: Path, text: str) -> None:
    (tmp_path / "gateway.yaml").write_text(text)
    done = headgate("check")
    assert done.returncode == 2
    assert "gateway.yaml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["up"], ["serve"], ["check"], ["compile", "edge"], ["usage"], ["keys", "list"]])
def test_a_file_that_is_not_there(headgate: Headgate, command: list[str]) -> None:
    done = headgate(*command, "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


# compile


@pytest.mark.parametrize("form", ["edge", "sidecar"])
def test_envoy_takes_what_is_compiled(stopped: Gateway, short: Path, form: str) -> None:
    done = stopped.run("compile", form, "--run-dir", str(short), "gateway.yaml")
    assert done.returncode == 0, done.stderr
    document = yaml.safe_load(done.stdout)
    assert validate(document) == []
    address = document["static_resources"]["listeners"][0]["address"]["socket_address"]
    assert address == {"address": "127.0.0.1", "port_value": stopped.port}


def test_the_parts_to_attach(stopped: Gateway, short: Path) -> None:
    done = stopped.run("compile", "attach", "gateway.yaml", "--run-dir", str(short))
    assert done.returncode == 0, done.stderr
    parts = yaml.safe_load(done.stdout)
    assert set(parts) >= {"http_connection_manager", "virtual_host", "validate_clusters", "clusters"}
    assert done.stdout.startswith("#")


# up


def check_free(gateway: Gateway) -> None:
    assert is_free("127.0.0.1", gateway.port)
    assert is_free("127.0.0.1", gateway.operator_port)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def wait(true: Callable[[], object], seconds: float, what: str) -> float:
    """Waits until something is true; how long that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.03)
    return time.monotonic() - began


def offspring(pid: int) -> dict[int, str]:
    """A process's children and their command lines."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            stat = (process / "stat").read_text().rpartition(") ")[2].split()
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, IndexError):
            continue
        if int(stat[1]) == pid and stat[0] != "Z":
            found[int(process.name)] = line
    return found


def test_up_says_what_is_where(gateway: Gateway) -> None:
    said = gateway.log.read_text()
    assert f"http://127.0.0.1:{gateway.port}" in said
    assert f"{gateway.operator}/metrics" in said
    assert "this machine only" in said
    assert "Ctrl-C" in said
    curl = said[said.index("  curl ") : said.index("Ctrl-C")]
    done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_a_second_one_on_the_same_ports(gateway: Gateway, tmp_path: Path, config: dict[str, Any]) -> None:
    second = Gateway(tmp_path, config)
    second.port, second.operator_port = gateway.port, gateway.operator_port
    second.write(config)
    done = second.run("up", "gateway.yaml")
    assert done.returncode == 1
    assert f"port {gateway.port} on 127.0.0.1 is taken by envoy (pid {gateway.envoy()})" in done.stderr
    assert re.search(rf"port {gateway.operator_port} on 127\.0\.0\.1 is taken by \S+ \(pid {gateway.pid}\)", done.stderr)
    assert httpx.get(f"{gateway.url}/v1/models", verify=False).status_code == 200


def test_a_second_one_on_the_same_state(gateway: Gateway, tmp_path: Path, config: dict[str, Any]) -> None:
    second = Gateway(tmp_path, {**config, "state": str(gateway.state)})
    done = second.run("up", "gateway.yaml")
    assert done.returncode == 1
    assert f"(pid {gateway.pid})" in done.stderr
    assert str(gateway.state) in done.stderr
    assert httpx.get(f"{gateway.url}/v1/models", verify=False).status_code == 200


def test_a_port_that_somebody_else_has(stopped: Gateway) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stopped.port))
        taken.listen()
        done = stopped.run("up", "gateway.yaml")
    assert done.returncode == 1
    assert f"(pid {os.getpid()})" in done.stderr


@pytest.mark.parametrize(("start", "number"), [("typed", signal.SIGINT), ("stopped", signal.SIGTERM)])
def test_it_starts_and_stops_at_once(request: pytest.FixtureRequest, start: str, number: signal.Signals) -> None:
    gateway: Gateway = request.getfixturevalue(start)
    with gateway as running:
        children = offspring(running.pid)
        assert len(children) == 2
        assert sum(map(cpu, (running.pid, *children))) < STARTS_FOR
        # A stream under way does not hold it up.
        body = chat("Hello [demo: tokens=500 gap=1]", stream=True)
        with httpx.Client(verify=False) as client, client.stream("POST", f"{running.url}/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            os.kill(running.pid, number)
            wait(lambda: not alive(running.pid), STOPS_WITHIN, "it ends")
        assert running.stop() == 0
        assert [pid for pid in children if alive(pid)] == []
        check_free(running)
        assert "Traceback" not in running.log.read_text()


@contextlib.contextmanager
def beginning(gateway: Gateway) -> Iterator["subprocess.Popen[str]"]:
    """The command, while it starts; whatever becomes of the test, it does not stay."""
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [*HEADGATE, "up", str(gateway.path)]
    with subprocess.Popen(
        command, env=environ, cwd=gateway.folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("moment", ["announced", "worker", "compiling", "envoy"])
def test_it_stops_while_it_starts(stopped: Gateway, moment: str) -> None:
    with beginning(stopped) as process:
        assert process.stderr is not None
        while "is starting" not in process.stderr.readline():
            assert process.poll() is None
        sign = {"announced": "", "worker": "extproc.worker", "compiling": "extproc.worker", "envoy": "--config-path"}[moment]
        seen: dict[int, str] = {}

        def started() -> bool:
            seen.update(offspring(process.pid))
            return not sign or any(sign in line for line in seen.values())

        wait(started, 30, f"{moment} is there")
        if moment == "compiling":
            # Most of a second, in which it imports what C++ has made.
            time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        wait(lambda: process.poll() is not None, STOPS_WITHIN, "it ends")
        # Before there is anything to end, the signal itself ends it.
        assert process.returncode in ((0, -signal.SIGINT) if moment == "announced" else (0,))
        assert [pid for pid in seen if alive(pid)] == []
        assert "Traceback" not in process.stderr.read()
        check_free(stopped)


def test_nothing_outlives_a_kill(stopped: Gateway) -> None:
    with stopped as running:
        children = offspring(running.pid)
        assert len(children) == 2
        os.kill(running.pid, signal.SIGKILL)
        wait(lambda: not any(map(alive, children)), STOPS_WITHIN, "Envoy and workers end with it")
        # The children hear of it when one thread of it ends; the last of its threads closes the ports.
        wait(lambda: is_free("127.0.0.1", running.operator_port), STOPS_WITHIN, "its port is free")
        check_free(running)
    # And what it left on disk is in nobody's way.
    with stopped as again:
        assert httpx.get(f"{again.url}/v1/models", verify=False).status_code == 200


def test_it_says_why_envoy_does_not_start(tmp_path: Path, config: dict[str, Any]) -> None:
    fake = tmp_path / "no-envoy"
    version = "envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL"
    fake.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo '{version}' && exit\necho 'this is no envoy' >&2\nexit 1\n")
    fake.chmod(0o755)
    gateway = Gateway(tmp_path, config, {"HEADGATE_ENVOY": str(fake)})
    done = gateway.run("up", "gateway.yaml")
    assert done.returncode == 1
    assert "envoy.log" in done.stderr
    assert "this is no envoy" in (gateway.state / "envoy.log").read_text()
    assert "Traceback" not in done.stderr
    check_free(gateway)


# usage


@pytest.fixture(scope="module")
def used(gateway: Gateway, openai_provider: Demo) -> Gateway:
    """A gateway that has answered two requests of one model."""
    before = sum(row["requests"] for row in gateway.ledger())
    for _ in range(2):
        httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", "gpt-4o-mini"), verify=False).raise_for_status()
    gateway.ledger(requests=before + 2)
    return gateway


def test_usage_as_a_table(used: Gateway) -> None:
    done = used.run("usage", "gateway.yaml", "--by", "model")
    assert done.returncode == 0, done.stderr
    header, rule, *rows = done.stdout.splitlines()
    assert header.split()[:2] == ["model", "requests"]
    assert set(rule) == {"-"}
    assert any(row.split()[:2] == ["gpt-4o-mini", "2"] for row in rows)
    assert any(row.startswith("total") for row in rows)


def test_usage_for_programs(used: Gateway) -> None:
    document = json.loads(used.run("usage", "--by", "provider,model", "--json", "gateway.yaml").stdout)
    assert document["by"] == ["provider", "model"]
    (row,) = [row for row in document["rows"] if row["model"] == "gpt-4o-mini"]
    assert (row["provider"], row["requests"]) == ("o", 2)
    assert isinstance(row["cost"], str)
    assert document["total"]["requests"] >= 2


def test_usage_for_spreadsheets(used: Gateway) -> None:
    rows = list(csv.DictReader(io.StringIO(used.run("usage", "gateway.yaml", "--by", "day,model", "--csv").stdout)))
    (row,) = [row for row in rows if row["model"] == "gpt-4o-mini"]
    assert row["requests"] == "2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["day"])


def test_usage_of_a_time(used: Gateway) -> None:
    rows = json.loads(used.run("usage", "gateway.yaml", "--until", "2020-01-01", "--json").stdout)["rows"]
    assert rows == []
    assert used.run("usage", "gateway.yaml", "--since", "1h", "--by", "model").stdout.count("gpt-4o-mini") == 1


@pytest.mark.parametrize("arguments", [["--by", "colour"], ["--since", "yesterday"], ["--json", "--csv"]])
def test_usage_that_makes_no_sense(used: Gateway, arguments: list[str]) -> None:
    done = used.run("usage", "gateway.yaml", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_usage_where_no_gateway_has_run(headgate: Headgate, tmp_path: Path) -> None:
    """Whoever reports makes nothing, and says where it has looked."""
    (tmp_path / "none").mkdir()
    done = headgate("usage", "--state", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no ledger in {tmp_path / 'none'}" in done.stderr
    assert list((tmp_path / "none").iterdir()) == []
    before = sorted(tmp_path.iterdir())
    done = headgate("usage")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no ledger in /" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_usage_of_nothing(headgate: Headgate, tmp_path: Path) -> None:
    Store(tmp_path / "state" / "ledger.sqlite3").close()
    done = headgate("usage", "--state", str(tmp_path / "state"))
    assert (done.returncode, done.stdout.strip()) == (0, "no usage recorded")


@pytest.mark.parametrize("command", [["usage"], ["keys", "list"], ["keys", "revoke", "somebody"]])
def test_a_state_folder_that_is_not_there(headgate: Headgate, tmp_path: Path, command: list[str]) -> None:
    """Whoever only reads makes none: its name is misspelt."""
    done = headgate(*command, "--state", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no folder {tmp_path / 'none'}" in done.stderr
    assert not (tmp_path / "none").exists()
