"""Certificates at the callers' listener. All paths are of PEM files, relative to the configuration file, and are read by Envoy alone."""

from typing import Annotated, Literal

from msgspec import Meta

from extproc.config.section import Section


class Certificate(Section, frozen=True):
    """One certificate and its key."""

    certificate: str
    """Its file, with those between it and its authority."""
    key: str
    """The file of its private key."""


class Sds(Section, frozen=True):
    """Somebody on this machine who hands out certificates by Envoy's secret discovery service (SDS), such as SPIRE's agent."""

    socket: str
    """Its Unix socket, such as `/run/spire/agent.sock`."""
    certificate: Annotated[str, Meta(min_length=1, max_length=512)] = "default"
    """The name of our certificate there: with SPIRE, a SPIFFE id or `default`."""
    authority: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    """The name of those who vouch for clients: with SPIRE, a trust domain, or `ROOTCA`. In place of `client_ca`."""


class ListenerTls(Section, frozen=True):
    """TLS at the callers' listener. A file that is replaced by renaming another one to it, as Kubernetes and most tools do, counts for the
    connections that come then; nothing has to be reloaded.
    """

    certificate: str | None = None
    """The file of our certificate, with those between it and its authority."""
    key: str | None = None
    """The file of its private key."""
    certificates: Annotated[tuple[Certificate, ...], Meta(max_length=64)] = ()
    """More of them. Which one a client is shown goes by the name that it asks for (SNI); the first, where none fits."""
    sds: Sds | None = None
    """In place of files: who hands out certificates."""
    client_ca: str | None = None
    """Who vouches for clients' certificates (mTLS); `callers.mesh` says who they are."""
    client_certificate: Literal["required", "wanted"] = "required"
    """Whether a client without a certificate is let in, where `client_ca` is given. One that is not good never is."""
    minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""

    @property
    def files(self) -> tuple[Certificate, ...]:
        """All certificates that are files, the first of which is for whoever asks for no name that is known."""
        first = () if self.certificate is None or self.key is None else (Certificate(certificate=self.certificate, key=self.key),)
        return first + self.certificates

    @property
    def checks(self) -> bool:
        """Whether clients' certificates are checked."""
        return self.client_ca is not None or (self.sds is not None and self.sds.authority is not None)
