"""What the hostile provider does to its callers, by name: a function each."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

from bench.faults import words
from bench.faults.hostile import Deed, Peer

_SLOW = 0.5
"""Less than `timeouts.first_byte` of the suite's gateway."""
_PASSED = 0.25
"""After it, what was sent has most times reached the caller, so that it is there before the connection breaks."""
_BREATH = 0.01
"""Between pieces of what never ends: whoever else is served by this process is to be served."""
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_LONG = b"x" * 1000
STATUSES = {
    400: b"Bad Request", 401: b"Unauthorized", 402: b"Payment Required", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed",
    408: b"Request Timeout", 409: b"Conflict", 410: b"Gone", 413: b"Content Too Large", 422: b"Unprocessable Content",
    424: b"Failed Dependency", 425: b"Too Early", 429: b"Too Many Requests", 498: b"Flex Tier Capacity Exceeded",
    499: b"Client Closed Request", 500: b"Internal Server Error", 502: b"Bad Gateway", 503: b"Service Unavailable",
    504: b"Gateway Timeout", 529: b"Overloaded",
}  # fmt: skip


REDIRECTS = (b"301 Moved Permanently", b"302 Found", b"303 See Other", b"307 Temporary Redirect", b"308 Permanent Redirect")


def _status(status: int, more: bytes = b"") -> Deed:
    async def deed(peer: Peer) -> bool:
        await peer.body()
        await peer.send(words.error(peer.dialect, status), status=b"%d %b" % (status, STATUSES[status]), more=more)
        return True

    return deed


def _redirect(status: bytes) -> Deed:
    """To where it would be answered, and the caller's key would be seen."""

    async def deed(peer: Peer) -> bool:
        await peer.body()
        path = peer.path.replace(peer.fault, "good", 1).encode()
        where = b"location: http://%b%b?secret=sk-of-nobody\r\n" % (peer.headers.get("host", "").encode(), path)
        await peer.send(b"<html>It has moved.</html>", status=status, kind=b"text/html", more=where)
        return True

    return deed


def _bare(status: bytes) -> Deed:
    """A status that has no body."""

    async def deed(peer: Peer) -> bool:
        await peer.body()
        await peer.write(b"HTTP/1.1 %b\r\n%b\r\n" % (status, b"content-length: 0\r\n" if status[:3] == b"205" else b""))
        return True

    return deed


async def _slow_head(peer: Peer) -> bool:
    await peer.body()
    await asyncio.sleep(_SLOW)
    return await peer.good()


async def _silent(peer: Peer) -> bool:
    await peer.body()
    await peer.gone()
    return False


async def _silent_after_head(peer: Peer) -> bool:
    if await peer.streamed():
        await peer.begin_stream()
    else:
        await peer.write(_HEAD + b"content-length: 500\r\n\r\n")
    await peer.gone()
    return False


async def _silent_mid_body(peer: Peer) -> bool:
    await _half(peer)
    await peer.gone()
    return False


async def _drip_head(peer: Peer) -> bool:
    await peer.body()
    for byte in _HEAD:
        await peer.write(bytes([byte]))
        await asyncio.sleep(0.1)
    return False


async def _drip_body(peer: Peer) -> bool:
    marker = await peer.marker()
    if await peer.streamed():
        await peer.begin_stream()
        for byte in b"".join(words.stream(peer.dialect, marker)):
            await peer.chunk(bytes([byte]))
        await peer.chunk(b"")
        return True
    body = words.whole(peer.dialect, marker)
    await peer.write(_HEAD + b"content-length: %d\r\n\r\n" % len(body))
    for byte in body:
        await peer.write(bytes([byte]))
        await asyncio.sleep(0.001)
    return True


async def _half(peer: Peer) -> None:
    """Half of an answer: of a stream, all but its end."""
    marker = await peer.marker()
    if await peer.streamed():
        await peer.begin_stream()
        for event in words.stream(peer.dialect, marker)[:3]:
            await peer.chunk(event)
    else:
        body = words.whole(peer.dialect, marker)
        await peer.write(_HEAD + b"content-length: %d\r\n\r\n%b" % (len(body), body[: len(body) // 2]))
    await asyncio.sleep(_PASSED)


def _broken(before: Callable[[Peer], Awaitable[object]]) -> Deed:
    """Breaks off after what `before` does."""

    async def deed(peer: Peer) -> bool:
        await before(peer)
        peer.reset()
        return False

    return deed


async def _nothing(peer: Peer) -> None:
    await asyncio.sleep(0)


async def _half_head(peer: Peer) -> None:
    await peer.body()
    await peer.write(_HEAD)
    await asyncio.sleep(_PASSED)


async def _only_head(peer: Peer) -> None:
    if await peer.streamed():
        await peer.begin_stream()
    else:
        await peer.write(_HEAD + b"content-length: 500\r\n\r\n")
    await asyncio.sleep(_PASSED)


async def _half_chunk(peer: Peer) -> None:
    marker = await peer.marker()
    if await peer.streamed():
        events = words.stream(peer.dialect, marker)
        await peer.begin_stream()
        await peer.chunk(b"".join(events[:3]))
        await peer.write(b"%x\r\n%b" % (len(events[3]), events[3][:9]))
    else:
        await peer.write(_HEAD + b"transfer-encoding: chunked\r\n\r\n")
        await peer.write(b"400\r\n" + words.whole(peer.dialect, marker)[:40])
    await asyncio.sleep(_PASSED)


async def _half_event(peer: Peer) -> None:
    marker = await peer.marker()
    if not await peer.streamed():
        await _half_chunk(peer)
        return
    events = words.stream(peer.dialect, marker)
    await peer.begin_stream()
    await peer.chunk(b"".join(events[:3]) + events[3][:9])
    await asyncio.sleep(_PASSED)


async def _end_mid_event(peer: Peer) -> bool:
    """The same, within an event."""
    if not await peer.streamed():
        return await _end_mid_stream(peer)
    events = words.stream(peer.dialect, await peer.marker())
    await peer.begin_stream()
    await peer.chunk(b"".join(events[:3]) + events[3][: len(events[3]) // 2])
    await peer.chunk(b"")
    return True


async def _end_mid_stream(peer: Peer) -> bool:
    """The stream ends as HTTP ends, but not as its dialect does."""
    if not await peer.streamed():
        return await _body(b'{"id":"c-1","choices":[{"index":0,"mess')(peer)
    await _half(peer)
    await peer.chunk(b"")
    return True


def _body(body: bytes, kind: bytes = b"application/json", more: bytes = b"") -> Deed:
    """200, and this; where a stream is asked for, as one chunk of one unless `kind` is said."""

    async def deed(peer: Peer) -> bool:
        if await peer.streamed() and kind == b"application/json":
            await peer.begin_stream(more)
            if body:
                await peer.chunk(body)
            await peer.chunk(b"")
        else:
            await peer.send(body, kind=kind, more=more)
        return True

    return deed


async def _error_first(peer: Peer) -> bool:
    if await peer.streamed():
        return await _body(words.error_event(peer.dialect))(peer)
    return await _body(words.error(peer.dialect, 503))(peer)


async def _error_later(peer: Peer) -> bool:
    if not await peer.streamed():
        return await _body(words.error(peer.dialect, 503))(peer)
    await peer.begin_stream()
    for event in [*words.stream(peer.dialect, await peer.marker())[:3], words.error_event(peer.dialect), b""]:
        await peer.chunk(event)
    return True


async def _garbage_later(peer: Peer) -> bool:
    if not await peer.streamed():
        return await _body(b"\x00\xff{{{")(peer)
    await peer.begin_stream()
    for event in [*words.stream(peer.dialect, await peer.marker())[:3], words.garbage(peer.dialect), b""]:
        await peer.chunk(event)
    return True


def _raw(data: bytes) -> Deed:
    """Bytes that need not be HTTP, and the end of the connection."""

    async def deed(peer: Peer) -> bool:
        await peer.body()
        await peer.write(data)
        return False

    return deed


def _framed(lengths: Callable[[int], bytes], extra: bytes = b"", version: bytes = b"1.1") -> Deed:
    """A good answer, framed by these headers (`lengths` is told its length), and `extra` after it; then the connection ends."""

    async def deed(peer: Peer) -> bool:
        marker = await peer.marker()
        stream = await peer.streamed()
        body = b"".join(words.stream(peer.dialect, marker)) if stream else words.whole(peer.dialect, marker)
        kind = b"text/event-stream" if stream else b"application/json"
        head = b"HTTP/%b 200 OK\r\ncontent-type: %b\r\n%b\r\n" % (version, kind, lengths(len(body)))
        await peer.write(head + body + extra)
        return False

    return deed


async def _endless_headers(peer: Peer) -> bool:
    await peer.body()
    await peer.write(_HEAD)
    for number in range(100_000):
        await peer.write(b"x-%d: %b\r\n" % (number, _LONG))
        await asyncio.sleep(_BREATH)
    return False


async def _many_headers(peer: Peer) -> bool:
    await peer.marker()
    head = b"".join(b"x-%d: y\r\n" % number for number in range(3000))
    await peer.send(words.whole(peer.dialect, await peer.marker()), more=head)
    return True


async def _endless_stream(peer: Peer) -> bool:
    streamed, marker = await peer.streamed(), await peer.marker()
    if streamed:
        await peer.begin_stream()
        await peer.chunk(b"".join(words.stream(peer.dialect, marker)[:3]))
    else:
        await peer.write(_HEAD + b"transfer-encoding: chunked\r\n\r\n")
    piece = words.endless(peer.dialect) * 100 if streamed else b" " * 16384
    while True:
        await peer.chunk(piece)
        await asyncio.sleep(_BREATH)


async def _endless_event(peer: Peer) -> bool:
    """A stream whose first event never ends."""
    await peer.body()
    await peer.begin_stream()
    await peer.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"')
    while True:
        await peer.chunk(_LONG * 16)
        await asyncio.sleep(_BREATH)


def _packed(encoding: bytes, pack: Callable[[bytes], bytes]) -> Deed:
    """A good answer under a `content-encoding`, whoever has asked for it."""

    async def deed(peer: Peer) -> bool:
        marker = await peer.marker()
        if not await peer.streamed():
            await peer.send(pack(words.whole(peer.dialect, marker)), more=b"content-encoding: %b\r\n" % encoding)
            return True
        await peer.begin_stream(b"content-encoding: %b\r\n" % encoding)
        packed = pack(b"".join(words.stream(peer.dialect, marker)))
        for begin in range(0, len(packed), 100):
            await peer.chunk(packed[begin : begin + 100])
        await peer.chunk(b"")
        return True

    return deed


def brotli(data: bytes) -> bytes:
    """Brotli without compression: one stored meta-block of at most 64 KiB (RFC 7932, section 9.2), and the empty last one."""
    return ((len(data) - 1) << 4 | 1 << 20).to_bytes(3, "little") + data + b"\x03"


def zstandard(data: bytes) -> bytes:
    """Zstandard without compression: one frame of one raw block (RFC 8878, section 3.1.1), of at most 64 KiB + 256 bytes."""
    size = (len(data) - 256).to_bytes(2, "little") if len(data) >= 256 else bytes([len(data)])
    head = b"\x28\xb5\x2f\xfd" + (b"\x60" if len(data) >= 256 else b"\x20") + size
    return head + (len(data) << 3 | 1).to_bytes(3, "little") + data


def _informed(status: bytes) -> Deed:
    """An interim answer before the good one."""

    async def deed(peer: Peer) -> bool:
        await peer.body()
        await peer.write(b"HTTP/1.1 %b\r\n\r\n" % status)
        await asyncio.sleep(0.02)
        return await peer.good()

    return deed


async def _unhurried(peer: Peer) -> bool:
    """A good answer that takes two seconds: what is under way when something else breaks."""
    marker = await peer.marker()
    if not await peer.streamed():
        await asyncio.sleep(0.8)
        return await peer.good()
    first, *rest = words.stream(peer.dialect, marker)
    await peer.begin_stream()
    await peer.chunk(first)
    for event in [*[words.endless(peer.dialect)] * 10, *rest] if peer.dialect == "openai" else rest:
        await asyncio.sleep(0.1)
        await peer.chunk(event)
    await peer.chunk(b"")
    return True


async def _early_refusal(peer: Peer) -> bool:
    """The answer comes before the request was read, and the connection ends."""
    await peer.send(words.error(peer.dialect, 413), status=b"413 Content Too Large", more=b"connection: close\r\n")
    return False


DEEDS: dict[str, Deed] = {
    **{f"status-{status}": _status(status) for status in STATUSES},
    "status-429-after": _status(429, b"retry-after: 2\r\n"),
    "status-204": _bare(b"204 No Content"),
    "status-205": _bare(b"205 Reset Content"),
    **{f"redirect-{status.decode()[:3]}": _redirect(status) for status in REDIRECTS},
    "unhurried": _unhurried,
    "slow-head": _slow_head,
    "silent": _silent,
    "silent-after-head": _silent_after_head,
    "silent-mid-body": _silent_mid_body,
    "drip-head": _drip_head,
    "drip-body": _drip_body,
    "reset-before-body": _broken(_nothing),
    "reset-after-body": _broken(Peer.body),
    "reset-in-head": _broken(_half_head),
    "reset-after-head": _broken(_only_head),
    "reset-mid-body": _broken(_half),
    "reset-mid-chunk": _broken(_half_chunk),
    "reset-mid-event": _broken(_half_event),
    "end-mid-stream": _end_mid_stream,
    "end-mid-event": _end_mid_event,
    "error-in-200": _error_first,
    "error-later": _error_later,
    "empty": _body(b""),
    "web-page": _body(b"<html><title>Log in</title></html>", b"text/html"),
    "malformed-json": _body(b'{"id":"c-1","choices":[{"index":0,"mess'),
    "malformed-sse": _body(b"\x00\xff\ndata\n: \n\ndata: {{{\n\n"),
    "malformed-later": _garbage_later,
    "not-http": _raw(b"\x15\x03\x01\x00\x02\x02\x46 what is this?\r\n\r\n"),
    "closes": _raw(b""),
    "length-too-long": _framed(lambda length: b"content-length: %d\r\n" % (length + 50)),
    "length-too-short": _framed(lambda length: b"content-length: %d\r\n" % length, b"and more of it"),
    "length-twice": _framed(lambda length: b"content-length: %d\r\ncontent-length: %d\r\n" % (length, length + 1)),
    "length-nonsense": _framed(lambda length: b"content-length: many\r\n"),
    "length-and-chunks": _framed(lambda length: b"content-length: %d\r\ntransfer-encoding: chunked\r\n" % length),
    "no-length": _framed(lambda length: b""),
    "http-1.0": _framed(lambda length: b"", version=b"1.0"),
    "http-1.0-length": _framed(lambda length: b"content-length: %d\r\n" % length, version=b"1.0"),
    "huge-headers": _framed(lambda length: b"content-length: %d\r\nx-huge: %b\r\n" % (length, _LONG * 80)),
    "many-headers": _many_headers,
    "endless-headers": _endless_headers,
    "endless-stream": _endless_stream,
    "endless-event": _endless_event,
    "gzip": _packed(b"gzip", gzip.compress),
    "br": _packed(b"br", brotli),
    "zstd": _packed(b"zstd", zstandard),
    "gzip-false": _packed(b"gzip", bytes),
    "br-false": _packed(b"br", bytes),
    "zstd-false": _packed(b"zstd", bytes),
    "early-hints": _informed(b"103 Early Hints\r\nlink: </style.css>; rel=preload"),
    "continue": _informed(b"100 Continue"),
    "early-refusal": _early_refusal,
}
"""By the name that stands first in a request's path."""
IN_OTHER_DIALECTS = (
    "error-in-200",
    "error-later",
    "malformed-later",
    "end-mid-stream",
    "end-mid-event",
    "reset-mid-event",
    "status-503",
    "drip-body",
)
DEEDS |= {f"{dialect}-{name}": DEEDS[name] for dialect in ("anthropic", *words.OTHERS) for name in IN_OTHER_DIALECTS}
