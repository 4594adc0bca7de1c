"""What workers and the control process say of limits over the link, as msgpack arrays.

Methods: `limits.reserve` with all wishes of the same moment, answered by a verdict on each; `limits.hold`, `limits.release` and
`limits.free` (of slots) and `limits.shrink` (of leases) are notices. The worker makes the tickets, so that it can give back what it never
saw granted. `limits.exhausted` is a notice as well: something was refused, for the first time in its window.
"""

import msgspec

from extproc.limits.limit import Granted, Held, Refused
from extproc.limits.news import Exhausted

RESERVE, HOLD, RELEASE, FREE = "limits.reserve", "limits.hold", "limits.release", "limits.free"
SHRINK, EXHAUSTED = "limits.shrink", "limits.exhausted"

encode = msgspec.msgpack.Encoder().encode
read_held = msgspec.msgpack.Decoder(tuple[Held, ...]).decode
read_verdicts = msgspec.msgpack.Decoder(tuple[Granted | Refused, ...]).decode
read_exhausted = msgspec.msgpack.Decoder(Exhausted).decode
read_tickets = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
