"""What would keep workers from starting is told beforehand, in words."""

import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from extproc.config.access_log import AccessLog
from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.model import Config, Model, Provider, Redis
from extproc.control.startup import faults, no_compiler


def config(**more: Any) -> Config:
    return Config(providers={"it": Provider(dialect="openai", base_url="demo:")}, models=(Model(name="*", targets=("it",)),), **more)


def secured(certificate: Path, key: Path, client_ca: Path | None = None, host: str | None = "localhost") -> Config:
    tls = ExtProcTls(certificate=str(certificate), key=str(key), client_ca=str(client_ca) if client_ca is not None else None)
    return config(ext_proc=ExtProc(tls=tls, host=host))


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    """A folder with a pair, its authority, and the key of another pair."""
    authority = trustme.CA()
    pair, other = authority.issue_cert("localhost", "*.ai.svc", "10.0.0.7"), authority.issue_cert("localhost")
    (tmp_path / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    (tmp_path / "tls.key").write_bytes(pair.private_key_pem.bytes())
    (tmp_path / "other.key").write_bytes(other.private_key_pem.bytes())
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "text").write_text("no certificate\n")
    return tmp_path


def test_all_is_well(pems: Path) -> None:
    assert faults(config()) == []
    assert faults(config(ext_proc=ExtProc())) == []
    assert faults(config(transport="grpcio")) == []
    assert faults(secured(pems / "tls.crt", pems / "tls.key", pems / "ca.crt")) == []


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    assert faults(config(access_log=AccessLog(path=str(tmp_path / "log.json")))) == []
    (told,) = faults(config(access_log=AccessLog(path=str(tmp_path / "gone" / "log.json"))))
    assert told.startswith(f"$.access_log.path: the folder {tmp_path / 'gone'} is not there")
    (told,) = faults(config(access_log=AccessLog(path=str(tmp_path))))
    assert told == f"$.access_log.path: {tmp_path} is no file that can be written"


def test_grpcio_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    # As Python itself says that a module is not there.
    monkeypatch.setitem(sys.modules, "grpc", None)
    (fault,) = faults(config(transport="grpcio"))
    assert fault.startswith("$.transport: grpcio is not installed: `pip install 'headgate[grpcio]'`")
    assert faults(config()) == []


def test_redis_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = config(redis=Redis(url="redis://127.0.0.1"))
    assert faults(wanted) == []
    monkeypatch.setitem(sys.modules, "redis", None)
    (fault,) = faults(wanted)
    assert fault.startswith("$.redis: redis is not installed: `pip install 'headgate[redis]'`")
    assert faults(config()) == []


@pytest.mark.parametrize("module", ["envoy_data_plane", "betterproto2"])
def test_what_compiles_is_not_installed(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    assert no_compiler() is None
    monkeypatch.setitem(sys.modules, module, None)
    assert "`pip install 'headgate[compile]'`" in (no_compiler() or "")


def test_files_that_are_not_there(pems: Path) -> None:
    assert faults(secured(pems / "none.crt", pems / "tls.key", pems / "none.ca")) == [
        f"$.ext_proc.tls.certificate: {pems}/none.crt cannot be read: No such file or directory",
        f"$.ext_proc.tls.client_ca: {pems}/none.ca cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca"), [("tls.crt", "other.key", None), ("text", "tls.key", None), ("tls.crt", "tls.key", "text")]
)
def test_files_that_do_not_go_together(pems: Path, certificate: str, key: str, client_ca: str | None) -> None:
    (fault,) = faults(secured(pems / certificate, pems / key, pems / client_ca if client_ca is not None else None))
    assert fault.startswith("$.ext_proc.tls: these are no certificate, its key and an authority, in PEM: ")


@pytest.mark.parametrize("host", ["localhost", "headgate.ai.svc", "10.0.0.7"])
def test_a_certificate_for_the_name_that_envoy_asks_for(pems: Path, host: str) -> None:
    assert faults(secured(pems / "tls.crt", pems / "tls.key", pems / "ca.crt", host)) == []


@pytest.mark.parametrize("host", ["headgate.other.svc", "10.0.0.8", None])
def test_a_certificate_for_others(pems: Path, host: str | None) -> None:
    (fault,) = faults(secured(pems / "tls.crt", pems / "tls.key", pems / "ca.crt", host))
    said = "$.ext_proc.tls.certificate: it is for localhost, *.ai.svc, 10.0.0.7, and Envoy, which would refuse it, asks for "
    said += f"{host or '127.0.0.1'} ("
    assert fault.startswith(said)
