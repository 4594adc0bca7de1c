"""The webhook's certificate, of which files may have a newer one at any time: new connections get it, and nobody is cut."""

import logging
import ssl
from pathlib import Path

_log = logging.getLogger(__name__)


class Certificate:
    """A certificate and its key, as PEM files, and the TLS context that shows them."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises `OSError` for what cannot be read, and `ValueError` for what is no pair."""
        self._files = (certificate, key)
        self._seen = self._read()
        self.context = _context()
        self._show(self.context)

    def look(self) -> None:
        """Takes what is new. What is no pair stays where it is: kubelets swap both files at once, and others write one after the other."""
        try:
            found = self._read()
            if found == self._seen:
                return
            # Tried aside: a context has lost the pair before when it finds that the next one is none.
            self._show(_context())
            self._show(self.context)
        except (OSError, ValueError) as error:
            _log.warning("the new certificate cannot be used, the one before is shown: %s", error)
            return
        self._seen = found
        _log.info("%s is new and shown from now on", self._files[0])

    def _show(self, context: ssl.SSLContext) -> None:
        try:
            # A password that is none: nobody is there to be asked for one, which OpenSSL would do at the terminal.
            context.load_cert_chain(*self._files, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            pair, why = " and ".join(map(str, self._files)), getattr(error, "reason", None) or error
            raise ValueError(f"{pair} are no certificate and its key, in PEM and without a password: {why}") from None

    def _read(self) -> tuple[bytes, ...]:
        # What is in them: a volume's files are links to links, and neither times nor numbers of files tell one mount from another.
        return tuple(path.read_bytes() for path in self._files)


def _context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    return made
