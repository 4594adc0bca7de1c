"""What there is to say of one request. `headgate explain --json` prints it as it is."""

from msgspec import Struct


class Way(Struct, frozen=True, omit_defaults=True):
    """A route of Envoy's."""

    name: str
    why: str
    """What of the request it asks for."""
    past: str = ""
    """Where it leads, past the gate."""
    doubts: tuple[str, ...] = ()
    """Routes before it of which it is not known here whether the request would get them."""


class Step(Struct, frozen=True, omit_defaults=True):
    """A filter that the request has come to."""

    filter: str
    did: str
    """`passed`, `follows` (the answer), `answered`, `refused`."""
    left: tuple[str, ...] = ()
    """Targets that were there before it, and are not after it."""


class Entry(Struct, frozen=True, omit_defaults=True):
    """The model that a name means."""

    name: str
    """As it is configured."""
    why: str
    others: dict[str, str] = {}
    """Other entries that the name fits, and why they are not taken."""
    strategy: str = ""
    order: str = ""
    """How that orders targets."""


class Asked(Struct, frozen=True, omit_defaults=True):
    """A target that would be asked, in its place."""

    target: str
    dialect: str
    url: str = ""
    body: str = ""
    """What becomes of the request's body."""
    cluster: str = ""
    """Of Envoy's."""
    key: str = ""
    """Name of the provider's key, where it has several."""
    sets: tuple[str, ...] = ()
    """Headers that are set."""
    removes: tuple[str, ...] = ()
    """Headers of the client's that do not go on."""
    drops: tuple[str, ...] = ()
    """Fields that this provider's dialect cannot express."""
    refused: str = ""
    """Why this one cannot be asked: its attempt would end so."""
    first_byte: float = 0.0
    idle: float = 0.0


class Rule(Struct, frozen=True, omit_defaults=True):
    """A limit or a budget."""

    rule: str
    counter: str = ""
    wants: str = ""
    """Of its amount."""
    why: str = ""
    """Where it is not about this request."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """What the gateway itself answers."""

    status: int
    by: str
    """The filter, or what else."""
    body: str
    code: str = ""
    """Of an error."""


class Explanation(Struct, kw_only=True, omit_defaults=True):
    """All of it, in the order in which it happens."""

    request: str
    listener: str = ""
    before: Way | None = None
    """Envoy's route before the gate."""
    dialect: str = ""
    operation: str = ""
    asks: str = ""
    """What the path means, in words."""
    caller: str = ""
    key: str = ""
    tenant: str = ""
    filters: list[Step] = []
    model: str = ""
    entry: Entry | None = None
    targets: list[Asked] = []
    """In the order in which they are asked."""
    passed_over: dict[str, str] = {}
    """Other targets of the model, and why they are not asked."""
    made_in: str = ""
    """Where attempts are made: `gate` or `adapter`."""
    after: Way | None = None
    """Envoy's route when the gate has judged."""
    retries: str = ""
    timeouts: str = ""
    headers: dict[str, str | None] = {}
    """What filters set in the answer, or take off (null), but for what is left of limits."""
    cache: str = ""
    conversations: str = ""
    limits: list[Rule] = []
    mirror: str = ""
    outcome: str = ""
    """`forwarded`, `answered`, `refused`, or `past the gate`, which says nothing of it."""
    answer: Answer | None = None
    notes: list[str] = []
    """What could not be known here."""
