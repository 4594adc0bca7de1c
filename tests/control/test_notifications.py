"""All of it together: what is told arrives, signed, once, in time, and after whatever has come between."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from extproc.config.notifications import Email, Notifications, Webhook
from extproc.control import carrier, notifications
from extproc.control.expiry import Find
from extproc.control.identities import Identities
from extproc.control.notifications import Notifier
from extproc.ledger.notified import NotificationMetrics
from extproc.notifications import schedule
from extproc.notifications.outbox import FILE
from extproc.standing.board import Change
from extproc.standing.cooling import Name
from extproc.standing.told import Stand
from tests import stored
from tests.notifications.receivers import OTHER, SECRET, Hook, MailServer, event, until

ONE = Name("p", "one")
DAY = 86_400_000


class Machine:
    """A control process, as far as it matters here. It may be started anew."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.stands: list[Stand] = []
        self.expiring: Find = lambda expires, after, until, most: []
        self.registry = CollectorRegistry()
        self.metrics = NotificationMetrics(self.registry)
        self.notifier = self._made()

    def _made(self) -> Notifier:
        return Notifier(self.state, self.metrics, ca_file=lambda: "/dev/null", stands=lambda: self.stands, keys=self.expiring)

    async def again(self, section: Notifications) -> None:
        await self.notifier.close()
        self.notifier = self._made()
        await self.notifier.follow(section)

    def opens(self, name: Name = ONE) -> None:
        self.stands = [Stand(*name, "open", 60.0, 0.0, "503")]
        self.notifier.changed(Change(name, "open", "503", 60.0))

    async def value(self, receiver: str, result: str = "") -> float:
        await self.notifier.show()
        if not result:
            return self.registry.get_sample_value("ai_proxy_notifications_waiting", {"receiver": receiver}) or 0.0
        return self.registry.get_sample_value("ai_proxy_notifications_total", {"receiver": receiver, "result": result}) or 0.0


@pytest_asyncio.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setattr(schedule, "PAUSES", (0.05, 0.1))
    found = Machine(tmp_path)
    yield found
    await found.notifier.close()


def hooks(*hooks: Hook, **changes: Any) -> Notifications:
    return Notifications(
        webhooks=tuple(Webhook(**{"name": f"hook{at}", "url": hook.url, "secret": SECRET, **changes}) for at, hook in enumerate(hooks))
    )


def types(hook: Hook) -> list[str]:
    """Of each event, once: one that was under way at a new start comes twice."""
    return list({headers["webhook-id"]: json.loads(body)["type"] for headers, body in hook.taken}.values())


def ids(hook: Hook) -> list[str]:
    return [headers["webhook-id"] for headers, _ in hook.taken]


async def test_without_receivers_there_is_nothing(machine: Machine, tmp_path: Path) -> None:
    await machine.notifier.follow(Notifications())
    assert await machine.notifier.follow(Notifications()) is False
    machine.notifier.tell(event())
    machine.opens()
    await machine.notifier.show()
    assert list(tmp_path.iterdir()) == []


async def test_each_receiver_gets_what_it_wants_from_whatever_thread(machine: Machine) -> None:
    async with Hook() as all_of_it, Hook() as keys_only:
        section = hooks(all_of_it, keys_only)
        one, other = section.webhooks
        settings = {name: getattr(other, name) for name in ("name", "url", "secret")}
        await machine.notifier.follow(Notifications(webhooks=(one, Webhook(**settings, events=("key.expired",)))))
        thread = threading.Thread(target=lambda: machine.notifier.tell(event()))
        thread.start()
        await until(lambda: all_of_it.taken)
        thread.join()
        machine.notifier.tell(event(type="key.expired"))
        await until(lambda: len(all_of_it.taken) == 2 and keys_only.taken)
        assert (types(all_of_it), types(keys_only)) == (["breaker.opened", "key.expired"], ["key.expired"])
        assert (await machine.value("hook0", "sent"), await machine.value("hook1", "sent")) == (2, 1)


async def test_what_is_not_taken_is_tried_again_under_the_same_id(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with Hook() as hook:
        hook.statuses = [503, 500, 400]
        await machine.notifier.follow(hooks(hook))
        machine.notifier.tell(event(id="evt_1"))
        await until(lambda: len(hook.taken) == 4)
        assert set(ids(hook)) == {"evt_1"}
        await until(lambda: "the receiver hook0 answers again" in caplog.text)
        assert "the receiver hook0 has not taken breaker.opened evt_1: status 503 Service Unavailable" in caplog.text
        assert "t0ken" not in caplog.text
        assert (await machine.value("hook0", "failed"), await machine.value("hook0")) == (3, 0)


async def test_a_receiver_that_wants_no_more_is_left_alone(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    async with Hook() as hook:
        hook.statuses = [410]
        await machine.notifier.follow(hooks(hook))
        machine.notifier.tell(event(1))
        await until(lambda: "it is given up" in caplog.text)
        machine.notifier.tell(event(2, id="evt_2"))
        await until(lambda: "evt_2" in ids(hook))
        assert len(hook.taken) == 2
        assert await machine.value("hook0", "given_up") == 1


async def test_what_waits_is_there_after_a_new_start_and_follows_its_receiver(machine: Machine) -> None:
    async with Hook() as hook:
        hook.statuses = [503] * 1000
        await machine.notifier.follow(hooks(hook))
        for number in range(5):
            machine.notifier.tell(event(number, id=f"evt_{number}", type="key.expired"))
        await until(lambda: hook.taken)
        # Also what nobody has had the time to write down.
        machine.notifier.tell(event(5, id="evt_5", type="key.expired"))
        await machine.notifier.close()
    async with Hook() as elsewhere:
        await machine.again(hooks(elsewhere, secret=OTHER))
        await until(lambda: len(elsewhere.taken) == 6)
        assert sorted(ids(elsewhere)) == [f"evt_{number}" for number in range(6)]
        await machine.notifier.follow(Notifications())
        machine.notifier.tell(event(6))
        assert await machine.value("hook0") == 0


async def test_a_receiver_that_is_gone_gets_nothing_more(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    async with Hook() as hook, Hook() as other:
        hook.silent = True
        await machine.notifier.follow(hooks(hook))
        machine.notifier.tell(event(1))
        await until(lambda: hook.taken)
        await machine.notifier.follow(hooks(other, name="new"))
        assert "there is no receiver hook0 any more: 1 notifications are dropped" in caplog.text
        machine.notifier.tell(event(2))
        await until(lambda: other.taken)
        assert len(hook.taken) == 1
        hook.silent = False


async def test_a_breaker_is_told_once_however_often_it_is_tried_in_vain(machine: Machine) -> None:
    async with Hook() as hook:
        await machine.notifier.follow(hooks(hook))
        machine.opens()
        for _ in range(3):
            machine.notifier.changed(Change(ONE, "half_open", ""))
            machine.opens()
        await until(lambda: types(hook))
        machine.stands = [Stand(*ONE, "half_open", 0.0, 1.0)]
        await machine.again(hooks(hook))
        machine.opens()
        # Whoever has found out that it is closed: its own machine, another one, a new start.
        machine.stands = [Stand(*ONE, "cooling", 1.0, 1.0)]
        await until(lambda: len(types(hook)) > 1)
        machine.opens()
        await until(lambda: len(types(hook)) > 2)
        machine.stands = []
        await machine.again(hooks(hook))
        await until(lambda: len(types(hook)) > 3)
        assert types(hook) == ["breaker.opened", "breaker.closed"] * 2
        assert json.loads(hook.taken[-1][1])["data"] == {"provider": "p", "model": "one", "key": None}


async def test_a_key_that_expires_is_told_of_once(machine: Machine, tmp_path: Path) -> None:
    made = stored.change(tmp_path, lambda tables, holder: tables.keys.create(holder, "one", expires_at=int(time.time() * 1000) + 3 * DAY))
    machine.expiring = Identities(tmp_path).expiring
    async with Hook() as hook:
        await machine.again(hooks(hook, events=("key.expiring",), organizations=("default",)))
        await until(lambda: hook.taken)
        await machine.again(hooks(hook))
        machine.notifier.tell(event(type="test"))
        await until(lambda: len(types(hook)) > 1)
    assert types(hook) == ["key.expiring", "test"]
    told = json.loads(hook.taken[0][1])["data"]
    assert (told["days"], told["key"]) == (7, {"id": made[0].id, "name": "one", "prefix": f"hg-{made[0].prefix}"})


async def test_a_storm_is_bounded_and_put_together(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    async with Hook() as hook, MailServer() as server:
        mail = Email(name="mail", smtp=f"127.0.0.1:{server.port}", tls="none", sender="h@a.test", to=("ops@a.test",))
        await machine.notifier.follow(Notifications(webhooks=hooks(hook, per_minute=3).webhooks, emails=(mail,)))
        for times in range(10):
            for number in range(20):
                machine.notifier.tell(event(number, id=f"evt_{number}_{times}"))
        await until(lambda: len(hook.taken) == 3 and server.mails)
        for number in range(20, 30):
            machine.notifier.tell(event(number))
        await until(lambda: len(server.mails) == 2)
        # One row for each target, however often it has flapped.
        async with asyncio.timeout(30):
            while await machine.value("hook0") != 27:
                await asyncio.sleep(0.01)
        assert (len(hook.taken), len(server.mails)) == (3, 2)
        assert caplog.text.count("the receiver hook0 is told no more than 3 times a minute") == 1
        assert "(and" in str(server.mails[0]["subject"]) + str(server.mails[1]["subject"])


async def test_a_disk_that_refuses_loses_nothing(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_RETRY", 0.05)
    monkeypatch.setattr(carrier, "_RETRY", 0.05)
    (tmp_path / FILE).mkdir()
    async with Hook() as hook:
        await machine.notifier.follow(hooks(hook))
        machine.notifier.tell(event(id="evt_1"))
        await until(lambda: "notifications cannot be kept" in caplog.text)
        await machine.notifier.show()
        (tmp_path / FILE).rmdir()
        await until(lambda: hook.taken)
        assert ids(hook) == ["evt_1"]
