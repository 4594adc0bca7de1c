"""The section `ext_proc`: who may come to a gate that others than this machine can reach.

Whoever talks to the gate is told the providers' keys, since setting them is what it is asked for. So on a network it lets in none but
those whom the operator's own authority has vouched for.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from extproc.config.checks import Report
from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.model import Config
from extproc.config.nearest import quoted
from extproc.config.relative import absolute
from extproc.config.urls import DEMO, address_fault, is_host_name, is_loopback
from extproc.config.walk import sound

_PATH = "$.ext_proc"
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_PEM = "-----BEGIN"


def check_ext_proc(config: Config, report: Report) -> None:
    """Addresses, ports and certificates."""
    network = config.ext_proc
    if network is None or not sound(network):
        return
    _check_addresses(network, report)
    _check_ports(config, network, report)
    _check_tls(network, report)
    if not is_loopback(network.address):
        for name, provider in config.providers.items():
            if sound(provider) and provider.base_url == DEMO:
                report.warning(f"$.providers.{name}.base_url", "another host's Envoy cannot reach the demo provider")


def reached_by(network: ExtProc) -> str:
    """The name or address that Envoys ask for."""
    return network.host or network.address


def beside(network: ExtProc | None, folder: Path) -> ExtProc | None:
    """The section with its paths made absolute: they are relative to the configuration file."""
    if network is None or network.tls is None:
        return network
    return replace(network, tls=absolute(network.tls, folder, *dict(files(network.tls))))


def files(tls: ExtProcTls) -> Iterator[tuple[str, str]]:
    """The files that are named, by key."""
    yield "certificate", tls.certificate
    yield "key", tls.key
    if tls.client_ca is not None:
        yield "client_ca", tls.client_ca


def _check_addresses(network: ExtProc, report: Report) -> None:
    for key, address in (("address", network.address), ("health_address", network.health_address)):
        if address is not None and (fault := address_fault(address)) is not None:
            report.error(f"{_PATH}.{key}", fault)
    if network.host is None and network.address in _ANY:
        report.error(f"{_PATH}.host", f"nobody can ask for {network.address}: say by which name or address that Envoy reaches this host")
    elif network.host is not None and address_fault(network.host) is not None and not is_host_name(network.host):
        report.error(f"{_PATH}.host", f"{quoted(network.host)} is neither a name of a host nor an address")


def _check_ports(config: Config, network: ExtProc, report: Report) -> None:
    taken = {config.listener.port: "$.listener.port", config.admin.port: "$.admin.port"}
    for key in ("gate_port", "adapter_port", "health_port"):
        port = getattr(network, key)
        if port in taken:
            report.error(f"{_PATH}.{key}", f"the port {port} is {taken[port]} already")
        taken[port] = f"{_PATH}.{key}"


def _check_tls(network: ExtProc, report: Report) -> None:
    tls = network.tls
    if tls is None:
        if not is_loopback(network.address):
            report.error(f"{_PATH}.tls", _why(network, "`tls` with `certificate`, `key` and `client_ca`"))
        return
    for name, path in files(tls):
        if sound(path) and path.lstrip().startswith(_PEM):
            report.error(f"{_PATH}.tls.{name}", "the path of a PEM file is wanted here, not what is in it: leave `file:` out")
    if tls.client_ca is None and not is_loopback(network.address):
        report.error(f"{_PATH}.tls.client_ca", _why(network, "`client_ca`, the authority of your Envoys' certificates"))


def _why(network: ExtProc, needed: str) -> str:
    return f"others can reach {network.address}, and whoever gets to the gate is told the providers' keys: this needs {needed}"
