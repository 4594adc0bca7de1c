"""Asking an Envoy's admin port: only what changes nothing there."""

import http.client
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from extproc.config.model import Limits
from extproc.doctor.dump import Dump
from extproc.doctor.plain import Plain

_PATIENCE = 10
_MOST = 512 * 1024 * 1024
"""Bytes of an answer: a mesh's sidecar may know thousands of clusters."""


class Unreadable(Exception):
    """That is no Envoy's admin port, or no dump of one; says why."""


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(url: str, limits: Limits, gate: str | None = None) -> Dump:
    """The Envoy whose admin port that is: `http://host:port`, or a socket as `unix:/path`. Raises `Unreadable`."""
    try:
        dump = _get(url, "/config_dump?include_eds")
        server, runtime, stats = (_get(url, path) for path in ("/server_info", "/runtime", "/stats?format=json&usedonly"))
    except (OSError, http.client.HTTPException) as error:
        raise Unreadable(f"{url}: {error}") from error
    counted = {one["name"]: one["value"] for one in stats.get("stats", ()) if isinstance(one.get("value"), int)}
    return Dump(_configs(dump, url), limits=limits, server=server, runtime=runtime, stats=counted, gate=gate)


def read(path: Path, limits: Limits, gate: str | None = None) -> Dump:
    """A dump that was kept (`curl host:port/config_dump`), without the counters. Raises `Unreadable`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    return Dump(_configs(_decoded(raw, str(path)), str(path)), limits=limits, gate=gate)


def _configs(dump: Any, where: str) -> list[Plain]:
    configs = dump.get("configs") if isinstance(dump, dict) else None
    if not isinstance(configs, list):
        raise Unreadable(f"{where}: this is no /config_dump of an Envoy")
    return configs


def _get(url: str, path: str) -> Any:
    connection = _connection(url)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        raw = answer.read(_MOST)
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Unreadable(f"{url}{path}: status {answer.status}; this is not an Envoy's admin port")
    return _decoded(raw, url + path)


def _decoded(raw: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise Unreadable(f"{where}: this is not JSON, so no Envoy's: {error}") from error


def _connection(url: str) -> http.client.HTTPConnection:
    if url.startswith(("unix:", "/")):
        return _Unix(url.removeprefix("unix:").removeprefix("//"))
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreadable(f"{url}: an address such as http://127.0.0.1:9901, or unix:/path, is wanted here")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        return kind(parts.hostname, parts.port, timeout=_PATIENCE)
    except ValueError as error:
        raise Unreadable(f"{url}: {error}") from error
