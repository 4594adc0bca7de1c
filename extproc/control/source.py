"""Where the configuration comes from: `gateway.yaml`, the files that it refers to, and the keys of the state folder."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.config.load import Loaded, load
from extproc.config.model import Config
from extproc.control.keystore import KeyStore
from extproc.snapshot import Message, encode

QUICKSTART = "quickstart.yaml"


def quickstart() -> Path:
    """The built-in configuration, used where there is none: inside an installed package, or among the examples of a checkout."""
    inside = Path(__file__).parent.parent / "config" / QUICKSTART
    return inside if inside.exists() else Path(__file__).parents[2] / "examples" / QUICKSTART


class Source(Struct, frozen=True):
    """A configuration file and the state folder that goes with it."""

    path: Path
    state: Path | None = None
    """Instead of the one that the configuration names."""
    environ: Mapping[str, str] = os.environ
    private: bool = True
    """See `snapshot.Message.private`."""

    def load(self, *, keys_to_come: bool = False) -> Loaded:
        """Reads and checks it. `keys_to_come`: it is no mistake that there are no callers' keys yet."""
        return load(self.path, self.environ, has_stored_keys=lambda folder: keys_to_come or KeyStore(self.state or folder).load()[1])

    def state_folder(self, config: Config) -> Path:
        """Where the journal, the ledger and the keys are."""
        if self.state is not None:
            return self.state.absolute()
        # The built-in configuration lies among the program's own files, where nothing of the user's belongs.
        base = Path.cwd() if self.path == quickstart() else self.path.parent
        return (base / config.state).absolute()

    def message(self, loaded: Loaded, clusters: Mapping[str, str] | None = None) -> bytes:
        """The snapshot for the workers, keys included. `clusters`: see `Message.clusters`. Raises what SQLite raises."""
        config = loaded.config
        assert config is not None
        keys, exist = KeyStore(self.state_folder(config)).load()
        names = [next(iter(entry)) for entry in config.filters]
        settings = [msgspec.Raw(msgspec.msgpack.encode(settings)) for settings in loaded.filters]
        # The filters travel as checked structs; what the file said of them is of no more use.
        config = msgspec.structs.replace(config, filters=())
        filters = tuple(zip(names, settings, strict=True))
        return encode(Message(config, filters, keys, exist, dict(clusters or {}), self.private))


def fingerprint(files: tuple[Path, ...]) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes whenever one of the files does."""
    found: list[tuple[int, int, int] | None] = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
