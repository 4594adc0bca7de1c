"""What a new configuration does to a gateway that runs, and to what is under way there."""

from collections.abc import Iterator, Sequence

from extproc.compared.resources import Touched
from extproc.config.model import Config
from extproc.control.effect import AT_START, needs_restart

_UNTOUCHED = "nothing is cut: what is under way goes on to its end with the configuration that it began with"
_FILES = "Envoy takes clusters and routes from files while it runs. An Envoy of yours has to be given what `headgate compile attach` prints"
_STATE = (
    "`state`: another folder is another gateway, so it takes a start. What is under way has {drain:g} s to end (`drain`), and is cut then"
)
_LATER = (
    "with `headgate upgrade`, or with the next start: {names}. With an upgrade {who} replaced without losing a request; what is under "
    "way has {drain:g} s to end (`drain`) with those before, and is cut then"
)
_FLEET = "with `headgate fleet serve`: the nodes are told by a roll-out, canaries first and the others {settle:g} s later (`settle`)"
_CLOSED = (
    "nodes of the fleet whose listener differs let what is under way go on for Envoy's --drain-time-s (600 s unless given), and cut it then"
)
_GONE = "what is under way at {names} goes on there to its end: Envoy knows the old address and the new one for a while"


def effects(old: Config, new: Config, touched: Sequence[Touched]) -> Iterator[str]:
    """Sentences, what happens at once first."""
    later = needs_restart(old, new)
    if _reloaded(old) != _reloaded(new) or not later:
        yield f"with the reload that follows when the file is replaced; {_UNTOUCHED}"
    if any(one.watched for one in touched):
        yield _FILES
    if new.fleet is not None and touched:
        yield _FLEET.format(settle=new.fleet.settle)
        if any(one.kind == "listener" for one in touched):
            yield _CLOSED
    gone = [name for name in old.providers if name not in new.providers]
    moved = [name for name, one in new.providers.items() if name in old.providers and one.base_url != old.providers[name].base_url]
    if gone or moved:
        yield _GONE.format(names=", ".join((*gone, *moved)))
    if "state" in later:
        yield _STATE.format(drain=old.drain)
    if waits := [name for name in later if name != "state"]:
        who = "the workers and Envoy are" if any(not one.watched for one in touched) else "the workers are"
        yield _LATER.format(names=", ".join(waits), who=who, drain=old.drain)


def _reloaded(config: Config) -> object:
    """What a reload brings into force, as far as sections tell."""
    return [getattr(config, name) for name in config.__struct_fields__ if name not in AT_START]
