"""Other gateways, installed into environments of their own and measured like ours. One file a peer; its docstring says how it is set up."""

import sys
from pathlib import Path

from bench.peers.known import PEERS, default_folder, installed
from bench.peers.peer import Peer


def peers(folder: Path | None = None) -> list[Peer]:
    """The peers that `python -m bench.peers.install` has installed; of the others, it is said that they are left out."""
    found = installed(folder or default_folder())
    there = {peer.name for peer in found}
    for name in (name for name in PEERS if name not in there):
        print(f"left out: {name} is not installed (make bench-peers, or python -m bench.peers.install, says why)", file=sys.stderr)
    return found
