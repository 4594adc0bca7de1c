"""Who may call beside those who have a virtual key: by a token (JWT), by a mesh's certificate, or with a provider's key of their own."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from extproc.config.forms import Name
from extproc.config.section import Seconds, Section

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that are read (RFC 7518, section 3.1; RFC 8037): none that is made with a secret that both sides have, and never `none`."""
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

Role = Literal["owner", "admin", "member", "viewer"]
ROLES: tuple[Role, ...] = ("owner", "admin", "member", "viewer")

Text = Annotated[str, Meta(min_length=1, max_length=512)]
Claim = Text | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=8)]


class Claims(Section, frozen=True):
    """Which claims of a token say who calls. Each is the name of a claim, or a list of names for one inside another, such as
    `[realm_access, roles]`.
    """

    key: Claim = "sub"
    """What the ledger and the logs call the caller."""
    tenant: Claim | None = None
    """Whom the caller belongs to: callers of one tenant share a cache and a line in reports. `tenant` of the issuer unless given."""
    organization: Claim | None = None
    """The organization of the store that the caller belongs to, by id or name: what is set for it is in force (docs/organizations.md)."""
    team: Claim | None = None
    """A team of it, by id or name; where the token does not say one, none."""
    user: Claim | None = None
    """The user, by what the issuer calls him (`subject` of the user), or by id."""
    roles: Claim | None = None
    """The caller's roles, or groups: a list, or words with spaces between them."""


class Refresh(Section, frozen=True):
    """How often an issuer's keys are fetched."""

    least: Seconds = 60
    """They count for so long at least, whatever its `cache-control` says."""
    most: Seconds = 3600
    """They are fetched again after so long at the latest; where it says nothing, after five minutes, or this, if that is shorter."""
    again: Seconds = 10
    """A token that names a key which is not known has them fetched again at once, but not more often than so."""


class Issuer(Section, frozen=True):
    """Somebody whose tokens are taken."""

    issuer: Text
    """What `iss` has to be, to the letter."""
    audiences: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=32)]
    """What `aud` may be: one of these has to be in it."""
    jwks_url: Text | None = None
    """Where its public keys are (a JWKS, RFC 7517): `https`, or `http` on this machine."""
    jwks: str | None = None
    """In place of `jwks_url`: the JWKS itself, best as `file:PATH`, which is read again when it changes."""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ALGORITHMS
    """How its tokens may be signed. Each goes with one type of key only."""
    leeway: Annotated[float, Meta(ge=0, le=600)] = 30.0
    """Seconds by which its clock and ours may differ."""
    tenant: Annotated[str, Meta(max_length=128)] = ""
    """Whom callers belong to whose token does not say it (`claims.tenant`); the issuer unless given."""
    claims: Claims = Claims()
    """Which claims say who calls."""
    roles: dict[Role, tuple[Text, ...]] = field(default_factory=dict)
    """What the claim of roles says, by the role that it means. Unless given, it names them itself: owner, admin, member, viewer."""
    require: dict[Text, Text | tuple[Text, ...]] = field(default_factory=dict)
    """Claims that have to be there, and what they have to be, or to have among them: one of these."""
    unknown: Literal["refuse", "take"] = "refuse"
    """Callers whose organization, team or user the store does not know: refused with 403; or taken, with nothing set for them."""
    refresh: Refresh = Refresh()
    """How often its keys are fetched."""
    verify: Literal["gateway", "envoy", "front"] = "gateway"
    """Who checks its tokens: the gateway; the gateway's Envoy (`jwt_authn`, which is compiled in); or a `jwt_authn` that somebody else has
    put in front of the gateway, in the same Envoy, and that says in `payload_in_metadata` what was in the token."""
    metadata: Text | None = None
    """What `payload_in_metadata` says; `issuer` unless given."""

    @property
    def payload(self) -> str:
        """The name by which Envoy tells what was in a token."""
        return self.metadata or self.issuer


class Workload(Section, frozen=True):
    """Callers of a mesh, by a name in their certificates."""

    uri: Text | None = None
    """A URI in it, such as `spiffe://cluster.local/ns/{tenant}/sa/{key}`. `{tenant}` and `{key}` stand for one part of the path each, `*`
    for one as well."""
    dns: Text | None = None
    """In place of `uri`: a DNS name in it, such as `{key}.team.example`. `{tenant}`, `{key}` and `*` stand for one label each."""
    tenant: Annotated[str, Meta(max_length=128)] = ""
    """Whom they belong to, where the pattern does not say it; the key unless given."""
    key: Annotated[str, Meta(max_length=128)] = ""
    """What the ledger and the logs call them, where the pattern does not say it; the whole name unless given."""
    organization: Annotated[str, Meta(max_length=256)] = ""
    """The organization of the store that they belong to, by id or name; `{tenant}` stands for what the pattern says."""
    team: Annotated[str, Meta(max_length=256)] = ""
    """A team of it, likewise."""
    service_account: Annotated[str, Meta(max_length=256)] = ""
    """A service account of it, likewise; `{key}` stands for what the pattern says. Whoever the store does not know is refused with 403."""


class Mesh(Section, frozen=True):
    """Callers who are known by their certificates, which the listener has checked (`listener.tls.client_ca`), or somebody in front of the
    gateway, who tells of them in `x-forwarded-client-cert` (XFCC).
    """

    workloads: Annotated[tuple[Workload, ...], Meta(min_length=1, max_length=64)]
    """Who they are: the first pattern that fits counts."""
    trusted: bool = False
    """Believe the header of somebody in front. Say this only where nobody but the mesh's proxy can reach the gateway: whoever else can is
    whom he says he is. Not needed for what the listener itself has checked."""
    element: Literal["first", "last"] = "last"
    """Which of several certificates counts: that of whoever spoke with the proxy right in front of the gateway, or of the first client."""


class OwnKeys(Section, frozen=True):
    """Keys of providers that callers may send as their own."""

    providers: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=32)]
    """Whom such a key is sent to, in place of ours: never to anybody else."""
    pattern: Annotated[str, Meta(min_length=3, max_length=256)]
    """What such keys look like, such as `sk-ant-*`."""
    with_key: bool = False
    """Only for callers who show a key of this gateway, or a token, as well, in another header."""


class Callers(Section, frozen=True):
    """Who may call beside those who have a virtual key."""

    jwt: Annotated[tuple[Issuer, ...], Meta(max_length=16)] = ()
    """Issuers whose tokens are taken. Needs `headgate[jwt]` where the gateway checks them itself."""
    mesh: Mesh | None = None
    """Callers of a mesh, by their certificates."""
    own_keys: Annotated[tuple[OwnKeys, ...], Meta(max_length=32)] = ()
    """Keys of providers that callers may send as their own."""
    hash_key: Annotated[str, Meta(min_length=16)] | None = None
    """A secret of at least 16 characters, best as `env:NAME`, the same on all machines: callers with keys of their own are told apart by a
    hash that is made with it. Needed for `own_keys`."""

    @property
    def known(self) -> bool:
        """Whether anybody is known by what stands here, so that whoever is not may be refused. See `Config.certified` for certificates."""
        return bool(self.jwt or self.own_keys)


def path_of(claim: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """A claim as the names that lead to it; none for no claim."""
    if claim is None:
        return ()
    return (claim,) if isinstance(claim, str) else claim


def claim_at(claims: Any, path: tuple[str, ...]) -> Any:
    """What a claim says; None where there is none."""
    for name in path:
        claims = claims.get(name) if type(claims) is dict else None
    return claims if path else None
