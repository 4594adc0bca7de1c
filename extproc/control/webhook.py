"""Notifications over HTTP, as Standard Webhooks has them: https://github.com/standard-webhooks/standard-webhooks (spec, 1.0.0).

A POST of `{type, timestamp, data}`, signed with the receiver's secret over its id, the moment of this attempt, and the body.
"""

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

import aiohttp
import msgspec

from extproc.config.notifications import Webhook
from extproc.config.receivers import secret_bytes
from extproc.control.way_out import DIRECT, WayOut
from extproc.notifications.delivery import Undelivered
from extproc.notifications.event import moment
from extproc.notifications.outbox import Waiting
from extproc.resets import resets
from extproc.version import VERSION

_OF_THE_EVENT = range(400, 500)
"""Statuses that say something of what was sent, but for those that follow."""
_OF_THE_MOMENT = (401, 403, 404, 408, 425, 429)
_CONTENT = {"content-type": "application/json", "user-agent": f"Headgate/{VERSION}"}


def signature(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Of one delivery: `v1,` and the base64 of an HMAC-SHA256."""
    signed = b"%b.%d.%b" % (id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret_bytes(secret), signed, hashlib.sha256)).decode()


def body_of(waiting: Waiting) -> bytes:
    """What is sent."""
    event = waiting.event
    return msgspec.json.encode({"type": event.type, "timestamp": moment(event.at), "times": waiting.times, "data": event.data})


class WebhookDelivery:
    """The way to one receiver."""

    most = 1

    def __init__(self, webhook: Webhook, ca_file: Callable[[], str], clock: Callable[[], float] = time.time, way: WayOut = DIRECT) -> None:
        """`ca_file`: who vouches for it."""
        self._webhook = webhook
        self._ca_file = ca_file
        self._clock = clock
        self._way = way
        self._secrets = [one for one in (webhook.secret, webhook.previous_secret) if one is not None]

    async def deliver(self, waiting: Sequence[Waiting]) -> None:
        """See `Delivery`. What it answers is not read."""
        (one,) = waiting
        body, id, now = body_of(one), one.event.id, int(self._clock())
        signatures = " ".join(signature(secret, id, now, body) for secret in self._secrets)
        headers = _CONTENT | {"webhook-id": id, "webhook-timestamp": str(now), "webhook-signature": signatures}
        try:
            context = await asyncio.to_thread(self._context) if self._webhook.url.startswith("https:") else False
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context, force_close=True),
                    timeout=aiohttp.ClientTimeout(total=self._webhook.timeout),
                    **self._way.session(self._webhook.url),
                ) as session,
                # Whom it is told is whom the operator has named: a redirect would let somebody else say it.
                session.post(self._webhook.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                _check(answer)
        except TimeoutError:
            raise Undelivered(f"no answer within {self._webhook.timeout:g} s") from None
        except aiohttp.InvalidURL:
            raise Undelivered("its URL is none") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Undelivered(_told(error)) from None

    def _context(self) -> ssl.SSLContext:
        """Takes some milliseconds, in which nobody else is to wait."""
        return self._way.context(self._ca_file(), self._way.proxy(self._webhook.url) is not None)


def _check(answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    after = resets({name.lower(): value for name, value in answer.headers.items()})
    down = status not in _OF_THE_EVENT or status in _OF_THE_MOMENT
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    raise Undelivered(f"status {status} {phrase}".strip(), down=down, after=after, final=status == HTTPStatus.GONE)


def _told(error: Exception) -> str:
    """In words. The URL is not among them: it may be a secret."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
    return type(error).__name__
