"""What must hold: each promise with its limit, what was measured, and whether it is kept. Ratios and differences are of the same round."""

from msgspec import Struct

from bench import cells
from bench.figures import Spread, difference, ratio, spread
from bench.outcome import Outcome, Value, cpu, first, late, late_p99, p50, rps, server
from bench.stage import Turn
from bench.translation import EVENT_US, PAIR_US

_MB = 1_000_000
_ADDED_MS = 0.2
_MANY_KEYS = 100_000
"""With fewer, what a key takes is lost in what the routes do."""


class Verdict(Struct, frozen=True):
    """One promise."""

    what: str
    unit: str
    limit: float
    measured: Spread | None
    """None: what it takes was not part of the run."""
    at_least: bool = False
    """True: the limit is the least, not the most."""

    @property
    def met(self) -> bool | None:
        """Whether the median keeps it; None if it was not measured."""
        if self.measured is None:
            return None
        return self.measured.median >= self.limit if self.at_least else self.measured.median <= self.limit


def verdicts(outcome: Outcome) -> list[Verdict]:
    """All of them, in the order of the table that they come from."""
    found = [*_server(outcome), *_latency(outcome), *_whole(outcome), *_memory(outcome), *_growth(outcome)]
    return [*found, *_translation(outcome)]


def _server(outcome: Outcome) -> list[Verdict]:
    compare = outcome.compare
    return [
        Verdict(
            "server CPU of a four-phase no-op, 1 KB: share of grpcio's",
            "x",
            0.1,
            compare(cells.SMALL, "noop-native", "noop-grpcio", server, ratio),
        ),
        Verdict(
            "server CPU of the real pipeline, 10 KB chat, beyond the no-op's",
            "us",
            90,
            compare(cells.CHAT, "headgate", "noop-native", server, difference),
        ),
        Verdict(
            "server CPU of a streamed event that passes through metered",
            "us",
            10,
            outcome.slope(cells.STREAM_SHORT, cells.STREAM_LONG, "headgate", server),
        ),
    ]


def _latency(outcome: Outcome) -> list[Verdict]:
    def beyond_noop(cell: cells.Cell, value: Value) -> Spread | None:
        # (headgate - envoy) - (no-op - envoy), within a round.
        return outcome.compare(cell, "headgate", "noop-native", value, difference)

    return [
        Verdict("p50 at concurrency 1, 10 KB: added beyond what the no-op adds", "ms", _ADDED_MS, beyond_noop(cells.ALONE, p50)),
        Verdict("first event of a stream: added beyond what the no-op adds", "ms", _ADDED_MS, beyond_noop(cells.STREAM_ALONE, first)),
        Verdict("each later event: added beyond what the no-op adds", "ms", _ADDED_MS, beyond_noop(cells.STREAM_ALONE, late)),
        Verdict("p99 of later events: added beyond what the no-op adds", "ms", _ADDED_MS, beyond_noop(cells.STREAM_ALONE, late_p99)),
    ]


def _whole(outcome: Outcome) -> list[Verdict]:
    def against(peer: str, value: Value) -> Spread | None:
        return outcome.compare(cells.CHAT, "headgate", peer, value, ratio)

    return [
        Verdict("CPU a request of the whole gateway, all features on: share of TensorZero's", "x", 1.2, against("tensorzero", cpu)),
        Verdict("requests a second, all features on: times Portkey's", "x", 4, against("portkey", rps), at_least=True),
        Verdict("requests a second, all features on: times LiteLLM's", "x", 40, against("litellm", rps), at_least=True),
    ]


def _memory(outcome: Outcome) -> list[Verdict]:
    found = []
    alone = outcome.alone.get("workers")
    value = _once(alone / _MB) if alone else None
    found.append(Verdict("memory of a worker (PSS), 100 routes", "MB", 45, value))
    few, many = (outcome.memory.get(name, {}) for name in cells.GROWTH)
    keys = outcome.settings["keys"] - outcome.settings["few"]
    # PSS counts the pages of the key file that were touched, the file's size all of them: together they are more than keys can ever use.
    sizes = [parts.get("workers", 0) + parts.get("key file", 0) for parts in (few, many)]
    more = _once((sizes[1] - sizes[0]) / keys) if all(sizes) and keys >= _MANY_KEYS else None
    found.append(Verdict(f"memory of {outcome.settings['keys']:,.0f} keys that the workers share, a key", "B", 200, more))
    return found


def _once(value: float) -> Spread:
    return Spread(value, value, value, 1)


def _growth(outcome: Outcome) -> list[Verdict]:
    keys, routes = outcome.settings["keys"], outcome.settings["routes"]
    few, many = cells.GROWTH
    what = f"{keys:,.0f} keys and {routes:,.0f} routes against 10 and 10"
    large = outcome.figure(cells.LARGE, "headgate", _server_ms)
    return [
        Verdict(f"server CPU a request, {what}", "x", 1.1, outcome.compare(cells.GROWN, many, few, server, ratio)),
        Verdict("server CPU of a 400 KB body", "ms", 3, large),
    ]


def _translation(outcome: Outcome) -> list[Verdict]:
    def dearest(of: int) -> Spread | None:
        rounds = list(zip(*outcome.translation.values(), strict=True))
        return spread(max(told[of] for told in each) for each in rounds) if rounds else None

    pair, event = "translation of a 10 KB chat and its answer, CPU, the dearest two dialects", "the same of a stream's event"
    return [Verdict(pair, "us", PAIR_US, dearest(0)), Verdict(event, "us", EVENT_US, dearest(1))]


def _server_ms(turn: Turn) -> float:
    return server(turn) / 1000
