"""Metrics of the workers' load: slots in use, who waits for one, who was refused, and whether a worker keeps up."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from extproc.ledger.named import Named

KINDS = ("tenant", "target", "provider")
"""What slots are of."""
REASONS = (*KINDS, "pressure", "bodies", "retries")
"""Why a request is refused, or another attempt of one."""


class LoadMetrics:
    """In a registry of others'."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        gauge, counter = named.gauge, named.counter
        self._held = gauge("slots_in_use", "Slots that requests under way hold, by what they are slots of.", ("worker", "kind"))
        self._waiting = gauge("slots_waiting", "Requests that wait in line for a slot.", ("worker", "kind"))
        self._limit = gauge(
            "shedding_limit", "Requests that a worker lets be under way while it does not keep up. 0: it keeps up.", ("worker",)
        )
        self._bodies = gauge("bodies_held_bytes", "Bytes of large request bodies that a worker holds.", ("worker",))
        self._refused = counter(
            "load_refused_total",
            "Requests refused: no slot of their tenant, target or provider; the worker did not keep up; no room for the body. And attempts "
            "that a retry budget did not allow.",
            ("reason",),
        )
        for reason in REASONS:
            self._refused.labels(reason)
        self._unmirrored = counter("mirrors_dropped_total", "Copies of requests that were not sent to their mirrors: no room, or no time.")
        self._dropped: dict[str, int] = {}
        self._seen: dict[str, Mapping[str, int]] = {}

    def tell(
        self, worker: str, slots: Mapping[str, tuple[int, int]], refused: Mapping[str, int], *, limit: int, bodies: int,
        unmirrored: int = 0,
    ) -> None:  # fmt: skip
        """Tell how a worker fares. `slots`: held and waiting, by kind; `refused`: since it began, by reason;
        `unmirrored`: copies, since then.
        """
        for kind in KINDS:
            held, waiting = slots.get(kind, (0, 0))
            self._held.labels(worker, kind).set(held)
            self._waiting.labels(worker, kind).set(waiting)
        self._limit.labels(worker).set(limit)
        self._bodies.labels(worker).set(bodies)
        seen = self._seen.get(worker, {})
        for reason in REASONS:
            now, before = refused.get(reason, 0), seen.get(reason, 0)
            # One that was started again begins at none.
            self._refused.labels(reason).inc(now - before if now >= before else now)
        self._seen[worker] = dict(refused)
        before = self._dropped.get(worker, 0)
        self._unmirrored.inc(unmirrored - before if unmirrored >= before else unmirrored)
        self._dropped[worker] = unmirrored
