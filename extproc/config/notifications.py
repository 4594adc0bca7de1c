"""Who is told of what has happened: thresholds, exhausted budgets, keys that expire, breakers."""

from typing import Annotated, Literal

from msgspec import Meta, field

from extproc.config.forms import Name
from extproc.config.section import Section

Kind = Literal["limit.threshold", "budget.exhausted", "key.expiring", "key.expired", "breaker.opened", "breaker.closed"]
OF_NOBODY: frozenset[Kind] = frozenset({"breaker.opened", "breaker.closed"})
"""What belongs to no organization."""
OF_KEYS: frozenset[Kind] = frozenset({"key.expiring", "key.expired"})
"""What the store is asked for."""

Wait = Annotated[float, Meta(gt=0, le=60)]
Often = Annotated[int, Meta(ge=1, le=6000)]
Words = Annotated[str, Meta(min_length=1, max_length=128)]
Address = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        description="an e-mail address, such as `ops@example.com`",
    ),
]


class Webhook(Section, frozen=True):
    """A receiver over HTTP: each notification is one POST, signed as Standard Webhooks has it."""

    name: Name
    """What logs and metrics call it, and what is still to be delivered goes by: it stays when the URL changes."""
    url: str
    """Where it is. `https`, or `http` on this machine. Best as `env:NAME` where the URL itself is a secret. Redirects are not followed."""
    secret: str
    """What notifications are signed with, best as `env:NAME`: `whsec_` and the base64 of 24 to 64 random bytes."""
    previous_secret: str | None = None
    """The secret before, while the receiver may still have that one: both sign."""
    events: tuple[Kind, ...] = ()
    """What it is told of; everything unless given."""
    organizations: tuple[Words, ...] = ()
    """Ids or names of organizations: it is told of what belongs to these, and of nothing that belongs to none. All unless given."""
    per_minute: Often = 60
    """How often it is asked in a minute at most. What is more waits."""
    timeout: Wait = 10.0
    """Seconds until it has to have answered."""
    insecure: bool = False
    """True: `http` to another machine, too. Everybody on the way reads what is told, and nobody can change it."""


class Email(Section, frozen=True):
    """A receiver by e-mail. What comes within a minute is put together into few mails."""

    name: Name
    """As of a webhook."""
    smtp: Annotated[str, Meta(min_length=1, max_length=300)]
    """The mail server and its port, such as `smtp.example.com:587`."""
    to: Annotated[tuple[Address, ...], Meta(min_length=1, max_length=32)]
    """Whom mails go to."""
    sender: Address = field(name="from")
    """Whom they are from."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """`starttls` (mostly port 587), `implicit` (mostly port 465), or `none`, for a server on this machine."""
    user: Words | None = None
    """The name to log in with."""
    password: str | None = None
    """The password for it, best as `env:NAME`."""
    events: tuple[Kind, ...] = ()
    """As of a webhook."""
    organizations: tuple[Words, ...] = ()
    """As of a webhook."""
    per_minute: Often = 2
    """How many mails there are in a minute at most. What is more waits, and is put together."""
    timeout: Wait = 20.0
    """Seconds until the server has to have answered, at each step."""
    insecure: bool = False
    """True: `tls: none` to another machine, too."""


Receiver = Webhook | Email


class Notifications(Section, frozen=True):
    """Who is told of what has happened. The control process tells; no request waits for it."""

    webhooks: Annotated[tuple[Webhook, ...], Meta(max_length=32)] = ()
    """Receivers over HTTP."""
    emails: Annotated[tuple[Email, ...], Meta(max_length=32)] = ()
    """Receivers by e-mail."""
    key_expiry_days: Annotated[tuple[Annotated[int, Meta(ge=1, le=365)], ...], Meta(max_length=8)] = (7, 1)
    """So many days before a key expires it is told; and when it has, in any case."""

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """All of them."""
        return (*self.webhooks, *self.emails)
