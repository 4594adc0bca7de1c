"""The way out: what types cannot say of proxies, and of certificates between the gateway and a provider."""

from pathlib import Path

from extproc.config.checks import Report
from extproc.config.egress import OFF, Egress, host_fault, parse_proxy
from extproc.config.model import Config, Provider
from extproc.config.relative import absolute
from extproc.config.urls import DEMO
from extproc.config.walk import sound

_PEM = "-----BEGIN"
_FILES = ("ca_file", "client_certificate", "client_key")


def check_egress(config: Config, report: Report) -> None:
    """The proxy of all, and who is reached without it."""
    egress = config.egress
    if not isinstance(egress, Egress):
        return
    if sound(egress.proxy):
        _check_proxy("$.egress.proxy", egress.proxy, report)
    for at, pattern in enumerate(egress.direct if sound(egress.direct) else ()):
        if sound(pattern) and (fault := host_fault(pattern)) is not None:
            report.error(f"$.egress.direct[{at}]", fault)


def check_outside(path: str, provider: Provider, report: Report) -> None:
    """A provider's own proxy, and its certificates."""
    if provider.proxy is not None and provider.proxy != OFF and sound(provider.proxy):
        _check_proxy(f"{path}.proxy", provider.proxy, report)
    given = [name for name in _FILES if (text := getattr(provider, name)) is not None and sound(text)]
    if {"client_certificate", "client_key"} & set(given) and not {"client_certificate", "client_key"} <= set(given):
        report.error(path, "`client_certificate` and `client_key` go together")
    for name in given:
        if getattr(provider, name).lstrip().startswith(_PEM):
            report.error(f"{path}.{name}", "the path of a PEM file is wanted here, not what is in it: leave `file:` out")
        elif sound(provider.base_url) and not provider.base_url.startswith("https:"):
            report.warning(f"{path}.{name}", "this has no effect: `base_url` is not https")
    if provider.proxy is not None and provider.base_url == DEMO:
        report.warning(f"{path}.proxy", "this has no effect: the demo provider is no other host")


def at_home(provider: Provider, folder: Path) -> Provider:
    """The provider with the paths of its certificates made absolute: they are relative to the configuration file."""
    return absolute(provider, folder, *_FILES)


def located(egress: Egress | None, folder: Path) -> Egress | None:
    """The same of the proxy's."""
    return egress and absolute(egress, folder, "ca_file")


def _check_proxy(path: str, text: str, report: Report) -> None:
    try:
        proxy = parse_proxy(text)
    except ValueError as error:
        report.error(path, str(error))
        return
    if proxy.password and not report.referred(path):
        report.warning(path, "a password is written here plainly; take it from `${NAME}`, or the whole URL from `env:NAME`")
