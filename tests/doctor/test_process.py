"""Envoys as they come: ours, one of somebody else's with our parts, and one that has had nothing of the kind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extproc.config.model import Limits
from extproc.doctor.admin import Unreadable, ask, read
from extproc.doctor.dump import Dump
from extproc.doctor.examine import examine
from extproc.envoy.compile import compile_attach, compile_edge
from extproc.envoy.places import below
from tests.doctor.running import running
from tests.envoy.samples import SEVERAL

Plain = dict[str, Any]
HARDENED = {
    "use_remote_address": True,
    "normalize_path": True,
    "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        yield Path(name)


def manager(**fields: Any) -> Plain:
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    filters = [*fields.pop("http_filters", ()), {"name": "envoy.filters.http.router", "typed_config": router}]
    return {"@type": kind, "stat_prefix": "theirs", "http_filters": filters, **fields}


def listener(folder: Path, typed: Plain, **more: Any) -> Plain:
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
    return {"name": "theirs", "address": {"pipe": {"path": f"{folder}/theirs.sock"}}, "filter_chains": [chain], **more}


def pasted(folder: Path, hardened: Plain) -> Plain:
    """Somebody's listener with the printed parts."""
    parts = compile_attach(SEVERAL, below(str(folder)))
    routes = {"virtual_hosts": [parts["virtual_host"]], "validate_clusters": parts["validate_clusters"]}
    typed = manager(**parts["http_connection_manager"], route_config=routes, **hardened)
    theirs = listener(folder, typed, per_connection_buffer_limit_bytes=64 << 20)
    return {
        "layered_runtime": parts["layered_runtime"],
        "overload_manager": compile_edge(SEVERAL, below(str(folder)))["overload_manager"],
        "static_resources": {"listeners": [theirs], "clusters": parts["clusters"]},
    }


def watched(path: Path, kind: str, resources: list[Plain]) -> Plain:
    typed = [{"@type": f"type.googleapis.com/envoy.config.{kind}", **one} for one in resources]
    path.write_bytes(msgspec.json.encode({"resources": typed}))
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def told(dump: Dump) -> list[str]:
    return [f"{one.level}: {one.where}: {one.what}" for one in examine(dump)]


def test_our_own_has_nothing(folder: Path) -> None:
    bootstrap = compile_edge(SEVERAL, below(str(folder)))
    bootstrap["static_resources"]["listeners"][0] |= {"address": {"pipe": {"path": f"{folder}/edge.sock"}}}
    bootstrap["static_resources"]["listeners"][0].pop("connection_balance_config")
    with running(folder, bootstrap) as url:
        assert told(ask(url, Limits())) == []


def test_with_the_printed_parts_it_has_nothing_either_once_it_is_hardened(folder: Path) -> None:
    with running(folder, pasted(folder, HARDENED)) as url:
        assert told(ask(url, Limits())) == []
        assert told(ask(url, Limits(request_body=80 << 20, request_headers=80))) == [
            "breaks: listener theirs, virtual host headgate: 67108864 bytes of a request are kept",
            "weakens: listener theirs: max_request_headers_kb is 60",
        ]


def test_what_comes_by_xds_and_what_a_process_has(folder: Path) -> None:
    bootstrap = pasted(folder, HARDENED)
    resources = bootstrap.pop("static_resources")
    bootstrap.pop("layered_runtime")
    bootstrap.pop("overload_manager")
    bootstrap["node"] = {"id": "theirs", "cluster": "theirs"}
    bootstrap["dynamic_resources"] = {
        "cds_config": watched(folder / "cds.json", "cluster.v3.Cluster", resources["clusters"]),
        "lds_config": watched(folder / "lds.json", "listener.v3.Listener", resources["listeners"]),
    }
    with running(folder, bootstrap, "--drain-time-s", "30", "--file-flush-interval-msec", "10000") as url:
        dump = ask(url, Limits())
    assert told(dump) == [
        "breaks: runtime: envoy.reloadable_features.grpc_side_stream_flow_control is on",
        "weakens: bootstrap: overload_manager is missing",
        "weakens: command line: --drain-time-s is 30",
        "weakens: command line: files are written every 10 s",
        "weakens: cluster headgate_gate: it comes by CDS",
        "weakens: cluster headgate_adapter: it comes by CDS",
    ]


def test_an_envoy_that_never_heard_of_us(folder: Path) -> None:
    routes = {"virtual_hosts": [{"name": "app", "domains": ["*"]}]}
    with running(folder, {"static_resources": {"listeners": [listener(folder, manager(route_config=routes))]}}) as url:
        assert told(ask(url, Limits())) == ["breaks: all listeners: no filter of Headgate's is in any connection manager"]


def versioned(major: int, minor: int) -> Dump:
    return Dump(
        [], limits=Limits(), server={"node": {"user_agent_build_version": {"version": {"major_number": major, "minor_number": minor}}}}
    )


@pytest.mark.parametrize(
    ("minor", "said"),
    [
        (35, "breaks: Envoy: its version is 1.35.0"),
        (36, "weakens: Envoy: its version is 1.36.0"),
        (39, "weakens: Envoy: its version is 1.39.0"),
    ],
)
def test_an_older_one(minor: int, said: str) -> None:
    assert said in told(versioned(1, minor))


def test_a_new_one() -> None:
    assert not [one for one in told(versioned(1, 40)) + told(versioned(2, 0)) if "version" in one]


@pytest.mark.parametrize(
    ("counter", "said"),
    [
        (
            "http.theirs.ext_proc.gate.rejected_header_mutations",
            "breaks: counter of http.theirs.ext_proc.gate: rejected_header_mutations is 3",
        ),
        ("http.theirs.ext_proc.failure_mode_allowed", "breaks: counter of http.theirs.ext_proc: failure_mode_allowed is 3"),
        ("http.theirs.ext_proc.gate.message_timeouts", "weakens: counter of http.theirs.ext_proc.gate: message_timeouts is 3"),
        (
            "cluster.provider_lab~dns.upstream_rq_pending_overflow",
            "weakens: counter of provider_lab~dns: upstream_rq_pending_overflow is 3",
        ),
        ("cluster.headgate_gate.upstream_cx_none_healthy", "weakens: counter of headgate_gate: upstream_cx_none_healthy is 3"),
        ("listener_manager.lds.update_rejected", "weakens: counter of listener_manager.lds: update_rejected is 3"),
        ("http.theirs.rds.headgate.update_rejected", "weakens: counter of http.theirs.rds.headgate: update_rejected is 3"),
        ("listener.127.0.0.1_8080.downstream_cx_overflow", "weakens: counter of 127.0.0.1_8080: downstream_cx_overflow is 3"),
    ],
)
def test_a_counter_that_should_be_zero(counter: str, said: str) -> None:
    assert [one for one in told(Dump([], limits=Limits(), stats={counter: 3})) if "counter" in one] == [f"{said} since it started"]


def test_other_counters_are_nobodys_business() -> None:
    counted = {
        "cluster.app.upstream_rq_pending_overflow": 3,
        "http.theirs.downstream_rq_total": 7,
        "listener_manager.lds.update_rejected": 0,
    }
    assert not [one for one in told(Dump([], limits=Limits(), stats=counted)) if "counter" in one]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "Connection refused"),
        ("unix:/nowhere/admin.sock", "No such file"),
        ("ftp://127.0.0.1", "is wanted here"),
        ("http://127.0.0.1:port", "port"),
    ],
)
def test_where_no_envoy_is(url: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        ask(url, Limits())


@pytest.mark.parametrize(("text", "said"), [("{", "this is not JSON"), ("[]", "no /config_dump"), ('{"configs": 1}', "no /config_dump")])
def test_a_file_that_is_no_dump(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "dump.json"
    path.write_text(text)
    with pytest.raises(Unreadable, match=said):
        read(path, Limits())
    with pytest.raises(Unreadable, match="No such file"):
        read(tmp_path / "nothing", Limits())


def test_parts_of_a_dump_that_say_nothing() -> None:
    configs: list[dict[str, Any]] = [
        {"@type": "x.BootstrapConfigDump"},
        {"@type": "x.ClustersConfigDump", "dynamic_warming_clusters": [{"error_state": {}}]},
        {"@type": "x.ListenersConfigDump", "static_listeners": [{}], "dynamic_listeners": [{"name": "a", "error_state": {}}]},
        {"@type": "x.RoutesConfigDump", "dynamic_route_configs": [{"error_state": {}}]},
    ]
    dump = Dump(configs, limits=Limits())
    assert (dump.bootstrap, dump.clusters, dump.managers) == ({}, {}, [])
