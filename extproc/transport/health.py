"""`grpc.health.v1.Health`, as Envoy's and Kubernetes' health checks ask for it (https://grpc.io/docs/guides/health-checking/).

Its messages are one field each: the request's `service` (1, a string), the response's `status` (1, an enum). `Watch` is not offered: a
client that asks for it is told so (UNIMPLEMENTED), and then has to ask again by `Check`, as the protocol provides.
"""

from collections.abc import Container
from enum import IntEnum

from extproc.drive import Waiting
from extproc.transport.seam import Refused, Replies, Status

CHECK = "/grpc.health.v1.Health/Check"

_SERVICE = 0x0A  # field 1, length-delimited
_STATUS = 0x08  # field 1, a varint


class Serving(IntEnum):
    """`HealthCheckResponse.ServingStatus`."""

    SERVING = 1
    NOT_SERVING = 2


class Health:
    """Whether a server takes requests. Calling it opens a session of a check."""

    def __init__(self, services: Container[str]) -> None:
        """`services` are those that can be asked for by name; the whole server, "", always can."""
        self._services = services
        self.serving = False
        """Set by whoever runs the server."""

    def __call__(self) -> "_Check":
        """Opens a session."""
        return _Check(self)

    def status(self, service: str) -> Serving:
        """How the service is. Raises `Refused` for one that is not there."""
        if service and service not in self._services:
            raise Refused(Status.NOT_FOUND, f"there is no service {service!r} here")
        return Serving.SERVING if self.serving else Serving.NOT_SERVING


class _Check:
    def __init__(self, health: Health) -> None:
        self._health = health

    def receive(self, message: bytes) -> Replies:
        return [bytes((_STATUS, self._health.status(_service(message))))]

    def close(self) -> Waiting[None] | None:
        return None


def _service(message: bytes) -> str:
    """The request's only field; names of more than 127 bytes, whose length takes two, are nobody's."""
    if not message:
        return ""
    if len(message) < 2 or message[0] != _SERVICE or message[1] != len(message) - 2:
        raise Refused(Status.NOT_FOUND, "there is no such service here")
    return message[2:].decode(errors="replace")
