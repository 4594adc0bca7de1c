"""What must hold whatever is broken: each function tells what is wrong, in words, and nothing if nothing is."""

from collections.abc import Iterable, Mapping, Sequence

from bench.faults import words
from bench.faults.hostile import Heard
from bench.faults.load import Told
from bench.faults.setting import key
from bench.faults.site import Entry

_SHOWN = 5


def some(problems: Sequence[str]) -> list[str]:
    """The first of many, and how many there are."""
    shown = [*problems[:_SHOWN]]
    return [*shown, f"... and {len(problems) - _SHOWN} more like these"] if len(problems) > _SHOWN else shown


def mixed(told: Iterable[Told]) -> list[str]:
    """Nobody gets somebody else's answer."""
    return some(
        [f"{one.marker} ({one.model}, {one.kind.dialect}): an answer without its marker, or with another one" for one in told if one.mixed]
    )


def kept_out(refused: Sequence[Told], heard: Sequence[Heard], *, excused: Iterable[str] = ()) -> list[str]:
    """Nobody without a key gets more than 401, and no provider hears of it. `excused`: what else may become of it meanwhile."""
    reached = {one.id for one in heard}
    allowed = {"401", *excused}
    wrong = [one for one in refused if one.word not in allowed and one.word.partition(" ")[0] not in allowed]
    problems = [f"a caller without a key got {one.word!r} of {one.model}" for one in wrong]
    return some(problems + [f"a caller without a key reached a provider: {one.id}" for one in refused if one.id and one.id in reached])


def credentials(heard: Iterable[Heard]) -> list[str]:
    """Each provider sees its own credential and no other."""
    return some(
        [
            f"{one.fault} was shown {one.credentials}"
            for one in heard
            if {value.removeprefix("Bearer ") for value in one.credentials} != {key(one.fault)}
        ]
    )


def booked(heard: Iterable[Heard], entries: Mapping[str, Entry]) -> list[str]:
    """What reached a provider is in the ledger. That nothing is there twice, its primary key sees to."""
    return some(
        [
            f"{id} reached {fault} and is not in the ledger"
            for id, fault in {one.id: one.fault for one in heard}.items()
            if id not in entries
        ]
    )


def charged(told: Iterable[Told], entries: Mapping[str, Entry], *, cached: bool = False) -> list[str]:
    """A good answer is charged with what its provider counted: no more, so not twice, and no less. `cached`: or with nothing, where it came
    from the cache.
    """
    problems = []
    for one in told:
        entry = entries.get(one.id)
        if one.word == "200" and entry is not None:
            found = (entry["outcome"], entry["input"], entry["output"])
            if cached and entry["cache"] == "hit" and found == ("complete", 0, 0):
                continue
            if found != ("complete", words.INPUT, words.OUTPUT):
                problems.append(f"{one.id} ({one.model}) was answered, and the ledger says {found}")
        elif one.word == "200":
            problems.append(f"{one.id} ({one.model}) was answered, and is not in the ledger")
    return some(problems)


def not_twice(told: Iterable[Told], entries: Mapping[str, Entry]) -> list[str]:
    """What was answered while something was broken is charged at most once: its words may have been lost, but none is made up."""
    wrong = []
    for one in told:
        if one.word == "200":
            entry = entries.get(one.id)
            if entry is None:
                wrong.append(f"{one.id} ({one.model}) was answered, and is not in the ledger")
            elif entry["input"] > words.INPUT or entry["output"] > words.OUTPUT:
                wrong.append(f"{one.id} ({one.model}) is charged for {entry['input']} and {entry['output']} tokens: more than there were")
    return some(wrong)


def refusals_free(told: Iterable[Told], entries: Mapping[str, Entry]) -> list[str]:
    """A refusal costs nothing."""
    wrong = [
        one for one in told if one.word[:1] in "45" and (entry := entries.get(one.id)) and entry["outcome"] == "error" and entry["output"]
    ]
    return some([f"{one.id} ({one.model}) was refused, and is charged for" for one in wrong])
