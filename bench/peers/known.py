"""Which peers there are, and which of them are installed."""

import os
from collections.abc import Mapping
from pathlib import Path

from bench.children import ROOT
from bench.peers.environments import is_made
from bench.peers.litellm import LiteLLM
from bench.peers.peer import Peer
from bench.peers.portkey import Portkey
from bench.peers.tensorzero import TensorZero

PEERS: Mapping[str, type[Peer]] = {kind.name: kind for kind in (TensorZero, Portkey, LiteLLM)}
"""All that there are, by name."""


def default_folder() -> Path:
    """Where they are kept: `BENCH_PEERS`, or `.peers` in this checkout."""
    return Path(os.environ.get("BENCH_PEERS") or ROOT / ".peers")


def installed(folder: Path) -> list[Peer]:
    """Those that are there, in the version that is wanted now."""
    return [kind(folder / name) for name, kind in PEERS.items() if is_made(kind.environment, folder / name)]
