"""What workers and the control process say of limits over the link, as msgpack arrays.

Methods: `limits.reserve` with all wishes of the same moment, answered by a verdict on each; `limits.hold` and `limits.release` are notices.
The worker makes the tickets, so that it can give back what it never saw granted.
"""

import msgspec

from extproc.limits.limit import Granted, Held, Refused

RESERVE, HOLD, RELEASE = "limits.reserve", "limits.hold", "limits.release"

encode = msgspec.msgpack.Encoder().encode
read_held = msgspec.msgpack.Decoder(tuple[Held, ...]).decode
read_verdicts = msgspec.msgpack.Decoder(tuple[Granted | Refused, ...]).decode
read_tickets = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
