"""TLS for a server that Envoy reaches over a network. On a Unix socket nobody needs it."""

import logging
import ssl
import time

from msgspec import Struct

ALPN = "h2"
"""What both ends have to agree on (RFC 9113, section 3.2)."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, those that HTTP/2 does not prohibit (RFC 9113, section 9.2.2). All of TLS 1.3 are allowed."""


_SAY_AGAIN = 5.0
_WHY = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client showed no certificate",
    "NO_SHARED_CIPHER": "the client has no cipher that we allow",
    "UNSUPPORTED_PROTOCOL": "the client speaks no version of TLS that we allow",
    "HTTP_REQUEST": "the client does not speak TLS",
    "WRONG_VERSION_NUMBER": "the client does not speak TLS",
}
"""OpenSSL's commonest reasons, in words; the others are told as they are."""

_log = logging.getLogger(__name__)


class Tls(Struct, frozen=True, kw_only=True):
    """Certificates, as paths of PEM files. They are read when a server is made; to take new ones, make another."""

    certificate: str
    """The server's, with those between it and the authority."""
    key: str
    """Its private key."""
    client_ca: str = ""
    """Who vouches for clients. With it a client has to show a certificate (mTLS)."""


class Handshakes:
    """The handshakes of a server that failed: counted, and told once in a while. Who knocks and goes again is none."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.failed = 0
        self._unsaid = 0
        self._silent_until = 0.0

    def tell(self, error: ssl.SSLError) -> None:
        """One has failed."""
        self.failed += 1
        self._unsaid += 1
        now = time.monotonic()
        if now < self._silent_until:
            return
        more = f" ({self._unsaid} since the last line)" if self._unsaid > 1 else ""
        _log.warning("%s: a TLS handshake failed: %s%s", self._address, why(error), more)
        self._silent_until, self._unsaid = now + _SAY_AGAIN, 0


def why(error: ssl.SSLError) -> str:
    """What is wrong with a handshake, and on which side, as far as the server can tell."""
    reason = getattr(error, "reason", None) or str(error)  # there is none where Python made the error
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate is not accepted: {error.verify_message} (is it signed by `client_ca`?)"
    if "_ALERT_" in reason:
        alert = reason.partition("_ALERT_")[2].lower().replace("_", " ")
        return f"the client does not accept our certificate, or gives up: {alert} (does it trust who signed that, and the name?)"
    return _WHY.get(reason, reason)


def _telling(handshakes: Handshakes) -> type[ssl.SSLObject]:
    # asyncio, and uvloop, say nothing of a handshake that fails but in their debug mode, and have no hook for it.
    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
                raise
            except ssl.SSLError as error:
                handshakes.tell(error)
                raise

    return Telling


def context(tls: Tls, handshakes: Handshakes | None = None) -> ssl.SSLContext:
    """A server's context. Raises `OSError` (`ssl.SSLError` is one) for what cannot be read. `handshakes`: who hears of those that fail."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(_CIPHERS)
    made.load_cert_chain(tls.certificate, tls.key)
    made.set_alpn_protocols([ALPN])
    if handshakes is not None:
        made.sslobject_class = _telling(handshakes)
    if tls.client_ca:
        made.load_verify_locations(tls.client_ca)
        made.verify_mode = ssl.CERT_REQUIRED
    return made
