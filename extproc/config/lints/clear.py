"""Credentials that can be read: in the file itself, or on their way."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from extproc.config.checks import Report
from extproc.config.filters import Setting
from extproc.config.model import Config, HeaderEdits, Provider
from extproc.config.urls import is_loopback, parse_provider_url
from extproc.config.walk import child
from extproc.hosts import is_loopback_name

_SECRET = re.compile(r"auth|cookie|credential|password|secret|token(?!s)|(^|-)key($|-)|api-?key", re.IGNORECASE)
"""In the name of a header that carries one."""
_SHORTEST = 8
"""Characters of a secret."""
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
    listener = config.listener
    if listener.open and not is_loopback(listener.outermost):
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
            report.warning(
                child(path, name), "if this is a secret, it is written here plainly; take it from `env:NAME`, `file:PATH` or `${NAME}`"
            )


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
