"""The section `fleet`: who may come to a control plane that others than this machine can reach. Whoever does is told secrets."""

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from extproc.config.checks import Report
from extproc.config.fleet import Canary, Fleet, FleetTls
from extproc.config.model import Config
from extproc.config.relative import absolute
from extproc.config.urls import address_fault, is_host_name, is_loopback
from extproc.config.walk import sound

_PATH = "$.fleet"
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_PEM = "-----BEGIN"


def check_fleet(config: Config, report: Report) -> None:
    """Addresses and certificates."""
    fleet = config.fleet
    if fleet is None or not sound(fleet):
        return
    if fleet.tls is None and (secret := _secret(config, report)) is not None:
        report.error(f"{_PATH}.tls", f"nodes are told what is in {secret}, which no connection without TLS may carry: this needs `tls`")
    if (fault := address_fault(fleet.address)) is not None:
        report.error(f"{_PATH}.address", fault)
    elif not is_loopback(fleet.address) and fleet.tls is None:
        report.error(f"{_PATH}.tls", f"others can reach {fleet.address}, and nodes are told secrets: this needs `tls`")
    if fleet.host is None and fleet.address in _ANY:
        report.error(f"{_PATH}.host", f"nobody can ask for {fleet.address}: say by which name or address nodes reach this host")
    elif fleet.host is not None and address_fault(fleet.host) is not None and not is_host_name(fleet.host):
        report.error(f"{_PATH}.host", "this is neither a name of a host nor an address")
    if sound(fleet.tls) and fleet.tls is not None:
        for name, path in files(fleet.tls):
            if sound(path) and path.lstrip().startswith(_PEM):
                report.error(f"{_PATH}.tls.{name}", "the path of a PEM file is wanted here, not what is in it: leave `file:` out")
    canary = fleet.canary
    if canary is not None and sound(canary) and all(value in ((), {}, 0.0) for value in _chosen(canary)):
        report.error(f"{_PATH}.canary", "this chooses nobody: give `nodes`, `metadata` or `share`, or take it out")
    if fleet.metrics is not None and sound(fleet.metrics):
        _check_metrics(fleet.metrics, report)


def _secret(config: Config, report: Report) -> str | None:
    """Something that nodes are told, and nobody else may read."""
    if sound(config.listener) and sound(config.listener.tls) and config.listener.tls is not None and config.listener.tls.files:
        return "`listener.tls`"
    if sound(config.egress) and config.egress is not None:
        return "`egress`"
    if report.refers_within("$.envoy"):
        return "what `envoy` refers to (`env:`, `file:`, `${...}`)"
    for name, provider in config.providers.items():
        if sound(provider):
            for key in ("envoy_key_file", "client_key", "aws", "proxy"):
                if getattr(provider, key) not in (None, "off"):
                    return f"`providers.{name}.{key}`"
    return None


def _chosen(canary: Canary) -> tuple[object, ...]:
    return canary.nodes, canary.metadata, canary.share


def _check_metrics(text: str, report: Report) -> None:
    address, _, port = text.rpartition(":")
    if address_fault(address.strip("[]")) is not None or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        report.error(f"{_PATH}.metrics", "this is no address with a port, such as `127.0.0.1:9182`")
    elif not is_loopback(address.strip("[]")):
        report.warning(f"{_PATH}.metrics", "others than this machine can reach these metrics, which ask for no key")


def fleet_beside(fleet: Fleet | None, folder: Path) -> Fleet | None:
    """The section with its paths made absolute: they are relative to the configuration file."""
    if fleet is None or fleet.tls is None:
        return fleet
    return replace(fleet, tls=absolute(fleet.tls, folder, *dict(files(fleet.tls))))


def files(tls: FleetTls) -> Iterator[tuple[str, str]]:
    """The files that are named, by key."""
    yield "certificate", tls.certificate
    yield "key", tls.key
    yield "client_ca", tls.client_ca
