"""What has happened already: counters that should be zero."""

import re
from collections.abc import Iterator

from extproc.doctor.dump import Dump
from extproc.doctor.finding import Finding, Level

_PROCESSOR = r"(?P<where>http\.[^.]+\.ext_proc\.(?:.+\.)?|cluster\.[^.]+\.ext_proc\.(?:.+\.)?)"
_COUNTED: tuple[tuple[str, Level, str], ...] = (
    (rf"{_PROCESSOR}failure_mode_allowed", "breaks", "requests that nobody has judged went on"),
    (rf"{_PROCESSOR}rejected_header_mutations", "breaks", "headers that Headgate had set were not: see mutation_rules"),
    (rf"{_PROCESSOR}message_timeouts", "weakens", "a worker took too long: 504. See message_timeout, and the workers' load"),
    (rf"{_PROCESSOR}streams_failed", "weakens", "requests got an error because a worker did not answer, or was not there"),
    (rf"{_PROCESSOR}spurious_msgs_received", "weakens", "Envoy took a word of Headgate's for a wrong one: see processing_mode"),
    (rf"{_PROCESSOR}clear_route_cache_(?:ignored|disabled)", "weakens", "a route was not chosen again"),
    (r"cluster\.(?P<where>(?:headgate|provider|chain)_.+?)\.upstream_(?:rq_active|rq_pending|rq_retry|cx|cx_pool)_overflow", "weakens",
     "a circuit breaker was open: see the cluster's circuit_breakers"),
    (r"cluster\.(?P<where>headgate_(?:gate|adapter))\.upstream_cx_none_healthy", "weakens", "no worker was there"),
    (r"(?P<where>cluster_manager\.cds|listener_manager\.lds|http\..+\.rds\..+?)\.update_rejected", "weakens",
     "Envoy refused a configuration, and goes on with the one before"),
    (r"listener\.(?P<where>.+?)\.downstream_cx_overflow", "weakens", "connections were refused: see the listener's connection limit"),
    (r"listener\.(?P<where>.+?)\.downstream_cx_overload_reject", "weakens", "connections were refused by the overload manager"),
    (r"(?P<where>server\.)envoy_bug_failures", "weakens", "Envoy has met bugs of its own: its log tells which"),
)  # fmt: skip
_PATTERNS = [(re.compile(pattern), level, why) for pattern, level, why in _COUNTED]


def check_trouble(dump: Dump) -> Iterator[Finding]:
    """Of each counter that has counted."""
    # Where routes set the host, the gate's own word of it is refused, as it should be.
    expected = "rejected_header_mutations" if any(gate.by_header for gate in dump.gates) else None
    for name, value in sorted(dump.stats.items()):
        if not value or name.rpartition(".")[2] == expected:
            continue
        for pattern, level, why in _PATTERNS:
            if (found := pattern.fullmatch(name)) is not None:
                counted = name.rpartition(".")[2]
                yield Finding(level, f"counter of {found['where'].rstrip('.')}", f"{counted} is {value} since it started", why, {})
