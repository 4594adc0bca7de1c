"""Who there is, as `gateway.yaml` declares it: organizations, teams, users, plans, keys. Then the API and the command line only read it.

What is declared is called by its name here, which is its id behind a prefix (`team_research`): the same on every machine, and after every
start.
"""

from typing import Annotated, Literal

from msgspec import Meta, field

from extproc.config.callers import Role
from extproc.config.section import Section

Handle = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="a name of lower-case letters, digits and `-`, 63 at most, a letter first")
]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Shown = Annotated[str, Meta(max_length=128)]
Hash = Annotated[
    str, Meta(pattern=r"^sha256:[0-9a-f]{64}$", description="`sha256:` and 64 hexadecimal digits, as `headgate keys hash` prints")
]


class Limited(Section, frozen=True):
    """A limit with all that can be said of it."""

    limit: Text
    """As it is written alone: `requests=1000/day`, `tokens=2M/month@Europe/Berlin`, `cost=50/month`, `requests=10/60s`, `concurrency=5`."""
    per: tuple[Text, ...] = ()
    """Each value of these has a counter of its own: `user`, `key`, `model`, `provider`, `end_user`, `tag:NAME`, ..."""
    hard: bool = True
    """Refuse what goes beyond it; false: warn only."""
    thresholds: tuple[Annotated[float, Meta(gt=0, le=1)], ...] = ()
    """Parts of it at which a warning is given, such as 0.8."""
    on_outage: Literal["open", "closed", "share"] = "open"
    """While nobody can count: let all through, nothing, or each process its share of what was left."""


class Bounds(Section, frozen=True, kw_only=True):
    """What one level says; what it does not mention is as the levels around it have it."""

    models: tuple[Text, ...] | None = None
    """Models that may be asked for, as clients name them; `*` stands for anything."""
    providers: tuple[Text, ...] | None = None
    """Providers that may be asked."""
    endpoints: tuple[Text, ...] | None = None
    """Operations that may be asked for: `chat`, `embeddings`, `images`, ... (docs/organizations.md)."""
    networks: tuple[Text, ...] | None = None
    """Addresses of callers, such as `10.0.0.0/8`."""
    limits: tuple[str | Limited, ...] = ()
    """Each as `requests=1000/day` or `cost=50/month`, or a section with that as `limit`. They are counted at this level."""
    tags: dict[Text, Text] = field(default_factory=dict)
    """What entries of the ledger are marked with."""
    cost_centre: Shown = ""
    """Who pays, in the words of the books."""
    guardrails: tuple[Text, ...] = ()
    """Guardrails that have to be passed."""
    plan: Handle | None = None
    """One of `plans`, whose limits are counted at this level, too."""
    suspended: bool = False
    """Nobody below it is let in."""


class Organization(Bounds, frozen=True, kw_only=True):
    """A tenant: the boundary that cache and ledger keep."""


class Part(Bounds, frozen=True, kw_only=True):
    """A project, a team or a service account."""

    organization: Handle
    """The one that it belongs to."""
    name: Shown = ""
    """What people call it; as it is called here unless given."""


class User(Bounds, frozen=True, kw_only=True):
    """A person."""

    name: Shown = ""
    """What people call him or her; as here unless given."""
    email: Annotated[str, Meta(max_length=254)] | None = None
    """E-mail address."""
    issuer: Text | None = None
    """Who vouches for `subject`: the `iss` of a JWT."""
    subject: Text | None = None
    """What that one calls the user: `sub`."""


class Membership(Bounds, frozen=True, kw_only=True):
    """A user's role in an organization, or in one of its teams alone."""

    user: Handle
    """Who."""
    organization: Handle
    """Where."""
    team: Handle | None = None
    """In this team of it alone."""
    role: Role = "member"
    """What the user may do there."""


class DeclaredPlan(Section, frozen=True):
    """A named bundle of limits."""

    limits: tuple[str | Limited, ...] = ()
    """As those of an organization; they are counted at each level that has the plan, for that level alone."""


class DeclaredKey(Bounds, frozen=True, kw_only=True):
    """A caller's key."""

    organization: Handle
    """Whose it is."""
    project: Handle | None = None
    """A project of it."""
    team: Handle | None = None
    """Or a team."""
    user: Handle | None = None
    """A member."""
    service_account: Handle | None = None
    """Or a service account."""
    hash: Hash | None = None
    """SHA-256 of the key."""
    secret: Annotated[str, Meta(min_length=16, max_length=4096)] | None = None
    """In place of `hash`: the key itself, as `env:NAME` or `file:PATH`."""
    tenant: Shown = ""
    """Whose cache and whose lines in reports; the organization's unless given."""
    expires: Text | None = None
    """From when on it is worth nothing: a day, `2027-01-01` (UTC), or a time, `2027-01-01T12:00:00Z`."""


class Identities(Section, frozen=True):
    """All that is declared. What was declared before and does not stand here any more is taken out; without this section nothing is."""

    plans: dict[Handle, DeclaredPlan] = field(default_factory=dict)
    """Bundles of limits."""
    organizations: dict[Handle, Organization] = field(default_factory=dict)
    """Tenants."""
    projects: dict[Handle, Part] = field(default_factory=dict)
    """Parts of organizations that have keys of their own."""
    teams: dict[Handle, Part] = field(default_factory=dict)
    """People of organizations who share keys and limits."""
    users: dict[Handle, User] = field(default_factory=dict)
    """People."""
    memberships: tuple[Membership, ...] = ()
    """Who has which role where."""
    service_accounts: dict[Handle, Part] = field(default_factory=dict)
    """Programs."""
    keys: dict[Handle, DeclaredKey] = field(default_factory=dict)
    """Callers' keys."""
