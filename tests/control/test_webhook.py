"""Webhooks, sent to a real server and verified as Standard Webhooks says."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import re
import socket
import ssl
import sys
from pathlib import Path

import pytest
import trustme

from extproc.config.notifications import Webhook
from extproc.control.webhook import WebhookDelivery, signature
from extproc.notifications.delivery import Undelivered
from extproc.notifications.outbox import Waiting
from tests.e2e.ports import free_port
from tests.notifications.receivers import OTHER, SECRET, Hook, event


def delivery(url: str, ca_file: str = "/dev/null", **changes: object) -> WebhookDelivery:
    settings: dict[str, object] = {"name": "hook", "url": url, "secret": SECRET, **changes}
    return WebhookDelivery(Webhook(**settings), lambda: ca_file, clock=lambda: 1_800_000_000.9)  # type: ignore[arg-type]


ONE = (Waiting(1, event(at=1_799_999_999.5, id="evt_1"), 2),)


def test_the_example_of_the_specification() -> None:
    # Of its reference implementations' tests.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_it_is_signed_with_both_secrets() -> None:
    async with Hook() as hook:
        await delivery(hook.url, previous_secret=OTHER).deliver(ONE)
        (headers, body), = hook.taken  # fmt: skip
    assert json.loads(body) == {
        "type": "breaker.opened", "timestamp": "2027-01-15T07:59:59.500Z", "times": 2,
        "data": {"provider": "p", "model": "m1", "key": None, "reason": "503", "again_in": 60.0},
    }  # fmt: skip
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1800000000")
    assert headers["content-type"] == "application/json"
    expected = []
    for secret in (SECRET, OTHER):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected.append("v1," + base64.b64encode(hmac.new(key, b"evt_1.1800000000." + body, hashlib.sha256).digest()).decode())
    assert headers["webhook-signature"].split(" ") == expected


@pytest.mark.parametrize(
    ("status", "down", "final"),
    [
        (500, True, False),
        (302, True, False),
        (404, True, False),
        (429, True, False),
        (400, False, False),
        (422, False, False),
        (410, False, True),
    ],
)  # fmt: skip
async def test_what_is_not_taken(status: int, down: bool, final: bool) -> None:
    async with Hook() as hook:
        hook.statuses, hook.headers = [status], {"location": hook.url, "retry-after": "7"}
        with pytest.raises(Undelivered, match=f"^status {status} ") as raised:
            await delivery(hook.url).deliver(ONE)
        # Nobody is followed elsewhere.
        assert len(hook.taken) == 1
    assert (raised.value.down, raised.value.final, raised.value.after) == (down, final, 7.0)


async def test_an_answer_without_end_is_not_read() -> None:
    async with Hook() as hook:
        hook.body = b"x" * (32 << 20)
        await delivery(hook.url).deliver(ONE)


async def test_who_is_silent_is_not_waited_for() -> None:
    async with Hook() as hook:
        hook.silent = True
        with pytest.raises(Undelivered, match=r"no answer within 0\.2 s"):
            await delivery(hook.url, timeout=0.2).deliver(ONE)
        hook.silent = False


async def test_who_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/t0ken"
        with pytest.raises(Undelivered, match="no connection: ") as raised:
            await delivery(url).deliver(ONE)
    assert "t0ken" not in str(raised.value) + caplog.text


async def test_the_receiver_of_the_documentation(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(), re.DOTALL)
    (tmp_path / "receiver.py").write_text(code)
    port, environ = free_port(), {"OPS_WEBHOOK_SECRET": SECRET, "PATH": os.environ["PATH"]}
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, tmp_path / "receiver.py", env=environ | {"PORT": str(port)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/"
        webhook = {"name": "ops", "url": url, "insecure": True}
        good, bad = (WebhookDelivery(Webhook(**webhook, secret=secret), lambda: "") for secret in (SECRET, OTHER))  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            while not await _taken(good):
                await asyncio.sleep(0.05)
        await WebhookDelivery(Webhook(**webhook, secret=OTHER, previous_secret=SECRET), lambda: "").deliver(ONE)  # type: ignore[arg-type]
        with pytest.raises(Undelivered, match="status 403"):
            await bad.deliver(ONE)
        with pytest.raises(Undelivered, match="status 403"):
            await delivery(url).deliver(ONE)  # long ago, or far ahead
        assert receiver.stdout is not None
        # Once, though it came twice.
        assert b"breaker.opened" in await receiver.stdout.readline()
    finally:
        receiver.kill()
        said, _ = await receiver.communicate()
    assert said == b""


async def _taken(delivery: WebhookDelivery) -> bool:
    try:
        await delivery.deliver(ONE)
    except Undelivered:
        return False
    return True


async def test_a_certificate_that_nobody_vouches_for() -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Hook(tls=context) as hook:
        with authority.cert_pem.tempfile() as trusted:
            await delivery(hook.url, trusted).deliver(ONE)
        with stranger.cert_pem.tempfile() as other, pytest.raises(Undelivered, match="CERTIFICATE_VERIFY_FAILED"):
            await delivery(hook.url, other).deliver(ONE)
    assert len(hook.taken) == 1
