"""The section `notifications`."""

from pathlib import Path

import pytest

from extproc.config.load import load
from extproc.config.receivers import secret_bytes, smtp_server
from tests.config.settings import Load
from tests.notifications.receivers import OTHER, SECRET

BASE = """
providers:
  it: {dialect: openai, base_url: "https://it.test/v1"}
models:
  - {name: x, targets: [it]}
notifications: SAID
"""
ENVIRON = {"SECRET": SECRET, "OTHER": OTHER, "PASSWORD": "a password", "URL": "https://h.test/services/t0ken", "BAD": "whsec_bad"}
HOOK = "name: hook, secret: 'env:SECRET'"
MAIL = "name: mail, from: 'headgate@a.test', to: ['ops@a.test']"


def document(said: str) -> str:
    return BASE.replace("SAID", said).replace("HOOK", HOOK).replace("MAIL", MAIL)


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        "{webhooks: [{HOOK, url: 'https://h.test/a?b=c'}]}",
        "{webhooks: [{HOOK, url: 'env:URL', previous_secret: 'env:OTHER', organizations: [a], events: [limit.threshold, breaker.opened]}]}",
        "{webhooks: [{HOOK, url: 'http://127.0.0.1:9/'}, {name: b, secret: 'env:OTHER', url: 'http://h.test', insecure: true}]}",
        "{emails: [{MAIL, smtp: 'h.test:587', user: u, password: 'env:PASSWORD'}], key_expiry_days: [30, 3]}",
        "{emails: [{MAIL, smtp: '[::1]:25', tls: none}]}",
        "{emails: [{MAIL, smtp: 'h.test:25', tls: none, insecure: true}]}",
    ],
)
def test_right_sections(load_text: Load, said: str) -> None:
    loaded = load_text(document(said), ENVIRON)
    assert loaded.config is not None, loaded.problems
    assert not loaded.problems


@pytest.mark.parametrize(
    ("said", "path", "message"),
    [
        ("{webhooks: [{HOOK, url: 'http://h.test'}]}", "webhooks[0].url", "plain text"),
        ("{webhooks: [{HOOK, url: 'ftp://h.test'}]}", "webhooks[0].url", "https://"),
        ("{webhooks: [{HOOK, url: 'https://u:p@h.test'}]}", "webhooks[0].url", "user name"),
        ("{webhooks: [{HOOK, url: 'https://h.test/ü'}]}", "webhooks[0].url", "no URL has"),
        ("{webhooks: [{HOOK, url: 'https://'}]}", "webhooks[0].url", "no host"),
        ("{webhooks: [{name: a, url: 'https://h.test', secret: 'env:BAD'}]}", "webhooks[0].secret", "24 to 64 random bytes"),
        ("{webhooks: [{HOOK, url: 'https://h.test', events: [limit.treshold]}]}", "webhooks[0].events[0]", "limit.threshold"),
        ("{webhooks: [{HOOK, url: 'https://h.test', organizations: [a], events: [breaker.opened]}]}", "webhooks[0].organizations", "ever"),
        ("{webhooks: [{HOOK, url: 'https://h.test'}, {HOOK, url: 'https://i.test'}]}", "webhooks[1].name", "another receiver"),
        ("{webhooks: [{HOOK, url: 'https://h'}], emails: [{name: hook, from: a@b, to: [c@d], smtp: 'h:25'}]}", "emails[0].name", "another"),
        ("{emails: [{MAIL, smtp: h.test}]}", "emails[0].smtp", "a host and a port"),
        ("{emails: [{MAIL, smtp: 'h.test:25', tls: none}]}", "emails[0].tls", "plain text"),
        ("{emails: [{MAIL, smtp: 'h.test:25', user: u}]}", "emails[0].user", "go together"),
        ("{emails: [{MAIL, smtp: 'h.test:25', user: u, password: plain}]}", "emails[0].password", "plainly"),
        ("{emails: [{name: m, from: \"a@b\\nBcc: c@d\", to: [c@d], smtp: 'h:25'}]}", "emails[0].from", "e-mail address"),
    ],
)  # fmt: skip
def test_wrong_sections(load_text: Load, said: str, path: str, message: str) -> None:
    problems = load_text(document(said), ENVIRON).problems
    assert [problem.path for problem in problems] == [f"$.notifications.{path}"]
    assert message in problems[0].message
    assert all(secret not in problems[0].message for secret in ("bad", "t0ken", SECRET))


def test_who_needs_no_secrets_does_without_them(tmp_path: Path) -> None:
    text = document("{webhooks: [{HOOK, url: 'env:URL'}], emails: [{MAIL, smtp: 'h.test:587', user: u, password: 'env:PASSWORD'}]}")
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    assert load(path, {}, secrets=False).config is not None


@pytest.mark.parametrize(
    "secret", ["", "whsec_", SECRET.removeprefix("whsec_"), SECRET[:-16], SECRET + "=", "whsec_" + "A" * 100, "whsec_ä"]
)
def test_no_secrets(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as raised:
        secret_bytes(secret)
    assert not secret or SECRET[7:20] not in str(raised.value)


def test_mail_servers() -> None:
    assert smtp_server("h.test:587") == ("h.test", 587)
    assert smtp_server("[2001:db8::1]:25") == ("2001:db8::1", 25)
    for wrong in ("h.test", "h.test:0", "h.test:x", "h/x:25", "u@h:25", ":25"):
        with pytest.raises(ValueError, match=r"."):
            smtp_server(wrong)
