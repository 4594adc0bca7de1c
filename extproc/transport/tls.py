"""TLS for a server that Envoy reaches over a network. On a Unix socket nobody needs it."""

import ssl

from msgspec import Struct

ALPN = "h2"
"""What both ends have to agree on (RFC 9113, section 3.2)."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, those that HTTP/2 does not prohibit (RFC 9113, section 9.2.2). All of TLS 1.3 are allowed."""


class Tls(Struct, frozen=True, kw_only=True):
    """Certificates, as paths of PEM files. They are read when a server is made; to take new ones, make another."""

    certificate: str
    """The server's, with those between it and the authority."""
    key: str
    """Its private key."""
    client_ca: str = ""
    """Who vouches for clients. With it a client has to show a certificate (mTLS)."""


def context(tls: Tls) -> ssl.SSLContext:
    """A server's context. Raises `OSError` (`ssl.SSLError` is one) for what cannot be read."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(_CIPHERS)
    made.load_cert_chain(tls.certificate, tls.key)
    made.set_alpn_protocols([ALPN])
    if tls.client_ca:
        made.load_verify_locations(tls.client_ca)
        made.verify_mode = ssl.CERT_REQUIRED
    return made
