"""How the control process itself gets out: by the proxy of `egress`, where there is one, as Envoy does."""

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from extproc.config.egress import Egress, Proxy, proxy_for
from extproc.config.urls import bracketed

Trust = Callable[[], str]
"""The file with the authorities that this machine trusts."""


class WayOut:
    """The way to whoever the control process asks."""

    def __init__(self, egress: Egress | None = None) -> None:
        self._egress = egress

    def follow(self, egress: Egress | None) -> None:
        """Goes by that section from now on."""
        self._egress = egress

    def context(self, ca_file: str, proxied: bool) -> ssl.SSLContext:
        """Whom to trust. aiohttp has one answer for the proxy and for whoever is behind it."""
        context = ssl.create_default_context(cafile=ca_file)
        if proxied and self._egress is not None and self._egress.ca_file is not None:
            context.load_verify_locations(self._egress.ca_file)
        return context

    def proxy(self, url: str, own: str | None = None) -> Proxy | None:
        """The proxy by which a URL is reached. `own`: what its provider's section says."""
        return proxy_for(urlsplit(url).hostname or "", self._egress, own)

    def session(self, url: str, own: str | None = None) -> dict[str, Any]:
        """Arguments of an `aiohttp.ClientSession` for that URL."""
        proxy = self.proxy(url, own)
        if proxy is None:
            return {}
        auth = aiohttp.BasicAuth(proxy.user, proxy.password) if proxy.user or proxy.password else None
        return {"proxy": f"{proxy.scheme}://{bracketed(proxy.host)}:{proxy.port}", "proxy_auth": auth}

    def text(self, url: str) -> str:
        """The same as one URL, as `requests` takes it; empty for none."""
        proxy = self.proxy(url)
        if proxy is None:
            return ""
        who = f"{quote(proxy.user, safe='')}:{quote(proxy.password, safe='')}@" if proxy.user or proxy.password else ""
        return f"{proxy.scheme}://{who}{bracketed(proxy.host)}:{proxy.port}"


DIRECT = WayOut()
"""For whoever has no proxy."""
