"""The section `egress`: a proxy in front of everybody else, through which providers are reached (CONNECT, RFC 9110, section 9.3.6)."""

import functools
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import unquote, urlsplit

from msgspec import Meta, Struct

from extproc.config.nearest import quoted
from extproc.config.section import Section
from extproc.hosts import is_loopback_name

OFF = "off"
"""In place of a provider's proxy: none."""
_NAME = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?")
_PORTS = {"http": 3128, "https": 443}

Host = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[0-9A-Za-z_.:*/-]+$",
        description="a host's name, `.internal` or `*.internal` for all names that end so, an address, or a network such as `10.0.0.0/8`",
    ),
]


class Egress(Section, frozen=True):
    """The way out, where it leads through a proxy. Providers' TLS goes through it untouched, and it looks their names up."""

    proxy: str
    """Its URL, such as `http://proxy.example:3128`; `https://` for TLS on the way to it. A user and a password may stand before the host:
    then best as `env:NAME` or `file:PATH`."""
    ca_file: str | None = None
    """Who vouches for a proxy that is reached by TLS: a PEM file, relative to the configuration file; unless given, whom the system
    trusts."""
    direct: Annotated[tuple[Host, ...], Meta(max_length=256)] = ()
    """Hosts that are reached without it. This machine always is."""


class Proxy(Struct, frozen=True):
    """A proxy's URL, taken apart."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def name(self) -> str:
        """Tells one from another, and nothing of what is secret: it stands in statistics, where a password must not be guessed by it."""
        return _name(f"{self.scheme}://{self.host}:{self.port}", repr((self.user, self.password)))


@functools.lru_cache(maxsize=64)
def _name(where: str, who: str) -> str:
    # Slow on purpose, RFC 7914: some 50 ms for each guess.
    return hashlib.scrypt(who.encode(), salt=where.encode(), n=2**14, r=8, p=1, dklen=6).hex()


def parse_proxy(text: str) -> Proxy:
    """Raises ValueError with a sentence that does not repeat the URL, which may hold a password."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("this is no URL of a proxy, such as http://proxy.example:3128") from None
    if parts.scheme not in _PORTS:
        raise ValueError("the URL of a proxy begins with `http://` or `https://`")
    if not _is_host(host) or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("the URL of a proxy is a scheme, a host and a port, such as http://proxy.example:3128, and ends there")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if any(not one.isprintable() for one in (user, password)) or ":" in user:
        raise ValueError("the user or the password in the URL of the proxy holds what none may")
    return Proxy(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, user, password)


def host_fault(pattern: str) -> str | None:
    """Why nobody would ever be among these; None if somebody may be."""
    name = pattern.removeprefix("*.").removeprefix(".")
    if _is_host(name):
        return None
    try:
        ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return f"{quoted(pattern)} is no host's name, without a port, no `*.internal`, no address and no network such as `10.0.0.0/8`"
    return None


def _is_host(text: str) -> bool:
    if _NAME.fullmatch(text) is not None:
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def way_to(host: str, egress: Egress | None, own: str | None = None) -> str | None:
    """The URL of the proxy by which a host is reached; None: without any. `own`: what its provider's section says."""
    if own is not None:
        return None if own == OFF else own
    return None if egress is None or is_loopback_name(host) or is_among(host, egress.direct) else egress.proxy


def proxy_for(host: str, egress: Egress | None, own: str | None = None) -> Proxy | None:
    """The same, taken apart. Not for workers, which are told that there is one, and nothing else of it."""
    url = way_to(host, egress, own)
    return None if url is None else parse_proxy(url)


def is_among(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host is one of these."""
    name = host.lower().rstrip(".")
    return any(_fits(name, pattern.lower()) for pattern in patterns)


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith(("*.", ".")):
        return name.endswith(pattern.removeprefix("*"))
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return name == pattern


def veiled(text: str) -> str:
    """A proxy as workers are told of it: a digest, which tells one from another."""
    return hashlib.sha256(text.encode()).hexdigest()
