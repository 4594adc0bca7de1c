"""One request and its answer, from the first header to the last byte, in plain values. The gate's wire side drives it.

    Intake.begin ──► proceed ──► forward ──► Delivery.answer ──► feed ... ──► end
                └────────┴─ a Response: some filter answers, or refuses

Filters see the request from first to last, their taps the answer from last to first.
"""

import time
import uuid

from extproc import deployments
from extproc.delivery import Delivery
from extproc.endpoints import endpoint, named_provider
from extproc.intake import Intake
from extproc.ledger.record import Record
from extproc.limits.enduser import HEADER as END_USER
from extproc.snapshot import Snapshot
from extproc.values import Endpoint, Request

_NAMED = 256


class Exchange:
    """One request under way: what is asked by its head, its way in, and its answer's way out."""

    __slots__ = ("delivery", "intake", "request", "snapshot")

    def __init__(self, snapshot: Snapshot, headers: dict[str, str]) -> None:
        started = time.perf_counter()
        self.snapshot = snapshot
        provider, path = named_provider(headers.get(":path", ""))
        method = headers.get(":method", "")
        deployment = ""
        if path.startswith(deployments.ROOT):
            path, deployment = deployments.at_openai(path)
        kind = endpoint(method, path, headers)
        if deployment and not kind.buffered and kind.kind != "other_method":
            kind = Endpoint(kind.dialect, "misplaced")
        bare = path.partition("?")[0]
        record = Record(id=headers.get("x-request-id") or str(uuid.uuid4()), time=time.time(), dialect=kind.dialect, path=bare)
        if END_USER in headers:
            record.end_user = headers[END_USER][:_NAMED]
        self.request = request = Request(method, path, headers, kind, record, provider)
        self.delivery = delivery = Delivery(request, snapshot.upstreams, started)
        self.intake = Intake(snapshot, request, delivery, deployment)
