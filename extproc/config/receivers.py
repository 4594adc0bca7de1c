"""What the types alone cannot say of `notifications`."""

import base64
import binascii
from urllib.parse import SplitResult, urlsplit

from extproc.config.checks import Report
from extproc.config.nearest import quoted
from extproc.config.notifications import OF_NOBODY, Email, Notifications, Receiver, Webhook
from extproc.config.urls import bracketed, parse_provider_url
from extproc.hosts import is_loopback_name

SECRET = "whsec_"  # noqa: S105 - what all of them begin with
"""Standard Webhooks, "Signature scheme"."""
_LEAST, _MOST = 24, 64


def check_notifications(notifications: Notifications, report: Report) -> None:
    """Receivers: their names, where they are, and that strangers learn nothing."""
    names: set[str] = set()
    placed: list[tuple[str, Receiver]] = [(f"$.notifications.webhooks[{at}]", one) for at, one in enumerate(notifications.webhooks)]
    placed += [(f"$.notifications.emails[{at}]", one) for at, one in enumerate(notifications.emails)]
    for path, receiver in placed:
        if receiver.name in names:
            report.error(f"{path}.name", f"there is another receiver {quoted(receiver.name)}")
        names.add(receiver.name)
        if receiver.organizations and receiver.events and OF_NOBODY.issuperset(receiver.events):
            report.warning(f"{path}.organizations", "nothing is ever told here: breakers belong to no organization")
        if isinstance(receiver, Webhook):
            _check_webhook(path, receiver, report)
        else:
            _check_email(path, receiver, report)


def _check_webhook(path: str, webhook: Webhook, report: Report) -> None:
    if (fault := _url_fault(webhook)) is not None:
        report.error(f"{path}.url", fault)
    for name in ("secret", "previous_secret"):
        secret = getattr(webhook, name)
        if secret is None:
            continue
        try:
            secret_bytes(secret)
        except ValueError as error:
            report.error(f"{path}.{name}", str(error))
        _check_plain(f"{path}.{name}", report)


def _check_plain(path: str, report: Report) -> None:
    if not report.referred(path):
        report.warning(path, "the secret is written here plainly; keep it out of the file with `env:NAME` or `file:PATH`")


def _url_fault(webhook: Webhook) -> str | None:
    """What is wrong with it, without repeating it: such URLs are secrets."""
    try:
        parts = urlsplit(webhook.url)
        if parts.scheme not in ("http", "https"):
            return "the URL has to begin with `https://`"
        if parts.username is not None or parts.password is not None or "#" in webhook.url:
            return "the URL holds a user name, a password or a `#`"
        if not webhook.url.isascii() or not webhook.url.isprintable() or {" ", "\\"} & set(webhook.url):
            return "the URL holds a space or another character that no URL has"
        parse_provider_url(f"{parts.scheme}://{parts.netloc}")
    except ValueError as error:
        return str(error)
    if parts.scheme == "http" and not (webhook.insecure or _is_here(parts)):
        return "what is told goes over the network as plain text: `https://`, a receiver on this machine, or `insecure: true`"
    return None


def _is_here(parts: SplitResult) -> bool:
    return is_loopback_name(parts.hostname or "")


def _check_email(path: str, email: Email, report: Report) -> None:
    try:
        host, _ = smtp_server(email.smtp)
    except ValueError as error:
        report.error(f"{path}.smtp", str(error))
        host = ""
    if host and email.tls == "none" and not (email.insecure or is_loopback_name(host)):
        report.error(f"{path}.tls", "mails and the password would go over the network as plain text: `starttls`, or `insecure: true`")
    if (email.user is None) != (email.password is None):
        report.error(f"{path}.user" if email.user is not None else f"{path}.password", "`user` and `password` go together")
    if email.password is not None:
        _check_plain(f"{path}.password", report)


def secret_bytes(secret: str) -> bytes:
    """What is signed with. Raises ValueError, which does not repeat it."""
    said = "a secret is `whsec_` and the base64 of 24 to 64 random bytes; this makes one: echo whsec_$(openssl rand -base64 32)"
    try:
        found = base64.b64decode(secret.removeprefix(SECRET), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(said) from None
    if not secret.startswith(SECRET) or not _LEAST <= len(found) <= _MOST:
        raise ValueError(said)
    return found


def smtp_server(text: str) -> tuple[str, int]:
    """Host and port. Raises ValueError."""
    url = parse_provider_url(f"http://{text}")
    if text not in (f"{url.host}:{url.port}", f"{bracketed(url.host)}:{url.port}"):
        raise ValueError("this is a host and a port, such as `smtp.example.com:587`")
    return url.host, url.port
