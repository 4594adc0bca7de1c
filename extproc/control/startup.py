"""What would keep workers from starting, told beforehand in words: a transport that is not installed, certificates that cannot be used."""

import importlib.util
import ssl
from pathlib import Path

from extproc.config.model import Config, ExtProcTls
from extproc.config.network import files
from extproc.listening import tls_of
from extproc.transport.tls import context

_NO_GRPCIO = "$.transport: grpcio is not installed: `pip install 'headgate[grpcio]'`, or take this line out for our own transport"


def faults(config: Config) -> list[str]:
    """Each with the path of the setting that it is about; none if all is well."""
    found = [_NO_GRPCIO] if config.transport == "grpcio" and importlib.util.find_spec("grpc") is None else []
    network = config.ext_proc
    return found if network is None or network.tls is None else found + _tls_faults(network.tls)


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
