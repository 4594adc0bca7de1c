"""Providers that fail before anything is said: certificates that are wrong, handshakes that break, ports where nobody listens."""

import asyncio
import ssl
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from bench.faults.hostile import Meeting, reset

_HELLO = 5
"""Bytes of a record's head: enough to know that a handshake has begun."""
TRUSTED = "trusted.pem"


async def _reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def _reset_in_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(_HELLO)
    reset(writer)


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


def _context(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


def _old(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = _context(issued)
    # OpenSSL 3 has it at its lowest level of security alone.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # That it is old is the point.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


def _over_http2(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = _context(issued)
    context.set_alpn_protocols(["h2"])
    return context


def meetings(folder: Path, over_http2: Mapping[str, Meeting] | None = None) -> dict[str, tuple[Meeting | None, ssl.SSLContext | None]]:
    """By name, and writes the file of the authority that the gateway trusts into `folder`. `over_http2`: what is met behind a good
    certificate, by HTTP/2.
    """
    ours, others = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / TRUSTED)
    past = datetime.now(UTC) - timedelta(days=2)
    expired = ours.issue_cert("127.0.0.1", not_before=past - timedelta(days=1), not_after=past)
    good = ours.issue_cert("127.0.0.1")
    return {
        **{name: (meeting, _over_http2(good)) for name, meeting in (over_http2 or {}).items()},
        "tls": (None, _context(good)),
        "tls-stranger": (None, _context(others.issue_cert("127.0.0.1"))),
        "tls-wrong-name": (None, _context(ours.issue_cert("elsewhere.test"))),
        "tls-expired": (None, _context(expired)),
        "tls-old": (None, _old(good)),
        "tls-none": (None, None),
        "tls-reset": (_reset_in_handshake, None),
        "tls-silent": (_silent, None),
        "reset-at-once": (_reset_at_once, None),
    }
