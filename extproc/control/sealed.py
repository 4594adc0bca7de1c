"""Keys that Envoy alone reads (`envoy_key_file`): whether their files are there, told in words. Nobody here looks into them."""

import stat
from pathlib import Path

from extproc.config.model import Config
from extproc.config.nearest import quoted


def lacking(config: Config) -> list[str]:
    """What is wrong with the files, a line for each provider whose requests would go out without its key, or whose key others can read."""
    named = {name: provider.envoy_key_file for name, provider in config.providers.items() if provider.envoy_key_file is not None}
    return [f"$.providers.{name}.envoy_key_file: {wrong}" for name, path in named.items() if (wrong := _wrong(Path(path))) is not None]


def _wrong(path: Path) -> str | None:
    try:
        found = path.stat()
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be seen: {error.strerror}"
        return f"the file {quoted(str(path))} {why}; until it is, requests go out without a key, which is refused"
    if not stat.S_ISREG(found.st_mode):
        return f"{quoted(str(path))} is not a regular file; requests go out without a key, which is refused"
    if not found.st_size:
        return f"the file {quoted(str(path))} is empty; requests go out without a key, which is refused"
    if found.st_mode & 0o077:
        return f"the file {quoted(str(path))} is open to others on this machine (mode {stat.S_IMODE(found.st_mode):04o}); `chmod 600` it"
    return None
