"""Where things are on the machine that Envoy runs on."""

from msgspec import Struct


class Places(Struct, frozen=True, kw_only=True):
    """Paths that Envoy is told. The defaults are those of the container image."""

    run_dir: str = "/run/headgate"
    """Folder of the sockets and of the files that Envoy watches. Short: a socket's path has at most 107 bytes."""
    access_log: str = "/run/headgate/access.log"
    """One line a request."""
    attempts_log: str = "/run/headgate/attempts.log"
    """One line a failed attempt."""
    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"
    """Authorities that may sign providers' certificates."""
    worker_ca: str = "/etc/envoy/headgate/ca.crt"
    """On another host (`ext_proc`): the authority that signed the workers' certificate,"""
    client_certificate: str = "/etc/envoy/headgate/tls.crt"
    """what that Envoy shows them,"""
    client_key: str = "/etc/envoy/headgate/tls.key"
    """and its private key."""


def below(run_dir: str, ca_file: str = Places().ca_file) -> Places:
    """All places inside one folder."""
    return Places(run_dir=run_dir, access_log=f"{run_dir}/access.log", attempts_log=f"{run_dir}/attempts.log", ca_file=ca_file)
