"""`headgate upgrade` where there is nothing to upgrade, or nobody who says how it goes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.control import handover
from extproc.control.handover import Status

CONFIG = """
providers: {demo: {dialect: openai, base_url: "demo:"}}
models: [{name: demo, targets: [demo]}]
state: state
"""
RUNNING = """
import fcntl, os, signal, sys
signal.signal(signal.SIGUSR2, lambda *_: print("is asked", flush=True) if sys.argv[2] == "silent" else sys.exit())
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("runs", flush=True)
while True: signal.pause()
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    return tmp_path / "gateway.yaml"


class Other:
    """A process that has the state folder."""

    def __init__(self, gateway: Path, how: str) -> None:
        command = [sys.executable, "-c", RUNNING, str(gateway.parent / "state" / "headgate.pid"), how]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def asked(self) -> None:
        """Returns when it is asked to become another version."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"is asked\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other(gateway: Path, request: pytest.FixtureRequest) -> Iterator[Other]:
    made = Other(gateway, request.param)
    yield made
    made.end()


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_nothing_runs(gateway: Path, check: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", *check, str(gateway)]) == (2 if check else 1)
    assert f"no gateway runs on {gateway.parent / 'state'}" in capsys.readouterr().err


def test_a_wrong_configuration(gateway: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.write_text(CONFIG + "typo: 1\n")
    assert main(["upgrade", "--check", str(gateway)]) == 2
    assert "typo" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["silent"], indirect=True)
def test_check(gateway: Path, other: Other, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--check", "--serve", str(gateway)]) == 2
    assert "everybody who reaches that Envoy" in capsys.readouterr().err
    assert main(["upgrade", "--check", "--serve", "--private", str(gateway)]) == 0
    assert "could take over" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["ends"], indirect=True)
def test_one_that_ends_of_it(gateway: Path, other: Other, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", str(gateway)]) == 1
    assert f"the gateway (pid {other.process.pid}) has ended" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["silent"], indirect=True)
@pytest.mark.parametrize(
    ("last", "code", "told"),
    [
        (Status(4, "done", (), "9.9"), 0, "Headgate 9.9 serves"),
        (Status(4, "partly", ("worker-0 goes on as it was",), "9.9"), 1, "worker-0 goes on as it was"),
        (Status(4, "refused", ("no Envoy",), "9.8"), 2, "refused; 9.8 goes on as before"),
    ],
)
def test_what_comes_of_it(
    gateway: Path, other: Other, last: Status, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    state = gateway.parent / "state"
    # The last one's end is not this one's.
    handover.report(state, Status(3, "refused", ("of old",)))

    def answer() -> None:
        other.asked()
        handover.report(state, Status(4, "checking"))
        handover.report(state, last)

    answering = threading.Thread(target=answer)
    answering.start()
    assert main(["upgrade", str(gateway)]) == code
    answering.join()
    said = capsys.readouterr()
    assert told in said.out + said.err
    assert "of old" not in said.err
