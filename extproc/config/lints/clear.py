"""Credentials that can be read: in the file itself, or on their way."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from extproc.config.checks import Report
from extproc.config.filters import Setting
from extproc.config.fragments import path_of, pieces
from extproc.config.model import Config, HeaderEdits, Provider
from extproc.config.urls import is_loopback, parse_provider_url
from extproc.config.walk import child
from extproc.hosts import is_loopback_name

_SECRET = re.compile(r"auth|cookie|credential|password|secret|token(?!s)|(^|-)key($|-)|api-?key", re.IGNORECASE)
"""In the name of a header that carries one."""
_SHORTEST = 8
"""Characters of a secret."""
_HELD = re.compile(r"password|private_?key|secret|token$", re.IGNORECASE)
"""In the name of a field of Envoy's that holds one, or what stands there in place of a file."""
_INLINE = frozenset({"inline_string", "inline_bytes"})
_PLAIN = "if this is a secret, it is written here plainly; take it from `env:NAME`, `file:PATH` or `${NAME}`"
_QUERY = re.compile(r"[?&][^=&]*(key|token|secret|sig)[^=&]*=", re.IGNORECASE)


def check_clear(config: Config, providers: Mapping[str, Provider], filters: Sequence[Setting], report: Report) -> None:
    """Tells of them. Of the values nothing is repeated."""
    for name, provider in providers.items():
        path = child("$.providers", name)
        _check_way(path, provider, report)
        for rule, edits in (("request", provider.headers.request), ("response", provider.headers.response)):
            _check_headers(f"{path}.headers.{rule}.set", edits.set, report)
    for setting in filters:
        for at, rule in enumerate(getattr(setting.settings, "rules", ())):
            for way in ("request", "response"):
                if isinstance(edited := getattr(rule, way, None), HeaderEdits):
                    _check_headers(f"{setting.path}.rules[{at}].{way}.set", edited.set, report)
    _check_redis(config, report)
    _check_receivers(config, report)
    _check_fragments(config, report)
    listener = config.listener
    if listener.open and not listener.private:
        report.warning(
            "$.listener.open",
            f"whoever reaches {listener.outermost} may use the providers' keys without one of his own; leave this out unless something in "
            "front of it authenticates",
        )
    elif listener.tls is None and not is_loopback(listener.outermost) and not listener.proxies and not listener.proxy_protocol:
        report.warning(
            "$.listener.address",
            f"callers' keys come to {listener.outermost} in clear; say `tls`, or how many proxies with TLS stand in front (`proxies`)",
        )


def _check_way(path: str, provider: Provider, report: Report) -> None:
    """Whether a credential goes to the provider as everybody on the way can read it."""
    url = parse_provider_url(provider.base_url)
    secret = provider.key is not None or provider.keys or provider.google is not None or provider.envoy_key_file is not None
    if url.scheme == "http" and secret and provider.auth != "none" and not is_loopback_name(url.host):
        report.warning(f"{path}.base_url", f"the key goes to {url.host} in clear; ask it by https, or leave the key out if it needs none")


def _check_headers(path: str, edits: Mapping[str, str], report: Report) -> None:
    for name, value in edits.items():
        if len(value) >= _SHORTEST and _SECRET.search(name) and not report.referred(child(path, name)):
            report.warning(child(path, name), _PLAIN)


def _check_fragments(config: Config, report: Report) -> None:
    for piece in pieces(config.envoy):
        # What a file of its own refers to is not known here.
        if not report.referred(path_of(piece.place)):
            for path in _secrets(piece.value, piece.path):
                if not report.referred(path):
                    report.warning(path, _PLAIN)


def _secrets(value: Any, path: str, *, held: bool = False) -> Iterator[str]:
    """Paths of texts that are secrets by all that can be known. `held`: of what is named so."""
    if isinstance(value, list):
        for at, one in enumerate(value):
            yield from _secrets(one, f"{path}[{at}]")
    if not isinstance(value, dict):
        return
    carrier = isinstance(header := value.get("key"), str) and _SECRET.search(header) is not None
    for name, one in value.items():
        within, named = child(path, name), _HELD.search(name) is not None
        if isinstance(one, str) and ((carrier and name == "value") or (held and name in _INLINE) or named) and len(one) >= _SHORTEST:
            yield within
        yield from _secrets(one, within, held=named)


def _check_redis(config: Config, report: Report) -> None:
    if config.redis is None:
        return
    url = urlsplit(config.redis.url)
    if url.scheme == "redis" and url.password and url.hostname is not None and not is_loopback_name(url.hostname):
        report.warning("$.redis.url", f"the password goes to {url.hostname} in clear, as does all that is kept there; use `rediss://`")


def _check_receivers(config: Config, report: Report) -> None:
    for at, receiver in enumerate(config.notifications.webhooks):
        path = f"$.notifications.webhooks[{at}].url"
        if _QUERY.search(receiver.url) and not report.referred(path):
            report.warning(path, "a secret seems to be part of it, and is written here plainly; take the whole URL from `env:NAME`")
