"""Active health checks: each provider that wants one is asked again and again, and the workers are told what came of it.

Why not by Envoy's own health checks: docs/decisions/0013-health-checks-by-the-control-process.md.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import aiohttp
from msgspec.structs import replace

from extproc.checked import encode_health
from extproc.config.credentials import section
from extproc.config.egress import Egress
from extproc.config.health import Health
from extproc.config.model import Config, Google, Provider
from extproc.config.urls import bracketed, provider_url
from extproc.control.way_out import DIRECT, WayOut
from extproc.envoy import names
from extproc.ledger.metrics import Metrics
from extproc.upstream import compile_upstream

_JITTER = 0.1
"""Part of a pause by which checks differ, so that those of many gateways do not come together."""
_OF_THE_KEY = (401, 402, 403, 429)
"""Statuses that may say something of a key alone."""

Bearer = Callable[[Google], str]
"""The access token of a provider that takes those; empty where there is none."""

_log = logging.getLogger(__name__)


class Checks:
    """The checks of a configuration's providers."""

    def __init__(
        self,
        push: Callable[[bytes], Awaitable[object]],
        metrics: Metrics,
        bearer: Bearer,
        *,
        run_dir: str,
        ca_file: Callable[[], str],
        way: WayOut = DIRECT,
    ) -> None:
        """`push` tells the workers that are there. `ca_file`: who vouches for providers."""
        self._push = push
        self._metrics = metrics
        self._bearer = bearer
        self._run_dir = run_dir
        self._ca_file = ca_file
        self._way = way
        self._egress: Egress | None = None
        self._checkers: dict[str, _Checker] = {}

    async def follow(self, config: Config) -> None:
        """Checks that configuration's providers, and no others. What is known of one stays while its section does."""
        wanted = {name: provider for name, provider in config.providers.items() if provider.health is not None}
        moved, self._egress = config.egress != self._egress, config.egress
        gone = [name for name, checker in self._checkers.items() if moved or wanted.get(name) != checker.provider]
        for name in gone:
            await self._checkers.pop(name).close()
            self._metrics.providers.forget_health(name)
        for name, provider in wanted.items():
            if name not in self._checkers:
                self._checkers[name] = _Checker(name, provider, self)
        if gone:
            await self._push(self.message())

    def healthy(self, provider: str) -> bool | None:
        """Whether it is; None where nobody checks it, or no check is through yet."""
        checker = self._checkers.get(provider)
        return checker.healthy if checker is not None else None

    def message(self) -> bytes:
        """All that is known, for a worker that knows nothing yet."""
        return encode_health({name: checker.healthy for name, checker in self._checkers.items() if checker.healthy is not None})

    async def close(self) -> None:
        """Checks none any more."""
        checkers, self._checkers = self._checkers, {}
        for checker in checkers.values():
            await checker.close()

    async def told(self, name: str, fault: str, healthy: bool | None, *, changed: bool) -> None:
        """What came of a check."""
        self._metrics.providers.checked(name, healthy=healthy, failed=bool(fault))
        if changed:
            await self._push(self.message())

    def open(self, provider: Provider) -> aiohttp.ClientSession:
        """Connections to that provider."""
        url = provider_url(provider)
        if url.scheme == "demo":
            return aiohttp.ClientSession(connector=aiohttp.UnixConnector(names.origin_socket(self._run_dir)))
        way = self._way.session(provider.base_url, provider.proxy)
        secure = url.scheme == "https" or str(way.get("proxy", "")).startswith("https:")
        context = self._context(provider, proxied=bool(way)) if secure else False
        # Each check is a connection of its own: that one can be made is a part of what is checked.
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True), **way)

    def _context(self, provider: Provider, *, proxied: bool) -> ssl.SSLContext:
        context = self._way.context(provider.ca_file or self._ca_file(), proxied)
        if provider.client_certificate is not None:
            context.load_cert_chain(provider.client_certificate, provider.client_key)
        return context

    def headers(self, name: str, provider: Provider) -> dict[str, str]:
        """What a request to it carries."""
        upstream = compile_upstream(name, provider)
        own: Mapping[str, str] = dict(upstream.headers) | dict(upstream.request.set)
        if provider.google is not None and (token := self._bearer(provider.google)):
            own = {**own, "authorization": f"Bearer {token}"}
        return {**own, "host": upstream.authority}


class _Checker:
    """The checks of one provider."""

    def __init__(self, name: str, provider: Provider, checks: Checks) -> None:
        self.provider = provider
        self.healthy: bool | None = None
        self._name = name
        self._checks = checks
        self._keyed = tuple(replace(provider, key=section(key).key, keys=()) for key in provider.keys) or (provider,)
        """The provider with each of its keys."""
        self._failed = 0
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        health = self.provider.health
        assert health is not None
        # Files of certificates are read when a session is opened, and may be others the next time.
        kept = self.provider.client_certificate is None and self.provider.ca_file is None
        while True:
            async with self._checks.open(self.provider) as session:
                await self._check(session, health)
                while kept:
                    await self._check(session, health)

    async def _check(self, session: aiohttp.ClientSession, health: Health) -> None:
        await self._take(await self._fault(session, health), health)
        await asyncio.sleep(health.every * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - no secret

    async def _fault(self, session: aiohttp.ClientSession, health: Health) -> str:
        """What is wrong with it; empty if nothing is. Of several keys one may be refused: then it is asked with the next."""
        fault = ""
        for keyed in self._keyed:
            status, fault = await self._asked(session, health, keyed)
            if status not in _OF_THE_KEY:
                break
        return fault

    async def _asked(self, session: aiohttp.ClientSession, health: Health, provider: Provider) -> tuple[int, str]:
        """The status that was not expected, or 0, and what is wrong."""
        url = provider_url(provider)
        place = "http://demo" if url.scheme == "demo" else f"{url.scheme}://{bracketed(url.host)}:{url.port}"
        try:
            async with session.get(
                place + health.path,
                headers=self._checks.headers(self._name, provider),
                timeout=aiohttp.ClientTimeout(total=health.timeout),
                allow_redirects=False,
                server_hostname=provider.tls_server_name if url.scheme == "https" else None,
            ) as answer:
                if answer.status in health.expects:
                    return 0, ""
                return answer.status, f"status {answer.status} {_phrase(answer.status)}".strip()
        except TimeoutError:
            return 0, f"no answer within {health.timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return 0, str(error) or type(error).__name__

    async def _take(self, fault: str, health: Health) -> None:
        self._failed = self._failed + 1 if fault else 0
        before = self.healthy
        if not fault:
            self.healthy = True
        elif self._failed >= health.failures:
            self.healthy = False
        changed = self.healthy != before
        if changed and not self.healthy:
            _log.warning("provider %s is unhealthy: %s; others are asked while there are any", self._name, fault)
        elif changed and before is not None:
            _log.info("provider %s is healthy again", self._name)
        await self._checks.told(self._name, fault, self.healthy, changed=changed)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
