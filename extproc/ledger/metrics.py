"""Prometheus metrics, fed from what the collector collects. Counters begin at zero with the process, as Prometheus expects.

Labels are bounded: `model` is the configured name or pattern that matched, never the caller's free text. Money in a float is for
graphs; the exact sums are the ledger's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Literal, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from extproc.ledger.collector import Collected, Entry
from extproc.ledger.issuers import IssuerMetrics
from extproc.ledger.limiting import LimitMetrics
from extproc.ledger.loads import LoadMetrics
from extproc.ledger.money import add
from extproc.ledger.named import Named
from extproc.ledger.notified import NotificationMetrics
from extproc.ledger.providers import ProviderMetrics
from extproc.ledger.record import Record
from extproc.ledger.shipments import ShippingMetrics
from extproc.ledger.standings import StandingMetrics
from extproc.usage import COUNTS

Reload = Literal["accepted", "refused", "unchanged"]
"""What came of reading the configuration again."""

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

_DURATION = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
_FIRST_BYTE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKENS = COUNTS
_tokens = attrgetter(*_TOKENS)
_labels = attrgetter(
    "provider", "route", "dialect", "status", "outcome", "stream", "cache", "witness", "metered", "partial", "estimated"
)  # fmt: skip


class Metrics:
    """All of the gateway's metrics, in a registry of their own."""

    def __init__(self, version: str) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        who = ("provider", "model")
        self._named = named = Named(registry)
        counter, gauge, histogram = named.counter, named.gauge, named.histogram
        self._requests = counter(
            "requests_total", "Requests ended.", (*who, "dialect", "status", "outcome", "stream", "cache")
        )  # fmt: skip
        self._duration = histogram(
            "request_duration_seconds", "From a request's first byte to its answer's last.", (*who, "stream"), _DURATION
        )
        self._first_byte = histogram(
            "time_to_first_byte_seconds", "From a request's first byte to its answer's headers.", (*who, "stream"), _FIRST_BYTE
        )
        self._tokens = counter(
            "tokens_used_total", "Tokens bought. `input` and `output` are totals that include the other types.", (*who, "type")
        )
        self._amounts = counter("amounts_total", "What is counted beside tokens: images, seconds, characters, searches.", (*who, "unit"))
        self._cost = counter("cost_total", "US dollars spent, as far as prices are known.", who)
        self._mirrored = counter(
            "mirrored_requests_total", "Copies of requests that mirrors were asked; among the requests they are not.", (*who, "outcome")
        )
        self._hits = counter("cache_hits_total", "Requests answered from the cache.", ("model",))
        self._misses = counter("cache_misses_total", "Requests that the cache was asked for and did not have.", ("model",))
        self._saved = counter("cache_saved_tokens_total", "Tokens that cache hits did not buy again.", ("model", "type"))
        self._partial = counter("partial_total", "Answers that broke off, counted with what was seen until then.", (*who, "outcome"))
        self._estimated = counter("estimated_total", "Answers whose usage is in part our estimate.", who)
        self._unpriced = counter("unpriced_total", "Requests whose model has no price.", who)
        self._unmetered = counter("unmetered_total", "Requests whose usage cannot be read.", who)
        self._attempts = counter("attempts_total", "Attempts at providers, by who answered in the end.", who)
        self._fallbacks = counter("fallbacks_total", "Requests that took more than one attempt.", who)
        self._by_key = counter("provider_key_requests_total", "Requests by the key that they ended with, of several.", ("provider", "key"))
        self._bytes = counter("bytes_total", "Bytes of bodies.", ("direction",))
        self._by_envoy = counter("ledger_rescued_total", "Requests known from Envoy's access log alone: their worker was killed.")
        self._replaced = counter("ledger_replaced_total", "Of those, the ones that their worker told of after all.")
        self._corrupt = counter("ledger_corrupt_lines_total", "Journal and access log lines that nobody could read.")
        self._journal = {
            name: gauge(f"journal_{name}", text, ("worker",))
            for name, text in (
                ("failures", "Writes that the disk refused, since the worker began."),
                ("lost", "Records given up, since the worker began."),
                ("waiting", "Records in memory that the disk has not taken yet."),
            )
        }
        self._handshakes = gauge("tls_handshakes_failed", "TLS handshakes with Envoys that failed, since the worker began.", ("worker",))
        self.standing = StandingMetrics(registry)
        """How targets and keys stand."""
        self.providers, self.issuers = ProviderMetrics(registry), IssuerMetrics(registry)
        """What is known of providers beside what they answer, and of those whose tokens are taken."""
        self._reloads = counter("config_reloads_total", "Times that the configuration was read again, by what came of it.", ("result",))
        self._in_force = gauge("config_in_force", "1: the files say what is in force. 0: what they say is refused.")
        self._reloaded = gauge("config_taken_timestamp_seconds", "When the files last said something that could be used.")
        for result in get_args(Reload):
            self._reloads.labels(result)
        self._in_force.set(1)
        self._reloaded.set_to_current_time()
        self._restarts = counter("restarts_total", "Times that a process ended and was started again.", ("process",))
        self._restarted: dict[str, int] = {}
        self._turns = counter(
            "conversation_turns_total",
            "Turns of conversations that are kept here: kept, lost, found, unknown, deleted, expired, evicted.",
            ("result",),
        )
        self._turned: dict[str, int] = {}
        self._turns_kept = gauge("conversation_turns_kept", "Turns that are kept now.")
        self._turns_bytes = gauge("conversation_bytes_kept", "Bytes of them.")
        self.load, self.limits = LoadMetrics(registry), LimitMetrics(registry)
        self.notifications, self.shipping = NotificationMetrics(registry), ShippingMetrics(registry)
        """Of the workers, of limits and budgets, of what becomes of notifications, and of the ledger's way to PostgreSQL."""
        self._under_way: Gauge | None = None
        self._websockets: Gauge | None = None
        gauge("build_info", "Version of Headgate.", ("version",)).labels(version).set(1)

    def feed(self, collected: Collected) -> None:
        """Count what was collected."""
        self._corrupt.inc(collected.corrupt)
        alike: defaultdict[tuple[object, ...], list[Entry]] = defaultdict(list)
        for entry in collected.entries:
            if entry.replaces:
                # Counters cannot be corrected; the ledger has been.
                self._replaced.inc()
            else:
                alike[_kind(entry)].append(entry)
        for entries in alike.values():
            self._count(entries)

    def reloaded(self, result: Reload) -> None:
        """Tell what came of reading the configuration again."""
        self._reloads.labels(result).inc()
        self._in_force.set(result != "refused")
        if result != "refused":
            self._reloaded.set_to_current_time()

    def restarts(self, process: str, times: int) -> None:
        """Tell how often a process has been started again, in all."""
        self._restarts.labels(process).inc(times - self._restarted.get(process, 0))
        self._restarted[process] = times

    def conversations(self, counts: Mapping[str, int], turns: int, size: int) -> None:
        """Tell what has become of conversations' turns, in all; and how many are kept, of how many bytes."""
        for result, times in counts.items():
            self._turns.labels(result).inc(times - self._turned.get(result, 0))
            self._turned[result] = times
        self._turns_kept.set(turns)
        self._turns_bytes.set(size)

    def under_way(self, requests: int) -> None:
        """Tell how many requests are, where that is known: not of somebody else's Envoy."""
        if self._under_way is None:
            self._under_way = self._named.gauge("requests_under_way", "Requests that Envoy has under way.")
        self._under_way.set(requests)

    def websockets(self, connections: int) -> None:
        """Tell how many are open, where that is known."""
        if self._websockets is None:
            self._websockets = self._named.gauge("websockets_open", "WebSockets that are open.")
        self._websockets.set(connections)

    def journal(self, worker: str, failures: int, lost: int, waiting: int) -> None:
        """Tell how a worker's journal fares: `Journal.failures`, `.lost`, `.waiting`."""
        for name, value in (("failures", failures), ("lost", lost), ("waiting", waiting)):
            self._journal[name].labels(worker).set(value)

    def handshakes(self, worker: str, failed: int) -> None:
        """Tell how many TLS handshakes with a worker have failed."""
        self._handshakes.labels(worker).set(failed)

    def render(self) -> bytes:
        """The text format, to be served as `CONTENT_TYPE`."""
        return prometheus_client.generate_latest(self.registry)

    def _count(self, entries: Sequence[Entry]) -> None:
        """Count requests of one kind, with one look-up for each metric: that costs more than counting."""
        first, records = entries[0].record, [entry.record for entry in entries]
        who = (first.provider, first.route)
        stream = "true" if first.stream else "false"
        if first.mirror_of:
            self._mirrored.labels(*who, first.outcome).inc(len(records))
            _add(self._attempts, who, sum(record.attempts for record in records))
            self._count_used(entries, who)
            return
        self._requests.labels(*who, first.dialect, str(first.status), first.outcome, stream, first.cache).inc(len(records))
        _observe(self._duration, (*who, stream), [record.duration for record in records])
        _observe(self._first_byte, (*who, stream), [record.first_byte for record in records if record.first_byte > 0])
        if first.cache == "hit":
            self._hits.labels(first.route).inc(len(records))
        elif first.cache == "miss":
            self._misses.labels(first.route).inc(len(records))
        if first.witness == "envoy":
            self._by_envoy.inc(len(records))
        attempts = [record.attempts for record in records]
        _add(self._attempts, who, sum(attempts))
        _add(self._fallbacks, who, sum(count > 1 for count in attempts))
        for key in {record.provider_key for record in records if record.provider_key}:
            self._by_key.labels(first.provider, key).inc(sum(record.provider_key == key for record in records))
        self._bytes.labels("in").inc(sum(record.bytes_in for record in records))
        self._bytes.labels("out").inc(sum(record.bytes_out for record in records))
        self._count_used(entries, who)

    def _count_used(self, entries: Sequence[Entry], who: tuple[str, str]) -> None:
        if entries[0].in_ledger:
            self._count_money(entries, who)
        self._count_tokens([entry.record for entry in entries], who)

    def _count_money(self, entries: Sequence[Entry], who: tuple[str, str]) -> None:
        first = entries[0]
        if first.priced.cost is not None:
            self._cost.labels(*who).inc(float(add(entry.priced.cost for entry in entries if entry.priced.cost is not None)))
        elif first.record.metered:
            self._unpriced.labels(*who).inc(len(entries))
        else:
            self._unmetered.labels(*who).inc(len(entries))
        if first.record.partial:
            self._partial.labels(*who, first.record.outcome).inc(len(entries))
        if first.record.estimated:
            self._estimated.labels(*who).inc(len(entries))

    def _count_tokens(self, records: Sequence[Record], who: tuple[str, str]) -> None:
        route, hit = who[1], records[0].cache == "hit"
        for unit in {record.unit for record in records if record.unit}:
            self._amounts.labels(*who, unit).inc(sum(record.amount for record in records if record.unit == unit))
        for kind, counts in zip(_TOKENS, zip(*(_tokens(record.usage) for record in records), strict=True), strict=True):
            if not hit:
                _add(self._tokens, (*who, kind), sum(counts))
            elif kind in ("input", "output"):
                _add(self._saved, (route, kind), sum(counts))


def _kind(entry: Entry) -> tuple[object, ...]:
    """What requests that are counted alike have in common: whatever a metric is labelled with, and which metrics there are of them."""
    return (*_labels(entry.record), bool(entry.record.mirror_of), entry.in_ledger, entry.priced.cost is None)


def _add(counter: Counter, labels: tuple[str, ...], count: int) -> None:
    """Nothing is no sample: a series begins with the first that there is to count."""
    if count:
        counter.labels(*labels).inc(count)


def _observe(histogram: Histogram, labels: tuple[str, ...], values: Sequence[float]) -> None:
    if values:
        child = histogram.labels(*labels)
        for value in values:
            child.observe(value)
