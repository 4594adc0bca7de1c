"""The command itself, on a real Envoy: small, and every part of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from bench.__main__ import main
from bench.children import free_port
from bench.outcome import Outcome
from bench.ready import until_answers
from bench.system import Target

COMMAND = [sys.executable, "-m", "bench", "--quick", "--rounds", "2", "--turn", "0.05"]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def test_a_small_run(tmp_path: Path) -> None:
    systems = ["direct", "envoy", "noop-native", "headgate"]
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    command = [*COMMAND, "--out", str(out), "--systems", *systems, "--cells", "json-10k-c16", "sse10-*"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment(temporary), check=False)
    assert done.returncode == 0, done.stderr
    assert "round 2 of 2" in done.stderr
    (raw,) = out.glob("*.json")
    outcome = msgspec.json.decode(raw.read_bytes(), type=Outcome)
    measured = {(turn.cell, turn.system, turn.round) for turn in outcome.turns}
    plain = {("json-10k-c16", system, number) for system in systems for number in (1, 2)}
    assert measured == plain | {("sse10-10k-c1", system, number) for system in systems[1:] for number in (1, 2)}
    assert all(turn.result.count and turn.result.p99 >= turn.result.p50 > 0 for turn in outcome.turns)
    parts = {turn.system: {part for part, seconds in turn.cpu.items() if seconds > 0} for turn in outcome.turns}
    assert parts["noop-native"] == {"envoy", "workers"}
    assert {"envoy", "workers"} <= parts["headgate"]
    # It is read a second time, by then without what its children have used since they began: those are other parts.
    assert all(turn.cpu["control"] < 0.25 for turn in outcome.turns if turn.system == "headgate")
    assert (parts["direct"], parts["envoy"]) == (set(), {"envoy"})
    assert outcome.alone["workers"] > 5_000_000
    (page,) = out.glob("*.md")
    assert "| headgate |" in page.read_text()
    assert [path.name for path in temporary.iterdir()] == []


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    command = [*COMMAND, "--rounds", "500", "--out", str(out), "--systems", "envoy", "noop-native"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(temporary)) as running:
        assert running.stderr is not None
        lines = iter(running.stderr.readline, "")
        assert any("round 1 of" in line for line in lines), "it ended by itself"
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert not out.exists()
    assert list(temporary.iterdir()) == []
    assert [line for line in _command_lines() if str(temporary) in line] == []


def _command_lines() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found


def test_wrong_words_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--quick", "--cells", "nonsense"])
    assert ended.value.code == 2
    assert "the cells are json-10k-c1, json-10k-c16, sse10-10k-c1" in capsys.readouterr().err


def test_the_cells_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["json-10k-c1", "json-10k-c16", "sse10-10k-c1"]


async def test_what_never_answers_is_not_waited_for_forever() -> None:
    target = Target(host="127.0.0.1", port=free_port())
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"no answer within 0\.2 s"):
        await until_answers(target, seconds=0.2)
    with pytest.raises(RuntimeError, match="it has ended"):
        await until_answers(target, seconds=60, alive=lambda: False)
    silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", target.port)
    with pytest.raises(RuntimeError, match="it is silent"):
        await until_answers(target, seconds=0.2)
    silent.close()
    assert time.monotonic() - began < 20
