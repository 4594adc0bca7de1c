"""The webhook's server: HTTPS for the API server and for probes, one line of JSON for each review."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from typing import Any, TextIO

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.config.urls import bracketed
from extproc.injector.certificate import Certificate
from extproc.injector.cluster import Cluster, has_native_sidecars
from extproc.injector.inject import Injected, inject
from extproc.injector.review import Malformed, Verdict, review
from extproc.injector.settings import Settings
from extproc.loops import forever

_MOST = 8 * 1024 * 1024
"""Bytes of a review. An object has at most 1.5 MiB in etcd, and the API server takes requests of 3."""
_MOST_NAME = 253
"""Characters of a name, of which the log has no more: whoever reaches this port may say what he likes."""
_LOOK_EVERY = 1.0
_ASK_EVERY, _ASK_AGAIN = 600.0, 2.0
_PATIENCE = 10.0
"""Seconds for reviews that are under way at the end: as long as the API server waits for one."""

_log = logging.getLogger(__name__)


class Injector:
    """Answers reviews, and is ready when it knows how."""

    def __init__(self, settings: Settings, cluster: Cluster, log: TextIO) -> None:
        """`log`: where the lines go."""
        self._settings, self._cluster, self._log = settings, cluster, log
        self.ending = False
        """True: it serves on for a while, for API servers that have not heard of it, and wants no new connections."""

    def app(self) -> web.Application:
        """The HTTP application."""

        @web.middleware
        async def parting(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if self.ending:
                response.force_close()
            return response

        app = web.Application(client_max_size=_MOST, middlewares=[parting])
        app.add_routes([web.post("/mutate", self._mutate), web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        return app

    @property
    def ready(self) -> bool:
        """False as long as nobody has said which sidecars this cluster has, and at the end."""
        return self._knows and not self.ending

    @property
    def _knows(self) -> bool:
        return self._settings.mode != "auto" or self._cluster.version is not None

    async def _mutate(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        if request.content_type != "application/json":
            return _told(415, "reviews are application/json")
        if not self._knows:
            # An answer that is none: the webhook's `failurePolicy` says what comes of the pod.
            return _told(503, "the version of Kubernetes is not known yet")
        body = await request.read()
        try:
            verdict = review(body, self._inject)
        except Malformed as error:
            return _told(400, str(error))
        self._tell(verdict, time.perf_counter() - began)
        return web.Response(body=verdict.body, content_type="application/json")

    def _inject(self, pod: dict[str, Any]) -> Injected:
        version = self._cluster.version
        return inject(pod, self._settings, native=version is not None and has_native_sidecars(version))

    def _tell(self, verdict: Verdict, seconds: float) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "uid": verdict.request.uid[:_MOST_NAME],
            "namespace": verdict.request.namespace[:_MOST_NAME],
            "name": verdict.name[:_MOST_NAME],
            "decision": verdict.decision,
            "ms": round(seconds * 1000, 2),
        }
        if verdict.request.dry_run:
            line["dry_run"] = True
        if verdict.told:
            line["told"] = verdict.told
        print(msgspec.json.encode(line).decode(), file=self._log, flush=True)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ready" if self.ready else "waiting"}, status=200 if self.ready else 503)


async def serve(settings: Settings, cluster: Cluster, certificate: Certificate, place: tuple[str, int], drain_delay: float) -> None:
    """Serves until SIGTERM or SIGINT, and `drain_delay` seconds more, which the same signal again cuts short: API servers hear later than
    we do that this address goes, and a pod that they cannot ask about may be one without a sidecar. Raises `OSError` where the port cannot
    be had.
    """
    loop = asyncio.get_running_loop()
    ends: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ends.put_nowait, number)
    injector = Injector(settings, cluster, sys.stdout)
    runner = web.AppRunner(injector.app(), access_log=None, shutdown_timeout=_PATIENCE)
    await runner.setup()
    site = web.TCPSite(runner, *place, ssl_context=certificate.context)
    tasks = [
        loop.create_task(forever("looking for a new certificate", _LOOK_EVERY, certificate.look)),
        loop.create_task(_follow(settings, cluster)),
    ]
    try:
        await site.start()
        _log.info("reviews are taken at https://%s:%d/mutate", bracketed(place[0]), place[1])
        await ends.get()
        injector.ending = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ends.get(), drain_delay)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()


async def _follow(settings: Settings, cluster: Cluster) -> None:
    while settings.mode == "auto":
        await cluster.ask()
        await asyncio.sleep(_ASK_EVERY if cluster.version is not None else _ASK_AGAIN)


def _told(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
