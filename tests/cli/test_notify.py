"""`headgate notify test`, where there is nobody to ask; with somebody it is in tests/e2e/test_notifications.py."""

from pathlib import Path

import pytest

from extproc.cli import main
from tests.e2e.ports import free_port
from tests.notifications.receivers import SECRET

CONFIG = """
providers: {one: {dialect: openai, base_url: "http://one.test/v1"}}
models: [{name: m, targets: [one]}]
"""
RECEIVERS = """
notifications:
  webhooks: [{name: ops, url: "http://127.0.0.1:PORT/t0ken", secret: "env:HOOK_SECRET"}]
  emails: [{name: mail, smtp: "127.0.0.1:PORT", tls: none, from: a@b.test, to: [c@d.test]}]
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG + RECEIVERS.replace("PORT", str(free_port())))
    return path


def test_nobody_is_there(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", "test", str(path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    hook, mail = told.err.splitlines()
    assert hook.startswith("ops: not taken: no connection: ")
    assert mail == "mail: not taken: Connection refused"
    assert "t0ken" not in told.err


def test_nobody_of_that_name_and_nobody_at_all(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", "test", str(path), "--receiver", "opps"]) == 2
    assert "there is no receiver opps" in capsys.readouterr().err
    path.write_text(CONFIG)
    assert main(["notify", "test", str(path)]) == 2
    assert "nobody is notified" in capsys.readouterr().err


def test_check_names_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(path), "--no-envoy"]) == 0
    assert "notifications go to ops, mail" in capsys.readouterr().out
