"""Which authorities this machine trusts to sign providers' certificates."""

import logging
import os
import ssl
from pathlib import Path

from extproc.envoy.places import Places

_log = logging.getLogger(__name__)


def ca_file() -> str:
    """The file with their certificates: `SSL_CERT_FILE`, or where the common systems keep it."""
    paths = ssl.get_default_verify_paths()
    usual = (Places().ca_file, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", paths.cafile, _certifi())
    for path in (os.environ.get("SSL_CERT_FILE"), *usual):
        if path and Path(path).is_file() and Path(path).stat().st_size:
            return path
    _log.warning("this machine has no certificate authorities, so providers on https will fail; set SSL_CERT_FILE")
    return Places().ca_file


def _certifi() -> str | None:
    try:
        import certifi  # noqa: PLC0415 - comes with other packages, or not at all
    except ImportError:
        return None
    return certifi.where()
