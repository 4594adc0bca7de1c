"""A request's line in the journal: who asked what, who answered, with how many tokens. Written by a worker, read by the control process.

Money is not in it: the control process prices records as it collects them, so that workers hold no price list.
"""

from typing import Literal

from msgspec import Struct

from extproc.amount import Unit
from extproc.identity.record import Owner
from extproc.limits.reserved import Reserved
from extproc.tried import Tried
from extproc.usage import Usage

Outcome = Literal["complete", "rejected", "error", "client_closed", "provider_broke", "killed"]
"""`complete`: answered to the end. `rejected`: refused by us before any provider. `error`: a provider or Envoy answered with an error.
`client_closed`: the client hung up. `provider_broke`: the provider broke off in mid-answer. `killed`: our worker died, and Envoy's
access log is all that is left; or the worker that ran the attempt, if that was another one; or Envoy was ended while it was under way."""

Cache = Literal["", "hit", "miss", "bypass"]


class Record(Struct, kw_only=True, omit_defaults=True):
    """One request, ended. `id` is its identity: collecting the same id twice counts it once."""

    id: str
    """Request id, Envoy's `x-request-id`; made by our Envoy, never the caller's."""
    time: float
    """When it began, Unix seconds."""
    mirror_of: str = ""
    """Id of the client's request of which this one is a copy, sent to a mirror: nobody asked for it, and nobody got its answer."""
    tenant: str = ""
    """Whom the key belongs to."""
    key: str = ""
    """Name of the caller's key; empty where no keys are configured."""
    dialect: str = ""
    """What the client spoke: `openai`, `anthropic`."""
    path: str = ""
    """Request path without the query."""
    model: str = ""
    """The model that the caller asked for."""
    route: str = ""
    """The configured model that matched, a name or a pattern: a bounded set, unlike `model`."""
    provider: str = ""
    """Who answered; empty if nobody was reached."""
    target: str = ""
    """Model name sent to the provider."""
    provider_key: str = ""
    """Name of the provider's key that it was asked with, where it has several."""
    answered: str = ""
    """Model name in the provider's answer, often a dated version of `target`; what is priced."""
    attempts: int = 0
    """Attempts at providers; 0 for a cache hit."""
    tried: tuple[Tried, ...] = ()
    """Each of them, where there was more than one, or several targets and no answer."""
    stream: bool = False
    cache: Cache = ""
    status: int = 0
    """HTTP status that the client got; 0 if it got none."""
    outcome: Outcome = "complete"
    error: str = ""
    """The fault's code, when there was one."""
    usage: Usage = Usage()
    unit: Unit = ""
    """What `amount` counts, where something else than tokens is counted, too."""
    amount: float = 0.0
    """Images made, seconds of audio heard, characters spoken, searches that documents were ranked by."""
    partial: bool = False
    """True: the answer broke off, so `usage` is what was seen until then."""
    estimated: bool = False
    """True: some of `usage` is our estimate, because the provider had not told it yet."""
    metered: bool = True
    """False: the answer carries no usage that we can read (audio, files, unknown paths)."""
    duration: float = 0.0
    """Seconds from the first byte of the request at the gate to the end of the answer."""
    first_byte: float = 0.0
    """Seconds to the response headers."""
    bytes_in: int = 0
    bytes_out: int = 0
    witness: Literal["worker", "envoy"] = "worker"
    """Who told it: the worker's journal, or Envoy's access log after a worker was killed."""
    owner: Owner | None = None
    """Whom the key belongs to: ids of organization, project, team, user and service account; None where it belongs to nobody."""
    key_id: str = ""
    """The key's id, which stays when it is renamed; empty where it has none."""
    end_user: str = ""
    """Whom the caller says that he asks for (`x-headgate-user`)."""
    tags: dict[str, str] = {}
    """What is set for the owner's levels, see `identity.settings`."""
    cost_centre: str = ""
    """Likewise."""
    queue: float = 0.0
    """Seconds that it stood in lines for a slot."""
    ours: float = 0.0
    """Seconds that it took here, without those in lines: from its last byte until it went on, or was answered."""
    first_token: float = 0.0
    """Seconds to the first piece of an answer that is streamed; its head may come earlier. 0: it was no stream, or nothing came."""
    reserved: Reserved | None = None
    """What it had reserved of limits and budgets, to be settled."""

    def waited(self, seconds: float, *, known: bool) -> None:
        """It stood in a line. `known`: all of it had come by then, so that these seconds would be taken for `ours`."""
        self.queue += seconds
        if known:
            self.ours -= seconds

    @property
    def called(self) -> str:
        """What the log calls it."""
        return called(self.id, self.mirror_of)


def called(id: str, mirror_of: str) -> str:
    """What the log calls a request: its id, and where it is a copy for a mirror, of which one."""
    return f"{id} (a copy of {mirror_of} for a mirror)" if mirror_of else id
