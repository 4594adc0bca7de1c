"""Which certificate authorities are trusted."""

from pathlib import Path

import pytest

from extproc.control.trust import ca_file


def test_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, empty = tmp_path / "ca.pem", tmp_path / "empty.pem"
    own.write_text("-----BEGIN CERTIFICATE-----")
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert ca_file() == str(own)
    for useless in (empty, tmp_path / "nothing", tmp_path):
        monkeypatch.setenv("SSL_CERT_FILE", str(useless))
        found = ca_file()
        # This machine may have none, but tests have certifi.
        assert found != str(useless) and Path(found).is_file()
