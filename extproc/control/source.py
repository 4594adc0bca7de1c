"""Where the configuration comes from: `gateway.yaml`, the files that it refers to, and the keys of the state folder."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.config.egress import OFF
from extproc.config.egress import veiled as digest
from extproc.config.fragments import Fragments
from extproc.config.load import Advice, Loaded, load, nothing
from extproc.config.model import Config, Provider
from extproc.config.notifications import Notifications
from extproc.config.sidecar import Sidecar
from extproc.control.identities import Identities
from extproc.control.kept import remote_state
from extproc.control.keyfiles import key_state
from extproc.control.pricing import quotes
from extproc.snapshot import Settings, encode
from extproc.tokens import veiled

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
    """See `snapshot.Settings.private`."""
    sidecar: Sidecar | None = None
    """Where it stands, if beside one application."""

    def load(self, faults: Advice = nothing, advice: Advice = nothing, *, lints: bool = False) -> Loaded:
        """Reads and checks it. `faults`, `advice`, `lints`: see `config.load.load`."""

        def has_stored_keys(folder: Path) -> bool:
            return Identities(self.state or folder).exist()

        return load(
            self.path, self.environ, has_stored_keys=has_stored_keys, faults=faults, advice=advice, sidecar=self.sidecar, lints=lints
        )

    def outline(self) -> Loaded:
        """Reads it for whoever starts nothing: without secrets, which may be somebody else's, and without callers' keys, which may be to
        come.
        """
        return load(self.path, self.environ, has_stored_keys=lambda folder: True, secrets=False)

    def outline_here(self) -> Loaded:
        """The same without the optional providers whose keys are not there, as a gateway here would do without them. Where nothing would be
        left, with them.
        """
        loaded = load(self.path, self.environ, has_stored_keys=lambda folder: True, secrets=False, leave_out=True)
        return loaded if loaded.config is not None else self.outline()

    def state_folder(self, config: Config) -> Path:
        """Where the journal, the ledger and the keys are."""
        if self.state is not None:
            return self.state.absolute()
        # The built-in configuration lies among the program's own files, where nothing of the user's belongs.
        base = Path.cwd() if self.path == quickstart() else self.path.parent
        return (base / config.state).absolute()

    def message(self, loaded: Loaded, clusters: Mapping[str, str] | None = None, *, fold: bool = False, up: bool = True) -> bytes:
        """The snapshot for the workers, keys included. `clusters`: see `Settings.clusters`; `fold`: see `key_state`; `up`: see `Feed.up`.

        Raises `OSError` where the keys cannot be read.
        """
        config = loaded.config
        assert config is not None
        state = self.state_folder(config)
        names = [next(iter(entry)) for entry in config.filters]
        settings = [msgspec.Raw(msgspec.msgpack.encode(settings)) for settings in loaded.filters]
        # The filters travel as checked structs; what the file said of them is of no more use. Nor do workers notify anybody, or have any
        # business with databases.
        url = store_of(config)
        egress = config.egress and msgspec.structs.replace(config.egress, proxy=digest(config.egress.proxy))
        # Of what is Envoy's alone they are told that it is another one, so that it is a reload.
        fragments = config.envoy and Fragments(bootstrap=digest(repr(config.envoy)))
        config = msgspec.structs.replace(
            config, envoy=fragments, egress=egress, filters=(), providers=_without_credentials(config.providers),
            notifications=Notifications(), store=None, identities=None, ledger=None, fleet=None,
        )  # fmt: skip
        filters = tuple(zip(names, settings, strict=True))
        keys = remote_state(state, url, fold=fold, up=up) if url else key_state(state, fold=fold)
        # What is declared may not be there yet: the gateway must not stand open for that.
        exist = Identities(state, url).exist() or declares_keys(loaded.config)
        prices = quotes(config, state, every="limits" in names)
        whole = Settings(config, filters, dict(clusters or {}), self.private, prices)
        return encode(whole, keys, keys_exist=exist)


def declares_keys(config: Config | None) -> bool:
    """Whether any stand in `identities`."""
    return config is not None and config.identities is not None and bool(config.identities.keys)


def keys_required(loaded: Loaded, state: Path) -> bool:
    """Whether callers need a key, as far as the configuration and the key store can tell."""
    configured = any(getattr(settings, "keys", ()) or getattr(settings, "required", False) for settings in loaded.filters)
    known = loaded.config is not None and (loaded.config.callers.known or loaded.config.certified)
    return configured or known or declares_keys(loaded.config) or Identities(state, store_of(loaded.config)).exist()


def store_of(config: Config | None) -> str:
    """The URL of the store; empty where that is in the state folder."""
    return config.store.url if config is not None and config.store is not None else ""


def _without_credentials(providers: Mapping[str, Provider]) -> dict[str, Provider]:
    """Workers are told tokens, never what these are made of; and of a proxy's password, which is Envoy's, that it is another one."""
    return {name: _veiled(provider) for name, provider in providers.items()}


def _veiled(provider: Provider) -> Provider:
    if provider.google is not None:
        provider = msgspec.structs.replace(provider, google=veiled(provider.google))
    if provider.proxy is not None and provider.proxy != OFF:
        provider = msgspec.structs.replace(provider, proxy=digest(provider.proxy))
    return provider


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
