"""What Envoy itself says of a configuration, and which of the operator's own parts it is that it refuses."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from extproc.config.access_log import STREAMS
from extproc.config.fragments import Piece, assembled, pieces
from extproc.config.model import Config
from extproc.envoy.binary import validate
from extproc.envoy.bootstrap import bootstrap
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import replace as write
from extproc.envoy.document import to_yaml
from extproc.envoy.fragments import bootstrap_parts, clashes
from extproc.envoy.places import below
from extproc.envoy.secrets import secret_files


def refusals(config: Config, binary: str, ca_file: str) -> Iterator[str]:
    """What Envoy refuses, each with the path of what it is about; none if it would start. Takes a second, and more where it refuses."""
    clashing = list(_clashing(config))
    yield from clashing
    if clashing:
        return
    errors = _asked(config, binary, ca_file)
    if not errors:
        return
    found = list(pieces(config.envoy))
    alone = _asked(replace(config, envoy=None), binary, ca_file) if found else errors
    if alone:
        yield from (f"$: Envoy refuses what is compiled from it: {error}" for error in alone)
        return
    good: list[Piece] = []
    while found and errors:
        at, told = _first(good, found, errors, lambda some: _asked(replace(config, envoy=assembled(some)), binary, ca_file))
        yield f"{found[at].path}: Envoy refuses it: {told}"
        good, found = good + found[:at], found[at + 1 :]
        errors = _asked(replace(config, envoy=assembled(good + found)), binary, ca_file) if found else []


def _first(good: list[Piece], found: list[Piece], errors: list[str], ask: Callable[[list[Piece]], list[str]]) -> tuple[int, str]:
    """Which of those `found` is the first that is refused, where all together are, with `errors`. They may need each other, so each is
    tried with all before it; to ask takes long, so half of them are left out each time.
    """
    least, most = 0, len(found) - 1
    while least < most:
        middle = (least + most) // 2
        if refused := ask(good + found[: middle + 1]):
            most, errors = middle, refused
        else:
            least = middle + 1
    return least, errors[0]


def _clashing(config: Config) -> Iterator[str]:
    if config.envoy is None:
        return
    ours = bootstrap(replace(config, envoy=None), below("/run/headgate"), address=config.listener.address, files=True)
    for path in clashes(ours, bootstrap_parts(config), "$.envoy.bootstrap"):
        yield f"{path}: this is not merged: we say something else there ourselves"


def _asked(config: Config, binary: str, ca_file: str) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        places = below(folder, ca_file)
        for path, document in secret_files(config, places).items():
            write(Path(path), to_yaml(document))
        with _nothing_left(config):
            return validate(compile_edge(config, places), binary=binary)


@contextmanager
def _nothing_left(config: Config) -> Iterator[None]:
    """Envoy makes the files of its logs even where it only looks. One of whoever checks may be none that the gateway's user can write."""
    log = config.access_log
    file = Path(log.path) if log is not None and log.path not in STREAMS else None
    missing = file is not None and not file.exists()
    try:
        yield
    finally:
        if missing and file is not None and file.is_file() and not file.stat().st_size:
            file.unlink()
