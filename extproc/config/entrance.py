"""The callers' listener: what its types cannot say of TLS, HTTP/3, the PROXY protocol, and of the log of what comes there."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from extproc.config.access_log import STREAMS, AccessLog, header_fault
from extproc.config.certificates import ListenerTls
from extproc.config.checks import Report
from extproc.config.listeners import Listener
from extproc.config.model import Config
from extproc.config.nearest import quoted
from extproc.config.relative import absolute
from extproc.config.walk import sound

_PATH = "$.listener"
_PEM = "-----BEGIN"


def check_entrance(config: Config, report: Report) -> None:
    """TLS, and what goes with it; the log."""
    _check_log(config, report)
    listener = config.listener
    if not sound(listener) or not sound(listener.tls):
        return
    if listener.tls is not None:
        _check_tls(listener.tls, report)
    _check_http3(config, report)
    for at, network in enumerate(listener.proxy_protocol if sound(listener.proxy_protocol) else ()):
        if sound(network) and (fault := network_fault(network)) is not None:
            report.error(f"{_PATH}.proxy_protocol[{at}]", fault)


def _check_log(config: Config, report: Report) -> None:
    log = config.access_log
    if log is None or not sound(log):
        return
    for key in ("request_headers", "response_headers"):
        for at, name in enumerate(getattr(log, key)):
            if sound(name) and (fault := header_fault(name)) is not None:
                report.error(f"$.access_log.{key}[{at}]", fault)


def log_located(log: AccessLog | None, folder: Path) -> AccessLog | None:
    """The log with its path made absolute: it is relative to the configuration file."""
    return log if log is None or log.path in STREAMS else absolute(log, folder, "path")


def network_fault(text: str) -> str | None:
    """What is wrong with an address or a network; None if nothing is."""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f"{quoted(text)} is no network: {error}"
    return None


def located(listener: Listener, folder: Path) -> Listener:
    """The listener with its paths made absolute: they are relative to the configuration file."""
    tls = listener.tls
    if tls is None:
        return listener

    more = tuple(absolute(one, folder, "certificate", "key") for one in tls.certificates)
    sds = tls.sds and absolute(tls.sds, folder, "socket")
    return replace(listener, tls=replace(absolute(tls, folder, "certificate", "key", "client_ca"), certificates=more, sds=sds))


def named_files(tls: ListenerTls) -> Iterator[tuple[str, str]]:
    """The files that are named, by the path of the setting."""
    base = f"{_PATH}.tls"
    for key in ("certificate", "key", "client_ca"):
        if (path := getattr(tls, key)) is not None:
            yield f"{base}.{key}", path
    for at, one in enumerate(tls.certificates):
        yield f"{base}.certificates[{at}].certificate", one.certificate
        yield f"{base}.certificates[{at}].key", one.key


def _check_tls(tls: ListenerTls, report: Report) -> None:
    base = f"{_PATH}.tls"
    if not sound(tls.certificates) or not all(map(sound, tls.certificates)):
        return
    if (tls.certificate is None) != (tls.key is None):
        report.error(base, "`certificate` and `key` go together")
    elif tls.sds is None and not tls.files:
        report.error(base, "there is no certificate: give `certificate` and `key`, or `sds`")
    elif tls.sds is not None and tls.files:
        report.error(f"{base}.sds", "certificates are files, or come by `sds`; take one of them out")
    if tls.sds is not None and tls.sds.authority is not None and tls.client_ca is not None:
        report.error(f"{base}.client_ca", "who vouches for clients is said by `sds.authority`, too; take one of them out")
    if not tls.checks and tls.client_certificate == "wanted":
        report.warning(f"{base}.client_certificate", "this has no effect without `client_ca`")
    for name, path in named_files(tls):
        if sound(path) and path.lstrip().startswith(_PEM):
            report.error(name, "the path of a PEM file is wanted here, not what is in it: leave `file:` out")


def _check_http3(config: Config, report: Report) -> None:
    listener = config.listener
    if not listener.http3:
        if listener.http3_port is not None:
            report.warning(f"{_PATH}.http3_port", "this has no effect without `http3: true`")
        return
    if listener.tls is None:
        report.error(f"{_PATH}.http3", "HTTP/3 is spoken with TLS alone: give `tls` a certificate")
    if listener.proxy_protocol:
        report.error(f"{_PATH}.http3", "the PROXY protocol (`proxy_protocol`) is for TCP; take one of them out")
