"""What came of all crossings, as tables: docs/recordings.md."""

from collections.abc import Iterable

from tests.e2e.crossings import Crossing
from tests.e2e.losses import LOSSES, NOTHING, UNREADABLE, USED, Loss, lost, parts, unreadable
from tests.e2e.recorded import Recording
from tests.e2e.sdks.known import CLIENTS

FEATURES = {
    "Text": ("text",),
    "Tool calls": ("tool calls",),
    "Reasoning": ("reasoning",),
    "Why it stopped": ("stop",),
    "Tokens: input and output": USED[:2],
    "Tokens: cached, written to the cache, spent on reasoning, audio": USED[2:],
}
"""Parts of an answer, as they are told of together."""

_HEAD = """# Recorded answers, told to the official SDKs

What providers answered once, {whole} whole answers and {streams} streams, is served again by what stands behind the gateway, on a real
Envoy, and asked for by {clients} official clients of {dialects} dialects. This page is written by the tests
(`tests/e2e/test_recordings.py --update`), which compare what each SDK has made of an answer with what its provider had said, and the ledger
with what it had counted.

A cell tells how many answers arrived with all of it, of those that had some of it. It is empty where there are none: no answer had any, or
the client cannot be given one. What is called lost is expected to be, and the last section says why. An answer with calls has stopped for
them, whatever its provider calls that, and a refusal is text that a filter has stopped.
"""


def page(crossings: list[Crossing]) -> str:
    """All tables."""
    plain = [crossing for crossing in crossings if not crossing.ask.cut and not crossing.ask.twice]
    sections = [_head(plain), *(_section(title, _table(plain, title)) for title in FEATURES)]
    sections += [_section("Streams, cut in every way", _cuts(crossings)), _section("With a second target", _twice(crossings))]
    return "\n".join([*sections, _section("What is lost, and why", _losses())])


def _head(plain: list[Crossing]) -> str:
    recordings = {id(crossing.ask.recording): crossing.ask.recording for crossing in plain}.values()
    streams = sum(recording.stream for recording in recordings)
    return _HEAD.format(
        whole=len(recordings) - streams,
        streams=streams,
        clients=len(CLIENTS),
        dialects=len({client.dialect for client in CLIENTS.values()}),
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}\n"


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _grid(head: list[str], rows: Iterable[Iterable[object]]) -> str:
    return "\n".join([_row(head), "|---" * len(head) + "|", *map(_row, rows)])


def _table(crossings: list[Crossing], title: str) -> str:
    providers = {recording.provider: recording for recording in (crossing.ask.recording for crossing in crossings)}
    rows = []
    for name, recording in providers.items():
        here = [crossing for crossing in crossings if crossing.ask.recording.provider == name]
        cells = [_cell([crossing for crossing in here if crossing.ask.client == client], title) for client in CLIENTS]
        if any(cells):
            rows.append([recording.folder, recording.dialect, *cells])
    return _grid(["recordings", "dialect", *CLIENTS], rows)


def _cell(crossings: list[Crossing], title: str) -> str:
    """`4 of 5, 1 lost`; or nothing, where none of the answers has any of it."""
    due = [crossing for crossing in crossings if _has(crossing.ask.recording, title)]
    failed = sum(any(what in crossing.faults for what in FEATURES[title]) for crossing in due)
    missed = sum(not any(what in crossing.faults for what in FEATURES[title]) and _lost(crossing, title) for crossing in due)
    told = f"{len(due) - failed - missed} of {len(due)}" if due else ""
    return told + (f", {missed} lost" if missed else "") + (f", **{failed} failed**" if failed else "")


def _has(recording: Recording, title: str) -> bool:
    said = parts(recording.said)
    return any(said[what] != NOTHING[what] for what in FEATURES[title])


def _lost(crossing: Crossing, title: str) -> bool:
    recording, client, *_ = crossing.ask
    return bool(unreadable(client, recording)) or any(lost(client, what, recording) for what in FEATURES[title])


def _cuts(crossings: list[Crossing]) -> str:
    ways = dict.fromkeys(crossing.ask.cut for crossing in crossings if crossing.ask.cut)
    return "Each stream with each of them, to one client, by turns.\n\n" + _grid(
        ["cut", "streams that arrived"], [[way, _arrived(crossing for crossing in crossings if crossing.ask.cut == way)] for way in ways]
    )


def _twice(crossings: list[Crossing]) -> str:
    told = _arrived(crossing for crossing in crossings if crossing.ask.twice)
    return f"Each recording to one client, by turns, and half of the streams that are cut: {told} arrived."


def _arrived(crossings: Iterable[Crossing]) -> str:
    due = [*crossings]
    return f"{sum(not crossing.faults for crossing in due)} of {len(due)}"


def _losses() -> str:
    rows = [[loss.client, _named(loss), _where(loss), loss.why] for loss in LOSSES]
    rows += [[one.client, "all: it cannot be read", one.where, one.why] for one in UNREADABLE]
    return _grid(["client", "what", "where", "why"], (row for client in CLIENTS for row in rows if row[0] == client))


def _named(loss: Loss) -> str:
    if loss.what == USED:
        return "tokens"
    return "tokens but input and output" if loss.what == USED[2:] else ", ".join(loss.what).replace("_", " ")


def _where(loss: Loss) -> str:
    """``everywhere, where it is `filter` ``, and so on."""
    if loss.only:
        return ", ".join(f"`{name}`" for name in loss.only)
    return "everywhere" + (f", where it is `{loss.due}`" if loss.due else "")
