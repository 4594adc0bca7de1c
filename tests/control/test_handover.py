"""What one control process leaves to the next."""

import asyncio
import fcntl
import os
import socket
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from extproc.config.model import Config, Provider
from extproc.control import handover
from extproc.control.children import Handed
from extproc.control.handover import HandedEnvoy, Handover, Status
from extproc.control.standing import Standing
from extproc.ledger.metrics import Metrics
from extproc.standing.renewed import asked
from extproc.standing.told import Stand

LEFT = Handover(
    version="1.2.3", number=7,
    workers={"worker-0": Handed(100, (99,), 2), "worker-1": Handed(None)},
    envoy=HandedEnvoy(Handed(200), 4711, "f00d"), addresses={"openai": ("https://api.openai.com/v1", None)},
)  # fmt: skip


def file_of(content: bytes) -> str:
    """The number of a descriptor that it can be read from, which is the reader's to close."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return str(os.dup(file.fileno()))


def test_it_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [socket.socket() for _ in range(4)]
    lock, *others = (each.fileno() for each in kept)
    left = msgspec.structs.replace(LEFT, lock=lock, sockets={"link": others[:1], "admin": others[1:]})
    for each in kept:
        each.set_inheritable(True)
    monkeypatch.setenv("HEADGATE_HANDOVER", file_of(msgspec.json.encode(left)))
    assert handover.taken() == left
    # Children would inherit it, and the program after the next.
    assert "HEADGATE_HANDOVER" not in os.environ
    assert not any(each.get_inheritable() for each in kept)
    assert handover.taken() is None
    for each in kept:
        each.close()


def test_a_later_version_may_leave_more_and_an_earlier_one_less(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as lock:
        monkeypatch.setenv("HEADGATE_HANDOVER", file_of(b'{"version": "0.1", "what is this": [1], "lock": %d}' % lock.fileno()))
        assert handover.taken() == Handover(version="0.1", lock=lock.fileno())


def test_how_far_it_has_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert handover.status(tmp_path) == Status()
    assert not Status(1, "checking").final and not Status(1, "replacing").final
    for stage in ("done", "refused", "partly"):
        now = Status(1, stage, ("because",), "1.2.3")
        handover.report(tmp_path, now)
        assert handover.status(tmp_path) == now and now.final
    (tmp_path / "upgrade.json").write_text("{")
    assert handover.status(tmp_path) == Status()
    handover.report(tmp_path / "nowhere", Status())
    assert "nobody is told" in caplog.text


def test_who_holds_a_state_folder(tmp_path: Path) -> None:
    assert handover.holder(tmp_path) is None
    path = tmp_path / "headgate.pid"
    path.write_text("nobody")
    assert handover.holder(tmp_path) is None
    path.write_text(f"{os.getpid()}\n")
    # The file of one that was killed stays.
    assert handover.holder(tmp_path) is None
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert handover.holder(tmp_path) == os.getpid()


async def test_what_stood_ill_still_does(tmp_path: Path) -> None:
    left = [
        Stand("a", "m", "", "open", 30.0, 1.0, "503"),
        Stand("b", "m", "", "half_open", -3.0, 60.0, "503"),
        Stand("c", "", "first", "cooling", 20.0, 1.0),
        Stand("d", "m", "", "limited", 2.0, 1.0),
    ]
    pushed: list[bytes] = []

    async def push(message: bytes) -> None:
        pushed.append(message)

    standing = Standing(push, Metrics("0").standing, tmp_path / "attempts.log")
    config = Config(providers={name: Provider(dialect="openai", base_url=f"http://{name}/") for name in "abcde"}, models=())
    await standing.follow(config)
    # Of the last one the next version reads another key than the one before did.
    e = msgspec.structs.replace(config.providers["e"], key="sk-before")
    before = asked(msgspec.structs.replace(config, providers=config.providers | {"e": e}))
    standing.resume([*left, Stand("e", "m", "", "open", 30.0, 1.0, "401"), Stand("e", "n", "", "cooling", 30.0, 1.0)], before)
    await asyncio.sleep(0.05)
    found = {one.provider: (one.name, one.state) for one in standing.stands()}
    assert found == {one.provider: (one.name, one.state) for one in left}
    lasts = {one.provider: one.left for one in standing.stands()}
    assert 29 < lasts["a"] <= 30 and 19 < lasts["c"] <= 20
    assert len(pushed) == 1
    await standing.close()


async def test_a_trial_is_the_same_program_with_another_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "headgate"
    program.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(2 * (sys.argv[-1] == 'bad'))")
    monkeypatch.setattr(sys, "argv", [str(program), "up", "gateway.yaml"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", str(program), "up", "gateway.yaml"])
    assert await handover.trial(["good"]) == ""
    assert await handover.trial(["--state", "bad"]) == "['upgrade', '--check', '--state', 'bad']"
