"""Certificates that Envoy is to read: whether they are there, and fit their keys, told before it starts."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from extproc.config.certificates import ListenerTls
from extproc.config.entrance import named_files
from extproc.config.model import Config, Provider


def faults(config: Config) -> Iterator[str]:
    """Each with the path of the setting that it is about; none if all is well."""
    for name, provider in config.providers.items():
        yield from _of_provider(f"$.providers.{name}", provider)
    if config.egress is not None and config.egress.ca_file is not None:
        yield from _read_authority("$.egress.ca_file", config.egress.ca_file)
    if config.listener.tls is not None:
        yield from _of_listener(config.listener.tls)


def _of_provider(path: str, provider: Provider) -> Iterator[str]:
    if provider.ca_file is not None:
        yield from _read_authority(f"{path}.ca_file", provider.ca_file)
    if provider.client_certificate is not None and provider.client_key is not None:
        shown = ((f"{path}.client_certificate", provider.client_certificate), (f"{path}.client_key", provider.client_key))
        unread = list(_unread(iter(shown)))
        yield from unread or unfit(shown[0][0], provider.client_certificate, provider.client_key)


def _read_authority(setting: str, path: str) -> Iterator[str]:
    unread = list(_unread(iter([(setting, path)])))
    yield from unread or _no_authority(setting, path)


def _of_listener(tls: ListenerTls) -> Iterator[str]:
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
