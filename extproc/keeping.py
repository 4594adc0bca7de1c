"""What Envoy keeps of a request as dynamic metadata: its record, for its access log if this worker dies, and what the adapter says."""

import msgspec

from extproc.delivery import Delivery
from extproc.envoy import names
from extproc.use import USE_KEY, read_use
from extproc.values import Request
from extproc.wire.incoming import Incoming
from extproc.wire.outgoing import Metadata

JOURNALLED: Metadata = {names.NAMESPACE: {names.RECORD: ""}}
"""The journal has the record: what Envoy was told for the case of our death would only make its log's line longer."""

encode = msgspec.json.Encoder().encode


def record(delivery: Delivery) -> Metadata:
    """The record as it stands."""
    return {names.NAMESPACE: {names.RECORD: encode(delivery.settle())}}


def who(request: Request) -> dict[str, str]:
    """Who calls, and for what model, for a log of people's."""
    identity = request.identity
    return {names.TENANT: identity.tenant, names.KEY: identity.key, names.MODEL: request.record.model}


def at_last(delivery: Delivery) -> Metadata:
    """The same at the end of an answer, when the journal may have it."""
    return JOURNALLED if delivery.request.journalled else record(delivery)


def take_use(delivery: Delivery, incoming: Incoming) -> None:
    """What the adapter says of the answer, aside."""
    use = read_use(incoming.metadata(names.USE_NAMESPACE, USE_KEY), delivery.cluster, delivery.attempts)
    if use is not None:
        delivery.tell(use)
