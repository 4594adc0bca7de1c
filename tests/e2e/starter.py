"""The command `headgate`, started quickly: it takes seconds to import, so one process does that, and is forked for each command.

A forked command is the command from its first line to its last, with folder, environment and output of its own; it has a process of its own
and ends as Python does. That it starts as users start it is what test_cli.py holds.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_LOOK_EVERY = 0.01


class Command:
    """A command that runs, like a `subprocess.Popen`. Its output goes to files."""

    def __init__(self, arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path, out: Path, errors: Path) -> None:
        self.returncode: int | None = None
        self.pid: int = _starter().ask(
            {"arguments": arguments, "environ": dict(environ), "folder": str(folder), "out": str(out), "errors": str(errors)}
        )

    def poll(self) -> int | None:
        """The exit code, or minus the signal; None as long as it runs."""
        if self.returncode is None:
            self.returncode = _starter().ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("headgate", timeout)
            time.sleep(_LOOK_EVERY)
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run(arguments: Sequence[str], *, environ: Mapping[str, str], folder: Path, seconds: float = 180) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, without input."""
    with tempfile.TemporaryDirectory() as kept:
        out, errors = Path(kept, "out"), Path(kept, "errors")
        command = Command(arguments, environ=environ, folder=folder, out=out, errors=errors)
        try:
            code = command.wait(seconds)
        except subprocess.TimeoutExpired:
            command.kill()
            raise
        return subprocess.CompletedProcess(list(arguments), code, out.read_text(), errors.read_text())


class _Starter:
    """The process that is forked, as this one sees it. It ends with this one, whichever way that ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", "tests.e2e.starter", str(number)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=_ROOT, pass_fds=[number])
        self._lines = ours.makefile("rw")
        ours.close()

    def ask(self, request: dict[str, Any]) -> Any:
        with self._lock:
            self._lines.write(json.dumps(request) + "\n")
            self._lines.flush()
            line = self._lines.readline()
        assert line, "the process that starts commands has ended"
        return json.loads(line)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._lines.close()
        self._process.wait(10)


@functools.cache
def _starter() -> _Starter:
    made = _Starter()
    atexit.register(made.close)
    return made


def _warm() -> None:
    """Imports what a gateway imports, and has Envoy's types made, which happens when they are used first."""
    import genai_prices.data  # noqa: PLC0415 - only the process that is forked is to have them
    import genai_prices.data_snapshot  # noqa: F401, PLC0415
    from betterproto2 import Message  # noqa: PLC0415

    import extproc.cli.running  # noqa: PLC0415
    import extproc.envoy.binary  # noqa: F401, PLC0415
    from extproc.config.model import Config, Model, Provider  # noqa: PLC0415
    from extproc.envoy.compile import compile_clusters, compile_edge, compile_routes  # noqa: PLC0415
    from extproc.envoy.places import below  # noqa: PLC0415

    # Else those of a class are worked out anew for each of its messages, which is a quarter of what compiling takes.
    hints: Any = functools.cache(vars(Message)["_type_hints"].__func__)
    Message._type_hints = classmethod(hints)  # type: ignore[method-assign, assignment]
    providers = {name: Provider(dialect="openai", base_url=f"http://{name}.test/v1", key="k") for name in "ab"}
    models = (Model(name="one", targets=("a",)), Model(name="two", targets=("a", "b")))
    config, places = Config(providers=providers, models=models), below("/nowhere")
    for compiled in (compile_edge(config, places, files=True), compile_clusters(config, places), compile_routes(config)):
        assert compiled


def _serve(number: int) -> bool:
    """Starts commands until nobody asks for any. True: this is a command's process."""
    # Ctrl-C is for the tests, and for commands.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=number) as connection, connection.makefile("rw") as lines:
        for line in lines:
            asked = json.loads(line)
            if "poll" in asked:
                pid, status = os.waitpid(asked["poll"], os.WNOHANG)
                told = os.waitstatus_to_exitcode(status) if pid else None
            elif not (told := os.fork()):
                _become(asked)
                return True
            lines.write(json.dumps(told) + "\n")
            lines.flush()
    return False


def _become(asked: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    for number, path in ((1, asked["out"]), (2, asked["errors"])):
        # Both may be one file, of which nothing is to be lost.
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    # As `python -m extproc.cli` has them.
    sys.path[0] = asked["folder"]
    sys.argv = ["headgate", *asked["arguments"]]
    sys.orig_argv = [sys.executable, "-m", "extproc.cli", *asked["arguments"]]


if __name__ == "__main__":
    # What is imported stays: no collector is to go through it, in no command, which would also copy every page of it.
    gc.disable()
    _warm()
    gc.freeze()
    gc.enable()
    if _serve(int(sys.argv[1])):
        from extproc.cli import main

        sys.exit(main())
