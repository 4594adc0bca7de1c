"""What Envoy is told of an ordered list of targets: how often it may retry, upon what, and how long it waits."""

from functools import lru_cache
from math import inf
from typing import NamedTuple

from extproc.config.timeouts import Timeouts, longest
from extproc.envoy import names
from extproc.retrying import More
from extproc.wire.encode import fields
from extproc.wire.outgoing import packed

WHOLE = "x-envoy-upstream-rq-timeout-ms"
"""The header that says how long the whole may take."""


class Way(NamedTuple):
    """What Envoy is told of an ordered list of targets, whatever the request."""

    headers: dict[str, str]
    own: bytes
    """Metadata of our own, ready: the client's dialect, the longest silence of the targets, which is the route that has it."""
    others: bytes
    """Metadata of others, `packed`: who the targets are, where the adapter makes the attempts."""


def milliseconds(seconds: float) -> str:
    """For Envoy, to which 0 is for ever."""
    return str(max(1, int(seconds * 1000)))


@lru_cache(maxsize=1024)
def way_of(
    clusters: tuple[str, ...], timeouts: tuple[Timeouts, ...], dialect: str, more: More | None, chain: str, upgrade: bool, stream: bool
) -> Way:
    """Of these clusters, in their order, each with its patience. `chain`: the cluster in which an older Envoy tries them all."""
    own = {names.DIALECT: dialect, names.IDLE: names.UPGRADED if upgrade else names.idle_key(timeouts)}
    headers: dict[str, str] = {}
    if more is not None:
        own[names.ADAPTER] = names.ADAPTER_ON
        headers["x-envoy-max-retries"] = str(len(clusters) - 1 + more.attempts)
        headers["x-envoy-retry-on"] = more.retry_on
    if more is None or chain:
        headers[names.CLUSTER_HEADER] = chain or clusters[0]
    first_byte = max(one.first_byte for one in timeouts)
    # Envoy's clock for silence runs before the first byte, too; and when this one runs out, Envoy stops that one for good
    # (UpstreamRequest::onPerTryTimeout), even in mid-answer. So it is wound only where it is the shorter one.
    if not upgrade and first_byte < max(map(names.silence, timeouts)):
        headers["x-envoy-upstream-rq-per-try-timeout-ms"] = milliseconds(first_byte)
    if not upgrade and (total := longest(timeouts).total) < inf:
        headers[WHOLE] = milliseconds(total + names.BACKSTOP * stream)
    others = packed({names.TARGETS_NAMESPACE: names.targets(clusters)}) if more is not None and not chain else b""
    return Way(headers, fields(own), others)
