"""TLS to those whom Envoy asks: which name their certificate has to have, who vouches for it, and what they are shown.

A provider's own authority, and the certificate that it is shown, are secrets that Envoy watches, as those of the listener are
(`certificates`).
"""

import ipaddress

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from extproc.config.model import Config, Provider
from extproc.config.urls import provider_url
from extproc.envoy import names
from extproc.envoy.certificates import authorities, by_file, key_pair
from extproc.envoy.message import Plain, extension, plain
from extproc.envoy.places import Places


def provider_tls(name: str, provider: Provider, places: Places) -> Plain:
    """The transport socket of the provider that Envoy calls `name`."""
    # The name that is asked for, and that its certificate has to be for.
    server_name = provider.tls_server_name or provider_url(provider).host.rstrip(".")
    common = CommonTlsContext()
    parts: Plain = {}
    if provider.ca_file is None:
        common.validation_context = validation(server_name, places.ca_file)
    else:
        named = {"default_validation_context": plain(validation(server_name, None))}
        parts["combined_validation_context"] = {**named, "validation_context_sds_secret_config": by_file(_authority(name), places)}
    if provider.client_certificate is not None and provider.client_key is not None:
        parts["tls_certificate_sds_secret_configs"] = [by_file(_shown(name), places)]
    # Set here and not taken from :authority (auto_sni), which still is the client's when Envoy reads it.
    socket = extension("envoy.transport_sockets.tls", UpstreamTlsContext(common_tls_context=common, sni=sni(server_name)))
    if parts:
        socket["typed_config"]["common_tls_context"] = plain(common, **parts)
    return socket


def provider_files(config: Config, places: Places) -> dict[str, Plain]:
    """By path, what Envoy is told of providers' certificates: where they are, and nothing of what they are."""
    secrets: dict[str, Plain] = {}
    for name, provider in sorted(config.providers.items()):
        if provider.ca_file is not None:
            secrets[_authority(name)] = authorities(_authority(name), provider.ca_file)
        if provider.client_certificate is not None and provider.client_key is not None:
            secrets[_shown(name)] = key_pair(_shown(name), provider.client_certificate, provider.client_key)
    return {names.certificate_file(places.run_dir, name): {"resources": [secret]} for name, secret in secrets.items()}


def _authority(name: str) -> str:
    return f"authority-{name}"


def _shown(name: str) -> str:
    return f"client-{name}"


def validation(server_name: str, ca_file: str | None) -> CertificateValidationContext:
    """A server's certificate has to be for this name or address. `ca_file`: who vouches for it; None where that is said elsewhere."""
    kind = SubjectAltNameMatcherSanType.IP_ADDRESS if is_ip(server_name) else SubjectAltNameMatcherSanType.DNS
    matcher = SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=server_name))
    trusted = DataSource(filename=ca_file) if ca_file is not None else None
    return CertificateValidationContext(trusted_ca=trusted, match_typed_subject_alt_names=[matcher])


def sni(server_name: str) -> str:
    """The name to ask for; addresses are none (RFC 6066, section 3)."""
    return "" if is_ip(server_name) else server_name


def is_ip(host: str) -> bool:
    """Whether it is an address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
