import os
import socket
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.cli.lock import CONTROL_PLANE, hold

CONFIG = """
providers: {p: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}}
models: [{name: m, targets: [p]}]
state: state
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "gateway.yaml"
    found.write_text(CONFIG)
    return found


@pytest.mark.parametrize("what", ["status", "promote", "rollback"])
def test_where_no_control_plane_runs(path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", what, str(path)]) == 1
    assert "no control plane runs on" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_file_alone_asks_for_the_status(path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", *arguments, str(path)]) == 1
    assert f"no control plane runs on {path.parent / 'state'}" in capsys.readouterr().err


def test_neither_a_file_nor_something_to_do(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fleet", "promot", str(path)])
    assert "promot is none of status, serve, promote, rollback, and no file" in capsys.readouterr().err
    assert main(["fleet", str(path), "promote"]) == 2
    assert f"headgate fleet promote {path}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["fleet", "serve"], ["compile", "xds"]])
def test_without_the_section(path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, str(path)]) == 2
    assert "no section `fleet`" in capsys.readouterr().err


def test_a_bootstrap_names_the_node_and_the_files_that_it_needs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(CONFIG + "fleet: {tls: {certificate: a, key: b, client_ca: c}, run_dir: /run/x}\n")
    assert main(["compile", "xds", str(path), "--node", "edge-1", "--certificates", "/certificates"]) == 0
    printed = capsys.readouterr().out
    assert "id: edge-1" in printed and "/certificates/tls.key" in printed and "/run/x/worker-0.gate.sock" in printed
    assert "--service-node" not in printed.partition("static_resources")[0].partition("\nnode")[0]


def test_a_second_control_plane_leaves_the_first_one_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(CONFIG + "fleet: {}\n")
    state = path.parent / "state"
    lock = hold(state, CONTROL_PLANE, "a control plane")
    before = sorted(state.rglob("*"))
    try:
        assert main(["fleet", "serve", str(path)]) == 1
        assert f"a control plane runs already on {state} (pid {os.getpid()})" in capsys.readouterr().err
        assert sorted(state.rglob("*")) == before
    finally:
        os.close(lock)


def test_a_port_that_is_taken_is_said_in_words(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path.write_text(CONFIG + f"fleet: {{port: {port}}}\n")
        assert main(["fleet", "serve", str(path)]) == 1
    said = capsys.readouterr().err
    assert f"port {port} on 127.0.0.1 is taken by" in said and "`fleet: {port: ...}`" in said
    # Who goes lets go of the folder.
    os.close(hold(path.parent / "state", CONTROL_PLANE, "a control plane"))
