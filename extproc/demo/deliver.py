"""Sends the demo provider's answers, as badly as their script says."""

import asyncio
import itertools
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from extproc.demo.prompt import DemoError
from extproc.demo.script import FOREVER, Script
from extproc.demo.speech import Speech

_LOOK = 0.05
"""Seconds between two looks at whether the client is still there. aiohttp tells nobody who does not write."""
_FLUSH = 0.02
"""Seconds for written bytes to leave before the connection is cut; a cut throws away what has not left yet."""
_HTML = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center><hr><center>demo</center></body></html>\n"


class ClientGone(Exception):
    """The client hung up while we were waiting."""


async def pause(request: web.Request, seconds: float) -> None:
    """Waits. Raises `ClientGone` as soon as there is nobody left to wait for."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        await asyncio.sleep(min(left, _LOOK))
        if request.transport is None or request.transport.is_closing():
            raise ClientGone


async def before(request: web.Request, script: Script) -> web.StreamResponse | None:
    """What happens before any answer. A response means that there is no other one."""
    if script.hang:
        await pause(request, FOREVER)
    await pause(request, script.delay)
    if script.reset or script.hang:
        cut(request)
        return web.Response()
    return None


def cut(request: web.Request) -> None:
    """Cuts the connection, with whatever was promised on it."""
    if request.transport is not None:
        request.transport.abort()


async def send_error(request: web.Request, script: Script, speech: Speech, fault: DemoError, request_id: str) -> web.StreamResponse:
    """An error, in the dialect's form or as a load balancer would put it."""
    if script.html:
        return await send_body(request, script, fault.status, _HTML % (fault.status, fault.status), request_id, "text/html")
    return await send_json(request, script, fault.status, speech.error(fault, request_id), request_id)


async def send_json(request: web.Request, script: Script, status: int, value: Any, request_id: str) -> web.StreamResponse:
    """An answer that is not streamed."""
    body = msgspec.json.encode(value)
    if script.malformed:
        body = body[:-1] + b",,"
    return await send_body(request, script, status, body, request_id, "application/json")


async def send_body(
    request: web.Request, script: Script, status: int, body: bytes, request_id: str, content_type: str
) -> web.StreamResponse:
    """A whole body. All that counts events counts it as one: half of it is sent if it is never to be finished."""
    headers = _headers(script, content_type, request_id)
    if _gzip(request):
        headers["content-encoding"] = "gzip"
        body = zlib.compress(body, wbits=31)
    half = body[: len(body) // 2]
    if script.break_ is None and script.close is None and script.silent is None:
        return web.Response(status=status, body=body, headers=headers)
    response = web.StreamResponse(status=status, headers=headers)
    if script.close is None:
        response.content_length = len(body)
    await response.prepare(request)
    if any((script.break_, script.close, script.silent)):
        await response.write(half)
    if script.silent is not None:
        await pause(request, FOREVER)
    if script.close is None:
        await asyncio.sleep(_FLUSH)
        cut(request)
    return response


async def send_stream(request: web.Request, script: Script, speech: Speech, events: Iterator[bytes], request_id: str) -> web.StreamResponse:
    """A stream of server-sent events, each written by itself."""
    headers = _headers(script, "text/event-stream; charset=utf-8", request_id)
    headers["cache-control"] = "no-cache"
    if _gzip(request):
        headers["content-encoding"] = "gzip"
    response = web.StreamResponse(status=script.status, headers=headers)
    await response.prepare(request)
    writer = _Writer(response, script, "content-encoding" in headers)
    # The empty event stands for the end, so that a script may also act after the last event.
    for sent, event in enumerate(itertools.chain(events, (b"",))):
        if script.silent == sent:
            await pause(request, FOREVER)
        if sent in (script.break_, script.silent):
            await asyncio.sleep(_FLUSH)
            cut(request)
            return response
        if script.close == sent:
            break
        if script.error == sent:
            await writer.write(speech.error_event(request_id))
            break
        await writer.write(speech.MALFORMED if event and script.malformed == sent + 1 else event)
        # Without a wait, a long stream would keep everybody else on this loop waiting.
        await (pause(request, script.gap) if script.gap else asyncio.sleep(0))
    await response.write_eof(writer.end())
    return response


class _Writer:
    """Puts events on the wire: comments, line ends, compression, cuts."""

    def __init__(self, response: web.StreamResponse, script: Script, gzip: bool) -> None:
        self._response = response
        self._script = script
        self._gzip = zlib.compressobj(wbits=31) if gzip else None

    async def write(self, event: bytes) -> None:
        """One event; nothing of it is kept back."""
        if not event:
            return
        if self._script.comments:
            event = b": demo\n\n" + event
        if self._script.crlf:
            event = event.replace(b"\n", b"\r\n")
        if self._gzip is not None:
            event = self._gzip.compress(event) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        size = self._script.cut or len(event)
        for start in range(0, len(event), size):
            await self._response.write(event[start : start + size])
            if self._script.cut:
                await asyncio.sleep(0)

    def end(self) -> bytes:
        """What the compression still owes."""
        return self._gzip.flush() if self._gzip is not None else b""


def _headers(script: Script, content_type: str, request_id: str) -> dict[str, str]:
    headers = {"content-type": script.content_type or content_type, "x-request-id": request_id, "request-id": request_id}
    if script.retry_after is not None:
        headers["retry-after"] = str(script.retry_after)
    return headers


def _gzip(request: web.Request) -> bool:
    """True if the client takes gzip (RFC 9110 section 12.5.3), whether or not it prefers something else."""
    for coding in ",".join(request.headers.getall("accept-encoding", [])).lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
