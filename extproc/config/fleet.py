"""The section `fleet`: Envoys that are told their configuration over the network (xDS), by `headgate fleet serve`."""

from typing import Annotated, Literal

from msgspec import Meta, field

from extproc.config.section import Port, Section


class FleetTls(Section, frozen=True):
    """Certificates between the control plane and its nodes: paths of PEM files, relative to the configuration file, read again when they
    change.
    """

    certificate: str
    """Ours, with those between it and its authority."""
    key: str
    """Our private key."""
    client_ca: str
    """Who vouches for nodes: nobody else is let in."""
    any_name: bool = False
    """True: any certificate of that authority is good for any node. False: a node's id has to be among the names of its certificate, where
    `*.example` stands for all that end in `.example`."""


class Canary(Section, frozen=True):
    """The nodes that are told a new version first: those that any of these choose."""

    nodes: tuple[str, ...] = ()
    """Their ids, or patterns with `*`."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What their own metadata (`node.metadata` of their bootstrap) says: all of these."""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """So many of all nodes, always the same ones; where that would be nobody, one of those that are connected."""


class Fleet(Section, frozen=True):
    """A control plane for several Envoys: clusters, endpoints, listeners, routes and secrets (docs/fleet.md)."""

    address: str = "127.0.0.1"
    """Address to bind. Anything but loopback needs `tls`."""
    port: Port = 18000
    """TCP port."""
    host: str | None = None
    """Name or address by which nodes reach the control plane, and which its certificate is for; `address` unless given."""
    tls: FleetTls | None = None
    """Certificates. Without them nodes can be told no secrets, such as the keys of certificates."""
    protocol: Literal["delta", "sotw"] = "delta"
    """What nodes are told to speak: what has changed, or everything each time (state of the world). The control plane speaks both."""
    run_dir: Annotated[str, Meta(pattern=r"^/", max_length=80, description="an absolute path")] = "/run/headgate"
    """Folder of the workers' sockets and of the access log, on each node."""
    canary: Canary | None = None
    """Who is told a new version first; everybody at once unless given."""
    settle: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    """Seconds for which nodes have to have a new version, without a refusal, before it counts as good."""
    linger: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    """Seconds for which nodes keep clusters that are gone from the configuration: workers may still name them."""
    keep: Annotated[int, Meta(ge=1, le=100)] = 5
    """Versions before that can be gone back to."""
    metrics: str | None = None
    """Address and port for `/metrics`, `/healthz` and `/readyz`, such as `127.0.0.1:9182`; none unless given."""

    @property
    def reached_by(self) -> str:
        """The name or address that nodes ask for."""
        return self.host or self.address
