"""Which version of Kubernetes there is: its API server says so, or whoever starts the injector."""

import logging
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec
from msgspec import Struct

from extproc.config.urls import bracketed

Version = tuple[int, int]

_NATIVE: Version = (1, 29)
"""From here on an init container with `restartPolicy: Always` is a sidecar, unless somebody has switched that off (SidecarContainers)."""
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_WAIT = aiohttp.ClientTimeout(total=10)

_log = logging.getLogger(__name__)


def has_native_sidecars(version: Version) -> bool:
    """Whether pods may have native sidecars."""
    return version >= _NATIVE


def parse_version(text: str) -> Version:
    """`1.33`, `v1.33.2+k3s1`. Raises `ValueError`."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})(?!\d)", text)
    if found is None:
        raise ValueError(f"{text} is no version of Kubernetes, such as 1.33")
    return int(found[1]), int(found[2])


class _Said(Struct, frozen=True):
    git_version: str = msgspec.field(name="gitVersion")


class Cluster:
    """The cluster that this process is a pod of."""

    def __init__(self, environ: Mapping[str, str] = os.environ, account: Path = _ACCOUNT, *, version: Version | None = None) -> None:
        """`version`: is taken for granted, and nobody asked."""
        self._environ, self._account = environ, account
        self._told = version is not None
        self.version = version
        """None as long as nobody has said."""

    async def ask(self) -> None:
        """Asks which version it has by now: clusters are upgraded. Where there is no answer the last one stands."""
        if self._told:
            return
        try:
            found = await self._asked()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
            _log.warning("the API server does not say which version it has: %s", str(error) or type(error).__name__)
            return
        if found != self.version:
            _log.info("Kubernetes %d.%d: sidecars are %s", *found, "native" if has_native_sidecars(found) else "classic")
        self.version = found

    async def _asked(self) -> Version:
        try:
            host, port = self._environ["KUBERNETES_SERVICE_HOST"], self._environ.get("KUBERNETES_SERVICE_PORT", "443")
        except KeyError:
            raise KeyError("this is no pod of a cluster (KUBERNETES_SERVICE_HOST); say --kubernetes-version") from None
        context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        headers = {}
        # Who may ask without: `system:public-info-viewer` has everybody, unless somebody has taken that away.
        if (token := self._account / "token").exists():
            headers["authorization"] = f"Bearer {token.read_text().strip()}"
        async with (
            aiohttp.ClientSession(timeout=_WAIT, headers=headers) as session,
            session.get(f"https://{bracketed(host)}:{port}/version", ssl=context, allow_redirects=False) as response,
        ):
            response.raise_for_status()
            return parse_version(msgspec.json.decode(await response.content.read(64 * 1024), type=_Said).git_version)
