"""Envoy Gateway's own tool, built of Go modules whose hashes are in go.sum: its translator is the one of the controller.

python -m tests.platforms.egctl [SECONDS]: builds it, unless it is there, in at most so many seconds.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.k8s.apiserver import go

HERE = Path(__file__).parent
_PACKAGE = "github.com/envoyproxy/gateway/cmd/egctl"
_PATIENCE = 30 * 60.0


def place() -> Path:
    """Where it is kept, be it there or not."""
    key = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum")))
    return HERE.parents[1] / "build" / "platforms" / key.hexdigest()[:16] / "egctl"


def translate(path: Path) -> str:
    """What its controller would make of the objects in a file, with what it says of them, as YAML. Raises where it takes them not."""
    command = [
        str(place()),
        "x",
        "translate",
        "--from",
        "gateway-api",
        "--to",
        "gateway-api,xds",
        "--type",
        "all",
        "-o",
        "yaml",
        "-f",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout


def build(seconds: float = _PATIENCE) -> None:
    """Builds it. Raises `subprocess.CalledProcessError`, or `subprocess.TimeoutExpired` after `seconds`."""
    made = place()
    if made.exists():
        return
    made.parent.mkdir(parents=True, exist_ok=True)
    unfinished = made.with_name(f"egctl.{os.getpid()}")
    # It wants a newer Go than Kubernetes is built with; Go fetches that one, too.
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    command = [go(), "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", str(unfinished), _PACKAGE]
    subprocess.run(command, check=True, cwd=HERE, env={**os.environ, **settings}, timeout=seconds)
    unfinished.rename(made)


if __name__ == "__main__":
    build(*map(float, sys.argv[1:]))
