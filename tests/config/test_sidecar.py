"""A gateway beside one application stands where whoever starts it says, whatever the file says for others."""

from pathlib import Path

import pytest

from extproc.config.listeners import Admin, Listener
from extproc.config.load import load
from extproc.config.sidecar import Sidecar, place
from tests.cases import cases

SHARED = """
providers: {demo: {dialect: openai, base_url: "demo:"}}
models: [{name: "*", targets: [demo]}]
listener: {address: 0.0.0.0, port: 80, open: true, proxies: 2}
admin: {address: 127.0.0.1, port: 9000}
api: {address: "127.0.0.1:9181", listener: true}
"""


def read(folder: Path, text: str, sidecar: Sidecar | None) -> tuple[object, ...]:
    path = folder / "gateway.yaml"
    path.write_text(text)
    loaded = load(path, {}, sidecar=sidecar)
    assert loaded.config is not None, loaded.problems
    return loaded.config.listener, loaded.config.admin, loaded.config.api.place


def test_sections_for_others_do_not_count(tmp_path: Path) -> None:
    listener = Listener(address="127.0.0.1", port=15180)
    assert read(tmp_path, SHARED, Sidecar(15180, ("0.0.0.0", 15181))) == (listener, Admin(address="0.0.0.0", port=15181), None)
    assert read(tmp_path, SHARED, Sidecar(15180)) == (listener, Admin(port=9000), None)


def test_nothing_is_served_to_envoys_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(SHARED + "ext_proc: {address: 0.0.0.0, tls: {certificate: a.pem, key: a.key, client_ca: ca.pem}}\n")
    loaded = load(path, {}, sidecar=Sidecar(15180))
    assert loaded.config is not None and loaded.config.ext_proc is None


def errors(folder: Path, text: str, sidecar: Sidecar | None) -> list[str]:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return [problem.path for problem in load(path, {}, sidecar=sidecar).problems if problem.severity == "error"]


def test_what_others_need_of_their_listener_is_not_looked_at(tmp_path: Path) -> None:
    text = SHARED.replace("proxies: 2", "http3: true, proxy_protocol: [10.0.0.0/8]")
    assert errors(tmp_path, text, None)
    assert not errors(tmp_path, text, Sidecar(15180))


def test_an_application_says_nothing_of_itself_that_a_proxy_would_have_taken_off(tmp_path: Path) -> None:
    text = SHARED + "callers: {mesh: {trusted: true, workloads: [{uri: 'spiffe://cluster.local/ns/{tenant}/sa/{key}'}]}}\n"
    assert errors(tmp_path, text, Sidecar(15180)) == ["$.callers.mesh.trusted"]
    assert not errors(tmp_path, text, None)


def test_how_long_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(SHARED + "drain_delay: 5\n")
    for said, expected in ((None, 5.0), (0.0, 0.0), (2.5, 2.5)):
        loaded = load(path, {}, sidecar=Sidecar(15180, drain_delay=said))
        assert loaded.config is not None and loaded.config.drain_delay == expected


def test_what_the_file_says_nothing_of(tmp_path: Path) -> None:
    text = "\n".join(SHARED.splitlines()[:3])
    assert read(tmp_path, text, Sidecar(15180)) == (Listener(port=15180), Admin(), None)


def test_a_file_that_is_open_to_strangers_needs_no_keys_on_loopback(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(SHARED.replace("open: true, ", ""))
    assert load(path, {}).config is None
    assert load(path, {}, sidecar=Sidecar(15180)).config is not None


def test_mistakes_elsewhere_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(SHARED + "drian: 1\n")
    (problem,) = [one for one in load(path, {}, sidecar=Sidecar(1)).problems if one.severity == "error"]
    assert (problem.line, problem.path) == (7, "$.drian")


@cases("text", ["", "9180", "localhost:1", "1.2.3.4:0", "1.2.3.4:65536", "::1:9180", "[::1]", "1.2.3.4:٣"])
def test_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="no address with a port"):
        place(text)


def test_places() -> None:
    assert place("0.0.0.0:15181") == ("0.0.0.0", 15181)
    assert place("[::1]:9180") == ("::1", 9180)
