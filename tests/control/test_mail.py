"""Mails, sent to a real server: with TLS, with a password, and with names that mean no good."""

import ssl
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
import trustme

from extproc.config.notifications import Email
from extproc.control.mail import MailDelivery, mail_of
from extproc.identity.record import ExpiringKey
from extproc.notifications.delivery import Undelivered
from extproc.notifications.event import key_expires
from extproc.notifications.outbox import Waiting
from tests.notifications.receivers import MailServer, event

ONE = (Waiting(1, event(id="evt_1"), 1),)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def email(port: int = 25, **changes: Any) -> Email:
    settings = {"name": "mail", "smtp": f"localhost:{port}", "tls": "none", "sender": "headgate@a.test", "to": ("ops@a.test", "b@a.test")}
    return Email(**{**settings, **changes})


async def test_several_are_one_mail() -> None:
    async with MailServer() as server:
        several = (*ONE, Waiting(2, event(2, id="evt_2"), 3))
        await MailDelivery(email(server.port), lambda: "").deliver(several)
    (mail,) = server.mails
    assert server.recipients == [["ops@a.test", "b@a.test"]]
    assert (mail["subject"], mail["from"], mail["to"]) == (
        "[Headgate] p/m1 is left alone (and 1 more)", "headgate@a.test", "ops@a.test, b@a.test",
    )  # fmt: skip
    assert mail["message-id"] == "<evt_1.2@a.test>"
    assert mail["auto-submitted"] == "auto-generated"
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert b"p/m2 is left alone." in text
    assert b"last of 3 such events" in text


@pytest.mark.parametrize("implicit", [False, True])
async def test_with_tls_and_a_password(tls: ssl.SSLContext, ca_file: str, implicit: bool) -> None:
    kind = "implicit" if implicit else "starttls"
    async with MailServer(tls, implicit=implicit, password="s3cret") as server:
        await MailDelivery(email(server.port, tls=kind, user="me", password="s3cret"), lambda: ca_file).deliver(ONE)
        assert server.logins == ["me"]
        with pytest.raises(Undelivered, match=r"^status 535 5\.7\.8 wrong$"):
            await MailDelivery(email(server.port, tls=kind, user="me", password="other"), lambda: ca_file).deliver(ONE)
    assert len(server.mails) == 1


async def test_nothing_goes_as_plain_text_instead(ca_file: str) -> None:
    async with MailServer() as server:
        with pytest.raises(Undelivered, match="STARTTLS"):
            await MailDelivery(email(server.port, tls="starttls", user="me", password="s3cret"), lambda: ca_file).deliver(ONE)
        assert not server.logins


async def test_a_stranger_is_told_nothing(tls: ssl.SSLContext, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    async with MailServer(tls) as server:
        with pytest.raises(Undelivered):
            await MailDelivery(email(server.port, tls="starttls"), lambda: str(tmp_path / "other.pem")).deliver(ONE)
        assert not server.mails


@pytest.mark.parametrize("word", ["MAIL", "RCPT", "DATA", "EHLO"])
async def test_a_server_that_does_not_want_it(word: str) -> None:
    async with MailServer() as server:
        server.replies = {word: "451 4.3.0 later", **({"HELO": "451 4.3.0 later"} if word == "EHLO" else {})}
        with pytest.raises(Undelivered, match=r"451 4\.3\.0 later"):
            await MailDelivery(email(server.port), lambda: "").deliver(ONE)
    assert not server.mails


async def test_one_of_several_who_is_not_known(caplog: pytest.LogCaptureFixture) -> None:
    async with MailServer() as server:
        server.unknown = "b@a.test"
        await MailDelivery(email(server.port), lambda: "").deliver(ONE)
    assert server.recipients == [["ops@a.test"]]
    assert "takes nothing for b@a.test" in caplog.text


async def test_nobody_there_and_nobody_who_answers() -> None:
    async with MailServer() as server:
        server.replies = {"EHLO": "250-more"}
        with pytest.raises(Undelivered, match=r"no answer within 0\.3 s|timed out"):
            await MailDelivery(email(server.port, timeout=0.3), lambda: "").deliver(ONE)
        port = server.port
    with pytest.raises(Undelivered, match="refused"):
        await MailDelivery(email(port), lambda: "").deliver(ONE)


@pytest.mark.parametrize("name", ["x\r\nBcc: eve@a.test", "x\n\n.\nQUIT\n", "=?utf-8?q?=0D=0ABcc:_eve?=", "Zürich " * 40, "\ud800"])
async def test_names_get_into_no_header(name: str) -> None:
    key = ExpiringKey("key_1", name, "abc", 1, ("org_1", name))
    async with MailServer() as server:
        await MailDelivery(email(server.port), lambda: "").deliver([Waiting(1, key_expires(key, 1), 1)])
    (mail,) = server.mails
    assert set(mail.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert server.recipients == [["ops@a.test", "b@a.test"]]
    assert "\n" not in str(make_header(decode_header(mail["subject"]))).replace("\n ", " ")
    assert mail_of(email(), ONE).as_bytes().isascii()
