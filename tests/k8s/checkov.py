"""Checkov, which knows what makes manifests unsafe, in an environment of its own: it holds a hundred packages at versions of its choosing.

python -m tests.k8s.checkov: installs it, unless it is there.
"""

from pathlib import Path

from bench.peers.environments import PythonEnvironment, is_made, make
from tests.k8s.apiserver import ROOT

HOME = ROOT / "build" / "checkov"
_ENVIRONMENT = PythonEnvironment(Path(__file__).with_name("checkov.lock"))


def program() -> str:
    """The command, as it stands in a list of arguments."""
    if not is_made(_ENVIRONMENT, HOME):
        raise RuntimeError(f"there is no Checkov in {HOME}: python -m tests.k8s.checkov installs it (make test-k8s does, too)")
    return str(HOME / "venv" / "bin" / "checkov")


def main() -> None:
    """Installs it. Raises `InstallError`."""
    if not is_made(_ENVIRONMENT, HOME):
        print("Installing the packages of tests/k8s/checkov.lock into build/checkov; this may take two minutes, once ...", flush=True)  # noqa: T201
        make(_ENVIRONMENT, HOME)


if __name__ == "__main__":
    main()
