"""Certificates for tests: an authority, what it signs, and files that change as Kubernetes changes them."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Folder:
    """A folder as Kubernetes mounts a secret: each file is a link into `..data`, which is itself a link and is swapped as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = 0
        path.mkdir()

    def put(self, **files: bytes) -> None:
        """Swaps all of them for these at once. `tls_crt` is the file `tls.crt`."""
        self._made += 1
        fresh = self.path / f"..{self._made}"
        fresh.mkdir()
        for name, content in files.items():
            file = name.replace("_", ".")
            (fresh / file).write_bytes(content)
            if not (self.path / file).is_symlink():
                (self.path / file).symlink_to(f"..data/{file}")
        link = self.path / "..new"
        link.symlink_to(fresh.name)
        os.replace(link, self.path / "..data")


def pair(issued: trustme.LeafCert) -> dict[str, bytes]:
    """A certificate and its key, by the names that Kubernetes has for them."""
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    return {"tls_crt": chain, "tls_key": issued.private_key_pem.bytes()}


def written(issued: trustme.LeafCert, folder: Path, name: str) -> tuple[str, str]:
    """Paths of a certificate and of its key."""
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    for path, content in zip(paths, pair(issued).values(), strict=True):
        path.write_bytes(content)
    return str(paths[0]), str(paths[1])


def expired(authority: trustme.CA, name: str) -> trustme.LeafCert:
    """One that has been good until yesterday."""
    return authority.issue_cert(name, not_before=datetime.now(UTC) - timedelta(days=9), not_after=datetime.now(UTC) - timedelta(days=1))


def client_context(authority: trustme.CA, shown: tuple[str, str] | None = None) -> ssl.SSLContext:
    """A client that trusts that authority, and shows a certificate."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if shown is not None:
        context.load_cert_chain(*shown)
    return context
