"""What a run was made on and with: figures without it mean nothing."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.children import ROOT
from extproc.envoy.binary import find_envoy
from extproc.version import VERSION

_PACKAGES = ("uvloop", "msgspec", "protobuf", "grpcio")


def facts() -> dict[str, str]:
    """Commit, versions, processor, memory, system and load at the start."""
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return {
        "Headgate": f"{VERSION}, commit {commit()}",
        "Envoy": _envoy(),
        "Python": f"{platform.python_version()}, {packages}",
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def commit(root: Path = ROOT) -> str:
    """The commit that is checked out, with a word if files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"

    def ask(*arguments: str) -> str:
        done = subprocess.run([git, "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = ask("rev-parse", "--short=12", "HEAD")
    if not found:
        return "unknown"
    return f"{found} with changes" if ask("status", "--porcelain", "--", "extproc", "filters", "bench") else found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def _envoy() -> str:
    done = subprocess.run([find_envoy(), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"/(\d+\.\d+\.\d+)[-/]", done.stdout)
    return found[1] if found else done.stdout.strip()


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown"
