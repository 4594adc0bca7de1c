"""Runs in TensorZero's environment: starts the gateway that its wheel embeds, writes its base URL into a file, and sleeps.

python -I embedded.py CONFIG FILE
"""

import importlib
import signal
import sys
from pathlib import Path


def main(config: str, file: str) -> None:
    """Serves until SIGTERM, which ends the process at once."""
    # No type checker of ours has this package.
    native = importlib.import_module("tensorzero.tensorzero")
    # What `patch_openai_client` calls: the package has no other way to serve HTTP.
    start = native._start_http_gateway  # noqa: SLF001
    gateway = start(config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
    unfinished = Path(f"{file}.new")
    unfinished.write_text(gateway.base_url)
    unfinished.rename(file)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
