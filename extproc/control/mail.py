"""Notifications by e-mail: several that are due together are one mail."""

import logging
import smtplib
import ssl
from collections.abc import Callable, Iterable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from extproc.config.notifications import Email
from extproc.config.receivers import smtp_server
from extproc.control.aside import aside
from extproc.notifications.delivery import Undelivered
from extproc.notifications.outbox import Waiting
from extproc.notifications.words import text, title

_log = logging.getLogger(__name__)


def mail_of(email: Email, waiting: Sequence[Waiting]) -> EmailMessage:
    """The mail that tells of all of these."""
    first = waiting[0].event
    more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    mail = EmailMessage(SMTP)
    # `title` holds no line break; but what looks like an encoded word (RFC 2047) would be decoded here, and may stand for one.
    mail["Subject"] = f"[Headgate] {title(first)}{more}".replace("=?", "= ?")
    mail["From"] = email.sender
    mail["To"] = ", ".join(email.to)
    mail["Date"] = formatdate(first.at)
    # The same for the same events, so that one that comes twice can be told.
    mail["Message-ID"] = f"<{first.id}.{len(waiting)}@{email.sender.rpartition('@')[2]}>"
    # RFC 3834: nobody's holiday answers it.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(text(one.event, one.times) for one in waiting) + "\n", cte="quoted-printable")
    return mail


class MailDelivery:
    """The way to one receiver."""

    most = 50

    def __init__(self, email: Email, ca_file: Callable[[], str]) -> None:
        """`ca_file`: who vouches for the mail server."""
        self._email = email
        self._ca_file = ca_file

    async def deliver(self, waiting: Sequence[Waiting]) -> None:
        """See `Delivery`."""
        mail = mail_of(self._email, waiting)
        try:
            refused = await aside(lambda: self._send(mail), f"mail {self._email.name}")
        except smtplib.SMTPRecipientsRefused as error:
            status, said = next(iter(error.recipients.values()))
            raise Undelivered(f"no recipient is taken: {_said(status, said)}") from None
        except smtplib.SMTPResponseException as error:
            raise Undelivered(_said(error.smtp_code, error.smtp_error)) from None
        except TimeoutError:
            raise Undelivered(f"no answer within {self._email.timeout:g} s") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Undelivered(getattr(error, "strerror", None) or str(error) or type(error).__name__) from None
        if refused:
            _log.warning("the receiver %s: its mail server takes nothing for %s", self._email.name, ", ".join(refused))

    def _send(self, mail: EmailMessage) -> Iterable[str]:
        """Those of the recipients who do not get it."""
        host, port = smtp_server(self._email.smtp)
        timeout = self._email.timeout
        context = ssl.create_default_context(cafile=self._ca_file()) if self._email.tls != "none" else None
        implicit = self._email.tls == "implicit"
        with (
            smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
            if implicit
            else smtplib.SMTP(host, port, timeout=timeout) as server
        ):
            if self._email.tls == "starttls":
                # It raises where the server has none: nothing is sent as plain text instead.
                server.starttls(context=context)
            if self._email.user is not None and self._email.password is not None:
                server.login(self._email.user, self._email.password)
            return server.send_message(mail, self._email.sender, self._email.to)


def _said(status: int, said: bytes | str) -> str:
    """The server's own words, of which the log gets one line."""
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"status {status} {''.join(letter if letter.isprintable() else ' ' for letter in words)[:200]}".strip()
