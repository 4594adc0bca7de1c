"""A container of the image, for as long as a test wants it: processes in its root folder, its mounts and its network."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.k8s.image.building import ROOT

_WRITABLE = ("/tmp", "/var/lib/headgate")
"""What a Pod with `readOnlyRootFilesystem` mounts: empty folders."""


class Container:
    """What an image's entry point becomes, from `with` to its end. `settings`: the file that becomes `/etc/headgate/gateway.yaml`."""

    def __init__(self, root: Path, config: dict[str, Any], settings: Path, log: Path) -> None:
        self.user = int(config["User"].partition(":")[0])
        self.log = log
        self._root = root
        self._env = [f"--env={pair}" for pair in config["Env"]]
        self._folder = config["WorkingDir"]
        self._command = [*config["Entrypoint"], *config["Cmd"]]
        self._health = config["Healthcheck"]["Test"][1:]
        self._settings = settings
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            writable = [f"--writable={folder}" for folder in _WRITABLE]
            told = [*writable, f"--file={self._settings}=/etc/headgate/gateway.yaml", f"--user={self.user}", f"--folder={self._folder}"]
            self._process = subprocess.Popen(
                ["setpriv", "--no-new-privs", "unshare", "--mount", "--net", "--propagation", "private",
                 sys.executable, "-m", "tests.k8s.image.launch", *told, *self._env, "--", str(self._root), *self._command],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT,
            )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The entry point's."""
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM. The exit code."""
        self._process.terminate()
        return self._process.wait(60)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Another process in it, as `kubectl exec` begins one."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--root", "--wd", f"--setuid={self.user}", f"--setgid={self.user}"]
        env = [pair.removeprefix("--env=") for pair in self._env]
        return subprocess.run([*inside, "/usr/bin/env", "-i", *env, *command], capture_output=True, text=True, timeout=60, check=False)

    def healthy(self) -> bool:
        """What its HEALTHCHECK says."""
        return self.run(*self._health).returncode == 0

    def until_healthy(self) -> None:
        """Returns when it is; fails with what it has said."""
        end = time.monotonic() + 240
        while not self.healthy():
            assert time.monotonic() < end and self._process.poll() is None, self.log.read_text()
            time.sleep(0.5)
