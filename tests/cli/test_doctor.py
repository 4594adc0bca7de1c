"""`headgate doctor`, as operators and their scripts call it."""

import json
from pathlib import Path
from typing import Any

import pytest

from extproc.cli import main
from extproc.envoy.compile import compile_edge
from extproc.envoy.places import Places
from tests.envoy.samples import SEVERAL

ADMIN = "type.googleapis.com/envoy.admin.v3."
SECRET = "Bearer sk-of-somebody"
NODE = {"user_agent_build_version": {"version": {"major_number": 1, "minor_number": 40}}}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """Of an Envoy as we compile it, but that it has no overload manager, and a header with a credential."""
    return kept(tmp_path / "dump.json", {})


def kept(path: Path, gate: dict[str, Any]) -> Path:
    bootstrap = compile_edge(SEVERAL, Places())
    bootstrap.pop("overload_manager")
    resources = bootstrap["static_resources"]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    host["request_headers_to_add"] = [{"header": {"key": "authorization", "value": SECRET}}]
    for one in manager["http_filters"]:
        if one["name"] == "headgate.gate":
            one["typed_config"] |= gate
    configs = [
        {"@type": f"{ADMIN}BootstrapConfigDump", "bootstrap": {**bootstrap, "node": NODE}},
        {"@type": f"{ADMIN}ClustersConfigDump", "static_clusters": [{"cluster": one} for one in resources["clusters"]]},
        {"@type": f"{ADMIN}ListenersConfigDump", "static_listeners": [{"listener": one} for one in resources["listeners"]]},
    ]
    path.write_text(json.dumps({"configs": configs}))
    return path


def test_what_weakens_is_told(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--file", str(dump)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Envoy 1.40.0 at {dump}: 1 thing that weakens Headgate\n\nweakens  bootstrap: overload_manager is missing\n")
    assert "overload_manager:\n" in out


def test_strictly_it_is_a_failure(dump: Path) -> None:
    assert main(["doctor", "--file", str(dump), "--strict"]) == 1


def test_what_breaks_is_one_always(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kept(tmp_path / "broken.json", {"failure_mode_allow": True, "message_timeout": "0.2s"})
    assert main(["doctor", "--file", str(path)]) == 2
    assert "2 things that break Headgate and 1 thing that weakens Headgate" in capsys.readouterr().out


def test_programs_get_json(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--file", str(dump)]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found.keys() == {"level", "where", "what", "why", "mend"}
    assert (found["level"], found["where"]) == ("weakens", "bootstrap")


def test_no_credential_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kept(tmp_path / "broken.json", {"processing_mode": {}, "mutation_rules": {}, "metadata_options": {}})
    for form in ([], ["--json"]):
        assert main(["doctor", "--file", str(path), *form]) == 2
        assert SECRET not in capsys.readouterr().out


def test_limits_are_those_of_the_configuration(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(
        "providers: {p: {dialect: openai, base_url: 'http://127.0.0.1:1/v1'}}\nmodels: [{name: m, targets: [p]}]\n"
        "limits: {request_headers: 120}\n"
    )
    assert main(["doctor", "--file", str(dump), "--config", str(config)]) == 0
    assert "max_request_headers_kb is 60" in capsys.readouterr().out
    assert main(["doctor", "--file", str(dump), "--config", str(tmp_path / "nothing.yaml")]) == 2


def test_another_name_of_the_gate(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--file", str(dump), "--gate", "envoy.filters.http.ext_proc/theirs"]) == 2
    assert "no filter of Headgate's is in any connection manager" in capsys.readouterr().out


def test_where_nothing_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "http://127.0.0.1:1"]) == 2
    assert "headgate: http://127.0.0.1:1: " in capsys.readouterr().err
    for arguments in (["doctor"], ["doctor", "http://127.0.0.1:1", "--file", "x"]):
        with pytest.raises(SystemExit):
            main(arguments)
