"""What workers and Envoy tell, made up; and what it costs."""

from pathlib import Path

import msgspec

from extproc.config.model import Price
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.usage import Usage

PRICES = PriceBook((Price(model="p/*", input="1", output="3.3"),))


def entry(id: str, **more: object) -> Record:
    """A served request."""
    values = {"provider": "p", "target": "m", "attempts": 1, "usage": Usage(input=10, output=1), **more}
    return msgspec.convert({"id": id, "time": 1000.0, **msgspec.to_builtins(values)}, Record)


def line(id: str, record: Record | None, **more: object) -> bytes:
    """A line of Envoy's access log."""
    told = {} if record is None else {"record": msgspec.json.encode(record).decode()}
    return (
        msgspec.json.encode({"request_id": id, "start_time": 1000.0, "status": 200, "attempts": 1, "cluster": "c", **told, **more}) + b"\n"
    )


def append(path: Path, data: bytes) -> None:
    """Append to a file as another process would."""
    with path.open("ab") as file:
        file.write(data)
