"""Credentials of AWS that Envoy finds by itself, where a provider's section `aws` gives none: whether there are any, told in words.

Envoy looks where Amazon's own clients do: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/aws_request_signing_filter
Where it finds none, it sends requests unsigned, and says nothing.
"""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from extproc.config.model import Config

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_ROLE = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def origin(environ: Mapping[str, str] = os.environ) -> str | None:
    """Where Envoy finds credentials on this machine; None if nowhere, as far as can be seen without asking a metadata service."""
    if all(environ.get(name) for name in _KEYS):
        return f"the environment ({', '.join(_KEYS)})"
    file, profile = _file(environ), environ.get("AWS_PROFILE") or "default"
    if _has(file, profile):
        return f"{file} (profile {profile})"
    if all(environ.get(name) for name in _ROLE):
        return f"a web identity ({_ROLE[0]})"
    found = next((name for name in _CONTAINER if environ.get(name)), None)
    return found and f"the container's metadata service ({found})"


def lacking(config: Config, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What is missing, a line for each provider that needs credentials which Envoy will not find."""
    needing = [name for name, provider in config.providers.items() if provider.aws is not None and provider.aws.access_key is None]
    if not needing or origin(environ) is not None:
        return []
    off = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    left = "the machine's metadata service is switched off" if off else "the metadata service is left, if this machine has one (EC2)"
    looked = (
        f"{' and '.join(_KEYS)}, the profile {environ.get('AWS_PROFILE') or 'default'} in {_file(environ)}, {' and '.join(_ROLE)}, "
        f"{' or '.join(_CONTAINER)}; {left}"
    )
    return [
        f"$.providers.{name}: no credentials of AWS are found, and requests would go out unsigned, which is refused. Envoy looks for "
        f"{looked}. Or give the section `aws: {{region: ..., access_key: ..., secret_key: ...}}`, or a `key` (env:AWS_BEARER_TOKEN_BEDROCK)"
        for name in needing
    ]


def _file(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path(environ.get("HOME", "/"), ".aws", "credentials"))


def _has(file: Path, profile: str) -> bool:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        found.read_string(file.read_text())
    except (OSError, UnicodeDecodeError, configparser.Error):
        return False
    return found.has_option(profile, "aws_access_key_id")
