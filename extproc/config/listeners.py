"""Where the gateway is reached: by callers, by its operator, and by an Envoy on another host."""

from typing import Annotated

from msgspec import Meta

from extproc.config.certificates import ListenerTls
from extproc.config.section import Port, Section
from extproc.hosts import is_loopback_name

Network = Annotated[str, Meta(pattern=r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$", description="an address or a network, such as `10.0.0.0/8`")]
Place = Annotated[
    str, Meta(pattern=r"^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$", description="an address with its port, such as `[::1]:8080`")
]


class Listener(Section, frozen=True):
    """Where Envoy takes requests."""

    address: str = "127.0.0.1"
    """Address to bind. Anything but loopback needs callers' keys, or `open: true`; so does `proxy_protocol`."""
    port: Port = 8080
    """TCP port."""
    also: Annotated[tuple[Place, ...], Meta(max_length=16)] = ()
    """More addresses with their ports, such as `[::1]:8080` or `10.0.0.1:8443`, at which the same is served."""
    open: bool = False
    """Serve without callers' keys on an address that others can reach. Say this only behind something else that authenticates."""
    proxies: Annotated[int, Meta(ge=0, le=16)] = 0
    """So many proxies stand in front of it, each of which appends whom it hears to `x-forwarded-for`: who is bounded to networks
    (`networks` of a key, a team, ...) is judged by what the outermost of them says."""
    tls: ListenerTls | None = None
    """Certificates: then it speaks TLS, and HTTP/2 with whoever offers that, and nothing else."""
    http3: bool = False
    """Speak HTTP/3 as well, at the UDP port of the same number. Needs `tls`. Answers tell clients of it (`alt-svc`)."""
    http3_port: Port | None = None
    """The port of HTTP/3 as clients are told it, where something in front has another one; `port` unless given."""
    proxy_protocol: Annotated[tuple[Network, ...], Meta(max_length=64)] = ()
    """The networks of load balancers that tell by the PROXY protocol (version 1 or 2) whom they speak for. Then nobody else is let in, and
    each connection has to begin with it."""

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """All addresses, each with its port."""
        return ((self.address, self.port), *map(split_place, self.also))

    @property
    def outermost(self) -> str:
        """The first address that others than this machine can reach; where there is none, the first of all."""
        return next((address for address, _ in self.places if not is_loopback_name(address)), self.address)

    @property
    def private(self) -> bool:
        """Whether nobody but this machine can reach it: not by an address, nor by a balancer, which may speak for anybody."""
        return is_loopback_name(self.outermost) and not self.proxy_protocol


class Admin(Section, frozen=True):
    """The operator's own port: `/metrics`, `/healthz`. Never on the callers' listener."""

    address: str = "127.0.0.1"
    """Address to bind."""
    port: Port = 9180
    """TCP port."""


class Api(Section, frozen=True):
    """The admin API: organizations, teams, users, keys and plans under `/api/v1`. Needs `headgate[admin]`."""

    address: Annotated[
        str,
        Meta(pattern=r"^(off|[0-9.]+:[0-9]{1,5}|\[[0-9a-fA-F:.]+\]:[0-9]{1,5})$", description="an address with a port, or `off`"),
    ] = "127.0.0.1:9181"
    """Address and port to bind, such as `127.0.0.1:9181` or `[::1]:9181`; or `off`. Whoever calls needs a key. It has no TLS of its own."""
    listener: bool = False
    """Serve it at the callers' listener as well, at the same paths, for those whose key or token has a role."""

    @property
    def place(self) -> tuple[str, int] | None:
        """Address and port; None where it is off."""
        if self.address == "off":
            return None
        return split_place(self.address)


class ExtProcTls(Section, frozen=True):
    """Certificates between an Envoy on another host and us: paths of PEM files, relative to the configuration file, read at the start."""

    certificate: str
    """Ours, with those between it and its authority."""
    key: str
    """Our private key."""
    client_ca: str | None = None
    """Who vouches for Envoys: nobody else is let in. Needed where others can reach `address`."""


class ExtProc(Section, frozen=True):
    """Where an Envoy on another host asks the gate and the adapter. Whoever gets to them is told the providers' keys."""

    address: str = "127.0.0.1"
    """Address to bind. Anything but loopback needs `tls` with `client_ca`."""
    host: str | None = None
    """Name or address by which that Envoy reaches this host, and which our certificate is for; `address` unless given."""
    gate_port: Port = 50051
    """TCP port of the gate. All workers share it."""
    adapter_port: Port = 50052
    """TCP port of the adapter."""
    health_port: Port = 50053
    """TCP port that says whether requests are taken (`grpc.health.v1`), and no more. Without TLS, which Kubernetes' probes do not speak."""
    health_address: str | None = None
    """Address to bind for it; `address` unless given."""
    tls: ExtProcTls | None = None
    """Certificates."""


def split_place(text: str) -> tuple[str, int]:
    """Address and port."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)
