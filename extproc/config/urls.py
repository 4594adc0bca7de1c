"""Addresses in the configuration, taken apart and checked."""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from extproc.config.egress import Egress, Proxy, proxy_for, way_to
from extproc.config.model import Provider

DEMO = "demo:"
"""The base URL of the built-in demo provider."""

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?")
# RFC 3986, section 3.3: characters of a path.
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
# `/models` is none: Azure has its endpoints below it.
_ENDPOINTS = {
    "openai": r"(chat/completions|completions|embeddings|rerank|moderations|images/(generations|edits)"
    r"|audio/(speech|transcriptions|translations))",
    "responses": r"responses",
    "anthropic": r"messages(/count_tokens)?",
    "cohere": r"v[12]/(chat|embed|rerank)",
    "ollama": r"api/(chat|generate|embed|embeddings|tags|version)",
    "gemini": r"models/[^/:]*:[A-Za-z]+",
    "bedrock": r"model/[^/]+/(converse|converse-stream|invoke|invoke-with-response-stream)",
}
_STEMS = {
    "openai": r"(chat|images|audio)",
    "cohere": r"v[12]",
    "ollama": r"(api|v1)",
    "gemini": r"models",
    "bedrock": r"model",
}
"""What paths of a dialect's endpoints begin with behind a `base_url`, or have in their middle."""
_PORTS = {"http": 80, "https": 443, "demo": 0}


class ProviderUrl(Struct, frozen=True):
    """Where a provider is."""

    scheme: str
    """`https`, `http`, or `demo` for the built-in one, which has no host and no port of its own."""
    host: str
    """Lower case; an IPv6 address without its brackets."""
    port: int
    prefix: str
    """Path before an endpoint's own, such as `/v1`: begins with a slash, ends without one, never empty."""
    path: str = ""
    """The path as it is written: begins with a slash, ends without one, empty if there is none. `Provider.paths` follow it."""

    @property
    def authority(self) -> str:
        """What `:authority` says: the host, and the port unless it is the scheme's own."""
        host = bracketed(self.host)
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def bracketed(host: str) -> str:
    """A name or an address as it stands before a port: IPv6 in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def provider_url(provider: Provider) -> ProviderUrl:
    """Where `provider` is. Raises ValueError with a sentence that does not repeat the URL, which may hold a password."""
    return parse_provider_url(provider.base_url)


def proxy_of(provider: Provider, egress: Egress | None) -> Proxy | None:
    """The proxy by which `provider` is reached; None: without any."""
    return proxy_for(provider_url(provider).host, egress, provider.proxy) if is_behind_proxy(provider, egress) else None


def is_behind_proxy(provider: Provider, egress: Egress | None) -> bool:
    """Whether there is one."""
    url = provider_url(provider)
    return url.scheme != "demo" and way_to(url.host, egress, provider.proxy) is not None


def parse_provider_url(text: str) -> ProviderUrl:
    """A `base_url` taken apart. A URL without a path gets `/v1`. Raises ValueError."""
    if text == DEMO:
        return ProviderUrl("demo", "demo", 0, "/v1")
    parts = _split(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("the URL has to begin with `https://` or `http://`, or be `demo:`")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds a user name or password; a credential belongs into `key`")
    # An empty query or fragment is one, too: urlsplit does not tell.
    if "?" in text or "#" in text:
        raise ValueError("the URL holds a `?` or `#`; it ends with the path that all endpoints share, such as `/v1`")
    host = _host(parts)
    port = _port(parts)
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or "//" in path or {".", ".."} & set(path.split("/")):
        raise ValueError("the URL's path is not valid: letters, digits and `-._~` between single slashes, no `.` or `..`")
    return ProviderUrl(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, path or "/v1", path)


def endpoint_of(url: ProviderUrl, dialects: Iterable[str]) -> str:
    """The endpoint of one of these dialects that a base URL ends with, such as `/chat/completions`: somebody took it from an example of a
    call. Empty if none.
    """
    return next((found for dialect in dialects if (found := _end(url, _ENDPOINTS[dialect]))), "")


def stem_of(url: ProviderUrl, dialect: str) -> str:
    """What a base URL ends with that each endpoint of the dialect has by itself, such as `/v2` of Cohere's, or that is an endpoint of
    another dialect: people mix them up. Empty if nothing.
    """
    return _end(url, _STEMS.get(dialect, "")) or endpoint_of(url, _ENDPOINTS)


def _end(url: ProviderUrl, pattern: str) -> str:
    found = re.search(f"/{pattern}$", url.path) if pattern else None
    return found[0] if found else ""


def redis_url_fault(text: str) -> str | None:
    """What is wrong with a Redis URL, without repeating it; None if nothing is."""
    try:
        parts = _split(text)
        if parts.scheme == "unix":
            return None if parts.path.startswith("/") else "a `unix:` URL needs an absolute path, such as `unix:///run/redis.sock`"
        if parts.scheme not in ("redis", "rediss"):
            return "the URL has to begin with `redis://`, `rediss://` (TLS) or `unix://`"
        _host(parts)
        _port(parts)
    except ValueError as error:
        return str(error)
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):
        return "after the host comes the number of a database, such as `/0`, or nothing"
    return None


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address that something is bound to."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def address_fault(address: str) -> str | None:
    """What is wrong with an address to bind; None if nothing is. Envoy binds addresses, not names."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        tip = "127.0.0.1" if address == "localhost" else "127.0.0.1, 0.0.0.0 or ::"
        return f"an IP address is needed here, such as {tip}"
    return "an address with a zone (`%`) cannot be bound" if getattr(parsed, "scope_id", None) else None


def is_host_name(text: str) -> bool:
    """Whether it can be a name in a certificate."""
    return _HOST.fullmatch(text) is not None


def _split(text: str) -> SplitResult:
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("the URL holds a space or another character that no URL has")
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("this is not a URL") from None


def _host(parts: SplitResult) -> str:
    try:
        host = parts.hostname
    except ValueError:
        host = None
    if not host:
        raise ValueError("the URL has no host")
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError("the URL's host is not an IPv6 address") from None
    if not _HOST.fullmatch(host):
        raise ValueError("the URL's host is not valid")
    return host


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the URL's port has to be between 1 and 65535")
    return port
