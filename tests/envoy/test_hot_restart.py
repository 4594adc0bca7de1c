"""What an Envoy is told that another one may take over from."""

import subprocess
import sys
from pathlib import Path

import pytest

from extproc.envoy import hot_restart
from extproc.envoy.binary import arguments, find_envoy
from extproc.envoy.hot_restart import Place


def test_the_command_line(tmp_path: Path) -> None:
    told = arguments("x.yaml", threads=1, place=Place(base_id=7, epoch=2, socket=str(tmp_path / "s"), drain=24.2))
    assert "--disable-hot-restart" not in told
    named = dict(zip(told[::2], told[1::2], strict=False))
    assert named | {"--base-id": "7", "--restart-epoch": "2", "--drain-time-s": "25", "--parent-shutdown-time-s": "26"} == named
    assert told[-1] == "--skip-hot-restart-parent-stats"
    # Envoy refuses a time of 0 for this.
    assert "--drain-time-s 1 --parent-shutdown-time-s 1" in " ".join(Place(7, 0, "s", 0.0).arguments())
    done = subprocess.run([find_envoy(), "--mode", "validate", *told], capture_output=True, text=True, check=False)
    # It understands all of it, and finds no such file.
    assert "x.yaml" in done.stderr and "PARSE ERROR" not in done.stderr


def test_its_version() -> None:
    assert hot_restart.version(find_envoy()).startswith("11.")
    with pytest.raises(subprocess.CalledProcessError):
        hot_restart.version("false")


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such shared memory")
def test_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = hot_restart.base_id("/run/headgate")
    assert base == hot_restart.base_id("/run/headgate") != hot_restart.base_id("/run/other")
    assert base is not None and 0 <= base * 10 + 9 < 2**32
    monkeypatch.setattr(hot_restart, "_SHARED_MEMORY", tmp_path)
    left = tmp_path / f"envoy_shared_memory_{base * 10}"
    left.touch()
    hot_restart.forget(base)
    hot_restart.forget(base)
    assert not left.exists()
    # A container may have none.
    monkeypatch.setattr(hot_restart, "_SHARED_MEMORY", tmp_path / "nowhere")
    assert hot_restart.base_id("/run/headgate") is None
