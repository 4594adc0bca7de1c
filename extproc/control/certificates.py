"""Certificates that Envoy is to read: whether they are there, and fit their keys, told before it starts."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from extproc.config.entrance import named_files
from extproc.config.model import Config


def faults(config: Config) -> Iterator[str]:
    """Each with the path of the setting that it is about; none if all is well."""
    tls = config.listener.tls
    if tls is None:
        return
    unread = list(_unread(named_files(tls)))
    yield from unread
    if unread:
        return
    for at, pair in enumerate(tls.files):
        # Those in `certificates` come after the one that has no list.
        before = int(tls.certificate is not None)
        path = "$.listener.tls.certificate" if at < before else f"$.listener.tls.certificates[{at - before}].certificate"
        yield from unfit(path, pair.certificate, pair.key)
    if tls.client_ca is not None:
        yield from _no_authority("$.listener.tls.client_ca", tls.client_ca)


def _unread(files: Iterator[tuple[str, str]]) -> Iterator[str]:
    for setting, path in files:
        try:
            Path(path).read_bytes()
        except OSError as error:
            yield f"{setting}: {path} cannot be read: {error.strerror}"


def unfit(setting: str, certificate: str, key: str) -> Iterator[str]:
    """What is wrong with a certificate and its key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, ValueError) as error:
        yield f"{setting}: {certificate} and {key} are no certificate and its key, in PEM and without a password: {_why(error)}"


def _no_authority(setting: str, path: str) -> Iterator[str]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        yield f"{setting}: {path} holds no certificates of authorities, in PEM: {_why(error)}"


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)
