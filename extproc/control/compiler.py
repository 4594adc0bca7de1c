"""What is compiled for the Envoy that the gateway runs: all that it is started with, and the files that it watches."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from msgspec import Struct

from extproc.config.fragments import Fragments
from extproc.config.model import Config
from extproc.control.aside import aside, busy
from extproc.envoy import names
from extproc.envoy.places import Places

_NAME = "compiles for Envoy"

T = TypeVar("T")

Texts = tuple[str, str, str]
"""Clusters, routes and listeners."""


class Compiled(Struct, frozen=True):
    """All that an Envoy is started with."""

    binary: str
    bootstrap: str
    threads: int
    drain: float
    places: tuple[tuple[str, int], ...]
    log: str = ""
    """Where its log for people is: a file, `stdout` or `stderr`; empty for none."""

    def signature(self) -> str:
        """The same as long as another Envoy would be no other."""
        binary = Path(self.binary).resolve()
        found = binary.stat()
        told = (str(binary), found.st_ino, found.st_mtime_ns, found.st_size, self.bootstrap, self.threads)
        return hashlib.sha256(repr(told).encode()).hexdigest()


class Compiler:
    """Compiles for one Envoy, and writes what that watches."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._proven: Fragments | None = None

    async def prepare(self, config: Config) -> Compiled:
        """All that one is started with, the watched files among it. Raises `FileNotFoundError` with advice where there is no Envoy, and
        `RuntimeError` with what another one refuses.
        """
        # Importing Envoy's types takes most of a second, in which the workers start.
        return await _aside(lambda: self._prepare(config))

    async def compile(self, config: Config) -> Compiled:
        """The same without the watched files."""
        return await _aside(lambda: self._compile(config))

    def _prepare(self, config: Config) -> Compiled:
        compiled = self._compile(config)
        self.prove(config)
        self.write(self.texts(config))
        return compiled

    def prove(self, config: Config) -> None:
        """Has another Envoy look at what the operator adds, where that is new. Raises `RuntimeError` with what it refuses.

        What is wrong in a file that Envoy watches it would tell when it is too late: routes are taken as a whole, or not at all.
        """
        if config.envoy == self._proven:
            return
        from extproc.envoy.binary import usable_envoy  # noqa: PLC0415 - heavy
        from extproc.envoy.chains import version  # noqa: PLC0415
        from extproc.envoy.proof import refusals  # noqa: PLC0415

        if config.envoy is not None and (refused := list(refusals(config, usable_envoy(version(config)), self._places.ca_file))):
            raise RuntimeError("\n".join(refused))
        self._proven = config.envoy

    def _compile(self, config: Config) -> Compiled:
        from extproc.envoy.binary import usable_envoy  # noqa: PLC0415 - heavy, and only `up` needs it
        from extproc.envoy.chains import version  # noqa: PLC0415
        from extproc.envoy.compile import compile_edge  # noqa: PLC0415
        from extproc.envoy.document import to_yaml  # noqa: PLC0415

        bootstrap = to_yaml(compile_edge(config, self._places, files=True))
        return Compiled(
            usable_envoy(version(config)), bootstrap, config.envoy_threads, config.drain, config.listener.places,
            config.access_log.path if config.access_log is not None else "",
        )  # fmt: skip

    def texts(self, config: Config, *, keep: bool = False) -> Texts:
        """Clusters, routes and listeners. `keep`: clusters and listeners that Envoy has been told of, and that are gone, stay."""
        from extproc.envoy.compile import compile_clusters, compile_listeners, compile_routes  # noqa: PLC0415
        from extproc.envoy.document import replace, to_yaml  # noqa: PLC0415
        from extproc.envoy.secrets import secret_files  # noqa: PLC0415

        # Before the clusters that name them: of a cluster whose file is not there Envoy takes nothing.
        for path, document in secret_files(config, self._places).items():
            replace(Path(path), to_yaml(document))
        clusters, _, listeners = self.told() if keep else ("", "", "")
        return (
            to_yaml(_with(compile_clusters(config, self._places), clusters)),
            to_yaml(compile_routes(config)),
            to_yaml(_with(compile_listeners(config), listeners)),
        )

    @property
    def _files(self) -> tuple[Path, Path, Path]:
        run_dir = self._places.run_dir
        return Path(names.clusters_file(run_dir)), Path(names.routes_file(run_dir)), Path(names.listeners_file(run_dir))

    def told(self) -> Texts:
        """Clusters, routes and listeners as they stand."""
        clusters, routes, listeners = (path.read_text() if path.exists() else "" for path in self._files)
        return clusters, routes, listeners

    def write(self, texts: Texts) -> None:
        """These from now on: Envoy takes them as it sees them."""
        from extproc.envoy.document import replace  # noqa: PLC0415

        for path, text in zip(self._files, texts, strict=True):
            replace(path, text)


def compiling() -> bool:
    """Whether a compilation still runs for which nobody waits any more."""
    return busy(_NAME)


async def _aside(function: Callable[[], T]) -> T:
    return await aside(function, _NAME)


def _with(compiled: dict[str, Any], told: str) -> dict[str, Any]:
    """What is compiled, and what Envoy has been told of and is not among that."""
    known = {one["name"] for one in compiled["resources"]}
    return {"resources": [*compiled["resources"], *(one for one in _resources(told) if one["name"] not in known)]}


def _resources(text: str) -> list[dict[str, Any]]:
    """What Envoy has been told, if it can be read."""
    try:
        return list(yaml.safe_load(text)["resources"])
    except (yaml.YAMLError, KeyError, TypeError):
        return []
