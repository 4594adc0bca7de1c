"""An Envoy that runs for as long as its admin port is looked at."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from extproc.config.model import Limits
from extproc.doctor.admin import Unreadable, ask
from extproc.doctor.dump import Dump
from extproc.envoy.binary import find_envoy

_LONGEST = 60
# As docs/attach.md says; and nobody needs Envoy's shared memory here.
_ARGUMENTS = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
_FLUSHED = ("--file-flush-interval-msec", "250")


@contextlib.contextmanager
def running(folder: Path, bootstrap: dict[str, Any], *arguments: str) -> Iterator[str]:
    """The address of its admin port, in a folder whose name is short. `arguments`: of Envoy's own, in place of what is
    recommended.
    """
    admin, path, errors = folder / "admin.sock", folder / "envoy.json", folder / "errors"
    path.write_bytes(msgspec.json.encode({**bootstrap, "admin": {"address": {"pipe": {"path": str(admin)}}}}))
    with errors.open("wb") as log:
        process = subprocess.Popen([find_envoy(), "-c", str(path), *_ARGUMENTS, *(arguments or _FLUSHED)], stderr=log)
        try:
            _await(process, f"unix:{admin}", errors)
            yield f"unix:{admin}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _await(process: "subprocess.Popen[bytes]", url: str, errors: Path) -> Dump:
    deadline = time.monotonic() + _LONGEST
    while True:
        assert process.poll() is None, errors.read_text()
        try:
            dump = ask(url, Limits())
        except Unreadable:
            assert time.monotonic() < deadline, f"no Envoy answered in {_LONGEST} s"
        else:
            if dump.server["state"] == "LIVE":
                return dump
        time.sleep(0.02)
