"""What translation costs: CPU of a request and its answer, and of a stream's event, for every two dialects. `python -m bench.translation`

A pair is what `attempt` and `answering` do of it: a request of 10 KB is decoded, read, written and encoded, and so is its answer of 2 KB.
An event is one that adds a word to the text, alone in its chunk, from the provider's bytes to the client's, with what is learnt of it on
the way. Each round measures all pairs in turns; what is printed is the median of the rounds, or with `--best` the round that was least
disturbed: on a machine that others use as well, the same work takes twice as long in one second as in the next.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

import msgspec

from bench.dialogue import MODELS, answer, request, stream
from bench.figures import percentile
from extproc.answering import StreamTranslated, Terms, WholeTranslated
from extproc.dialects import DIALECTS

PAIR_US, EVENT_US = 150, 25
"""What must hold of each two dialects."""

_PAIRS = 8
"""Requests and answers that are timed together."""
_EVENTS = 100

Found = dict[str, list[tuple[float, float]]]
"""By client's and provider's dialect, `openai > gemini`: for each round, microseconds of a pair and of an event."""


class Both(NamedTuple):
    """A client's dialect, and a provider's."""

    client: str
    provider: str

    def __str__(self) -> str:
        return f"{self.client} > {self.provider}"

    def terms(self) -> Terms:
        """What answers are read by."""
        return Terms(
            client=DIALECTS[self.client], provider=DIALECTS[self.provider], kind="chat", form="chat", provider_name="provider",
            request_id="1", same=False, raw=False, include_usage=True, hide_usage=False, asked={}, most=1 << 30,
            model=MODELS[self.provider],
        )  # fmt: skip

    def pair(self, terms: Terms) -> bytes:
        """Translates a request and its answer."""
        asked = terms.client.read_request(msgspec.json.decode(request(self.client)))
        written = terms.provider.write_request(asked, MODELS[self.provider])
        body = answer(self.provider)
        msgspec.json.encode(written)
        return b"".join(WholeTranslated(200, terms, {}).feed(body, True))

    def pairs(self, count: int) -> None:
        """So many of them."""
        terms = self.terms()
        for _ in range(count):
            self.pair(terms)

    def events(self, count: int) -> Callable[[], None]:
        """A stream that has begun; then so many events of it."""
        begun, *rest, _ = stream(self.provider, count)
        answering = StreamTranslated(200, self.terms())
        answering.feed(begun, False)

        def go_on() -> None:
            for chunk in rest:
                answering.feed(chunk, False)

        return go_on


ALL = tuple(Both(*pair) for pair in permutations(DIALECTS, 2))


def _timed(step: Callable[[], object], count: int) -> float:
    begun = time.process_time_ns()
    step()
    return (time.process_time_ns() - begun) / 1000 / count


def measure(rounds: int) -> Iterator[Found]:
    """What is found after each round, the first one of which, that does not count, warms everything."""
    found: Found = {str(both): [] for both in ALL}
    for number in range(rounds + 1):
        gc.collect()
        for both in ALL:
            pair = _timed(lambda both=both: both.pairs(_PAIRS), _PAIRS)  # type: ignore[misc]
            told = pair, _timed(both.events(_EVENTS), _EVENTS)
            if number:
                found[str(both)].append(told)
        yield found


def told(found: Found, both: Both, of: int, percent: float = 50) -> float:
    """Microseconds of a pair (0) or of an event (1): the median of the rounds, or as many percent of them at most as much."""
    return percentile([values[of] for values in found[str(both)]], percent)


def tables(found: Found, percent: float = 50) -> list[tuple[list[str], list[list[str]]]]:
    """Heads and rows: of pairs, of events. What is above its limit has a mark."""
    made = []
    for of, (what, limit) in enumerate((("pair", PAIR_US), ("event", EVENT_US))):
        head = [f"us of a translated {what}: client, provider", *DIALECTS]
        made.append(
            (head, [[client, *(_cell(found, Both(client, provider), of, limit, percent) for provider in DIALECTS)] for client in DIALECTS])
        )
    return made


def _cell(found: Found, both: Both, of: int, limit: float, percent: float) -> str:
    if both.client == both.provider:
        return "-"
    value = told(found, both, of, percent)
    return f"{value:.0f}{' (!)' if value > limit else ''}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--best", action="store_true", help="of each pair the round that was least disturbed, and not the median")
    parser.add_argument("--json", action="store_true", help="all rounds, as JSON")
    given = parser.parse_args()
    (*_, found) = measure(given.rounds)
    if given.json:
        print(msgspec.json.encode(found).decode())
        return
    for head, rows in tables(found, 0 if given.best else 50):
        for row in [head, *rows]:
            print(row[0].ljust(len(head[0])), *(cell.rjust(10) for cell in row[1:]))
    print(f"limits: {PAIR_US} us a pair, {EVENT_US} us an event; (!): above")


if __name__ == "__main__":
    main()
