"""Installs the peers, each into an environment of its own. `python -m bench.peers.install --help`"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.peers.environments import InstallError, is_made, make
from bench.peers.known import PEERS, default_folder, installed


def install(names: Sequence[str], folder: Path, tell: Callable[[str], None]) -> dict[str, str]:
    """Installs those that are not there yet. Why some could not be, by name."""
    left_out = {}
    for name in names:
        kind, home = PEERS[name], folder / name
        if is_made(kind.environment, home):
            tell(f"{name} {kind.version}: is there ({home})")
            continue
        tell(f"{name} {kind.version}: installing {kind.size} into {home} ...")
        try:
            make(kind.environment, home)
        except InstallError as error:
            left_out[name] = str(error)
            tell(f"{name} {kind.version}: left out: {error}")
    return left_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the command. It has failed only if no peer is there in the end."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers.install", description="Installs the gateways that Headgate is compared with."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(PEERS)}")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where to (default: BENCH_PEERS, else %(default)s)")
    given = parser.parse_args(arguments)
    if wrong := [name for name in given.names if name not in PEERS]:
        parser.error(f"no such peer: {', '.join(wrong)} (there are {', '.join(PEERS)})")
    left_out = install(given.names or list(PEERS), given.folder, lambda line: print(line, file=sys.stderr, flush=True))
    return 0 if installed(given.folder) or not left_out else 1


if __name__ == "__main__":
    sys.exit(main())
