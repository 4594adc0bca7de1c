"""TLS at the callers' listener, as Envoy is told of it."""

from pathlib import Path

import pytest
import trustme
from msgspec.structs import replace

from extproc.config.callers import Callers, Mesh, Workload
from extproc.config.certificates import Certificate, ListenerTls, Sds
from extproc.config.listeners import Listener
from extproc.config.model import Config
from extproc.control import certificates
from extproc.envoy import names
from extproc.envoy.binary import validate
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import replace as write
from extproc.envoy.document import to_yaml
from extproc.envoy.forms import render
from extproc.envoy.message import Plain
from extproc.envoy.places import Places, below
from extproc.envoy.secrets import secret_files
from tests.e2e.certified import written
from tests.envoy.samples import SEVERAL

TLS = ListenerTls(certificate="/a.pem", key="/a.key", client_ca="/ca.pem")
MESH = Callers(mesh=Mesh(workloads=(Workload(dns="{key}.a"),)))


def manager(config: Config) -> Plain:
    (found, *_) = compile_edge(config, Places())["static_resources"]["listeners"]
    parts: Plain = found["filter_chains"][0]["filters"][0]["typed_config"]
    return parts


@pytest.mark.parametrize(
    ("tls", "trusted", "expected"),
    [
        (None, False, None),
        (None, True, "ALWAYS_FORWARD_ONLY"),
        (replace(TLS, client_ca=None), True, "ALWAYS_FORWARD_ONLY"),
        (replace(TLS, client_ca=None), False, None),
        (TLS, False, "SANITIZE_SET"),
        (TLS, True, "APPEND_FORWARD"),
    ],
)
def test_who_says_whose_certificate_it_is(tls: ListenerTls | None, trusted: bool, expected: str | None) -> None:
    """Whom nobody has checked is never believed."""
    assert MESH.mesh is not None
    callers = Callers(mesh=replace(MESH.mesh, trusted=trusted))
    told = manager(replace(SEVERAL, callers=callers, listener=replace(SEVERAL.listener, tls=tls)))
    assert told.get("forward_client_cert_details") == expected
    assert ("set_current_client_cert_details" in told) == (expected in ("SANITIZE_SET", "APPEND_FORWARD"))


def test_where_nobody_asks_for_certificates_the_header_is_taken_off() -> None:
    assert "forward_client_cert_details" not in manager(replace(SEVERAL, listener=Listener(tls=TLS)))


def test_envoy_takes_it(tmp_path: Path) -> None:
    authority, places = trustme.CA(), below(str(tmp_path))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pairs = [written(authority.issue_cert(name), tmp_path, name) for name in ("a.test", "b.test")]
    own, more = (Certificate(certificate=one, key=other) for one, other in pairs)
    tls = ListenerTls(certificate=own.certificate, key=own.key, certificates=(more,), client_ca=str(tmp_path / "ca.pem"))
    listener = Listener(address="::", tls=tls, http3=True)
    config = replace(SEVERAL, listener=listener, callers=MESH)
    assert list(certificates.faults(config)) == []
    for path, document in secret_files(config, places).items():
        write(Path(path), to_yaml(document))
    assert validate(compile_edge(replace(config, providers={}, models=()), places)) == []
    text = render("edge", config, places)
    assert f"# The file {names.certificate_file(places.run_dir, 'listener-1')}" in text


def test_no_document_holds_a_certificate_or_a_key(tmp_path: Path) -> None:
    pair = written(trustme.CA().issue_cert("a.test"), tmp_path, "a")
    text = render("edge", replace(SEVERAL, listener=Listener(tls=ListenerTls(certificate=pair[0], key=pair[1]))), Places())
    assert pair[1] in text and "BEGIN" not in text


def test_sds_is_asked_on_its_socket() -> None:
    tls = ListenerTls(sds=Sds(socket="/run/agent.sock", authority="spiffe://mesh.test"))
    compiled = compile_edge(replace(SEVERAL, listener=Listener(tls=tls)), Places())["static_resources"]
    assert names.SDS_CLUSTER in {cluster["name"] for cluster in compiled["clusters"]}
    assert "spiffe://mesh.test" in str(compiled["listeners"]) and secret_files(SEVERAL, Places()) == {}
    (chain,) = compiled["listeners"][0]["filter_chains"]
    (shown,) = chain["transport_socket"]["typed_config"]["common_tls_context"]["tls_certificate_sds_secret_configs"]
    assert shown["sds_config"]["initial_fetch_timeout"] == "0s", "no listener without a certificate"


def test_what_does_not_fit_is_told_before(tmp_path: Path) -> None:
    authority = trustme.CA()
    one, other = (written(authority.issue_cert("a.test"), tmp_path, name) for name in ("one", "other"))
    found = list(certificates.faults(replace(SEVERAL, listener=Listener(tls=ListenerTls(certificate=one[0], key=other[1])))))
    assert len(found) == 1 and found[0].startswith("$.listener.tls.certificate: ") and "KEY_VALUES_MISMATCH" in found[0]
    missing = ListenerTls(certificate=one[0], key=one[1], client_ca="/nowhere.pem")
    (fault,) = certificates.faults(replace(SEVERAL, listener=Listener(tls=missing)))
    assert fault == "$.listener.tls.client_ca: /nowhere.pem cannot be read: No such file or directory"
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    wrong = replace(missing, client_ca=str(empty), certificate=str(empty))
    assert [fault.partition(": ")[0] for fault in certificates.faults(replace(SEVERAL, listener=Listener(tls=wrong)))] == [
        "$.listener.tls.certificate", "$.listener.tls.client_ca",
    ]  # fmt: skip
