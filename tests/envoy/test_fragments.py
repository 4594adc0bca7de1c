"""The operator's own parts, and where they end up."""

from pathlib import Path
from typing import Any

import certifi
import pytest
from msgspec.structs import replace

from extproc.config.access_log import AccessLog
from extproc.config.egress import Egress
from extproc.config.fragments import Fragments, HttpFilters
from extproc.config.mirror import Mirror
from extproc.config.model import Aws, Config
from extproc.control.effect import known_to_envoy, needs_restart
from extproc.envoy import fleet, names
from extproc.envoy.binary import usable_envoy
from extproc.envoy.compile import compile_attach, compile_clusters, compile_edge, compile_listeners, compile_routes
from extproc.envoy.fragments import clashes, overlaid
from extproc.envoy.message import Plain
from extproc.envoy.places import Places
from extproc.envoy.proof import refusals
from tests.envoy.samples import SEVERAL
from tests.envoy.test_signing import _filters

API = "type.googleapis.com/envoy.extensions"


def lua(name: str) -> dict[str, Any]:
    code = {"inline_string": f"function envoy_on_request(handle) handle:headers():add('x-{name}', '1') end"}
    return {"name": f"my.{name}", "typed_config": {"@type": f"{API}.filters.http.lua.v3.Lua", "default_source_code": code}}


def cluster(name: str = "docs") -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 9}}
    members = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {"cluster_name": name, "endpoints": members}}


TCP = {"name": "tcp", "typed_config": {"@type": f"{API}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "docs"}}
LOG = {"name": "my.log", "typed_config": {"@type": f"{API}.access_loggers.stream.v3.StderrAccessLog"}}
STATSD = {"@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink", "tcp_cluster_name": "docs"}
SINK = {"name": "envoy.stat_sinks.statsd", "typed_config": STATSD}
ANYWHERE = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
ALL = Fragments(
    clusters=(cluster(),),
    listeners=({"name": "tcp", "address": ANYWHERE, "filter_chains": [{"filters": [TCP]}]},),
    http_filters=HttpFilters(before_gate=(lua("before"),), after_gate=(lua("after"),), upstream=(lua("upstream"),)),
    routes=({"match": {"prefix": "/docs"}, "route": {"cluster": "docs"}},),
    access_logs=({**LOG, "filter": {"not_health_check_filter": {}}},),
    stats_sinks=(SINK,),
    tracing={"random_sampling": {"value": 1}},
    bootstrap={"stats_flush_interval": "5s", "layered_runtime": {"layers": [{"name": "mine", "static_layer": {"a": 1}}]}},
)  # fmt: skip
CONFIG = replace(SEVERAL, envoy=ALL)


def manager(listener: Plain) -> Plain:
    found: Plain = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def named(filters: list[Plain]) -> list[str]:
    return [one["name"] for one in filters]


def test_each_is_where_its_name_says() -> None:
    made = compile_edge(CONFIG, Places())
    ours, tcp = made["static_resources"]["listeners"]
    assert tcp["name"] == "tcp" and "docs" in named(made["static_resources"]["clusters"])
    filters = named(manager(ours)["http_filters"])
    assert filters == [
        "envoy.filters.http.set_filter_state", "my.before", names.TRAILERS_FILTER, names.GATE_FILTER, "my.after",
        "envoy.filters.http.router",
    ]  # fmt: skip
    upstream = named(manager(ours)["http_filters"][-1]["typed_config"]["upstream_http_filters"])
    assert upstream == [names.ADAPTER_FILTER, "my.upstream", "envoy.filters.http.upstream_codec"]
    assert manager(ours)["tracing"] == ALL.tracing and "my.log" in named(manager(ours)["access_log"])
    assert made["stats_sinks"] == [SINK] and made["stats_flush_interval"] == "5s"
    assert named(made["layered_runtime"]["layers"]) == ["mine", "headgate"], "ours are the ones that count"


def test_routes_lead_past_the_gate_and_catch_nothing_that_it_has_judged() -> None:
    (routes,) = compile_routes(CONFIG)["resources"]
    (host,) = routes["virtual_hosts"]
    at = next(number for number, route in enumerate(host["routes"]) if route.get("route", {}).get("cluster") == "docs")
    assert host["routes"][at]["typed_per_filter_config"][names.GATE_FILTER]["disabled"] is True
    judged = [number for number, route in enumerate(host["routes"]) if "dynamic_metadata" in route["match"]]
    assert max(judged) < at
    assert [route["name"] for route in host["routes"][at + 1 :]] == ["upgrade", "json", "form", "other"]


def test_a_cluster_with_filters_of_its_own_has_theirs_too_before_what_signs() -> None:
    signed = replace(SEVERAL.providers["lab"], dialect="bedrock", aws=Aws(region="us-east-1"))
    config = replace(CONFIG, providers={**SEVERAL.providers, "lab": signed})
    (lab,) = [one for one in compile_clusters(config, Places())["resources"] if one["name"] == "provider_lab"]
    assert named(_filters(lab)) == [
        names.ADAPTER_FILTER, "my.upstream", "envoy.filters.http.aws_request_signing", "envoy.filters.http.upstream_codec",
    ]  # fmt: skip


def test_files_that_are_watched_have_what_may_change() -> None:
    assert named(compile_listeners(CONFIG)["resources"]) == ["tcp"]
    assert "docs" in named(compile_clusters(CONFIG, Places())["resources"])
    more = replace(CONFIG, envoy=replace(ALL, clusters=(cluster(), cluster("more")), routes=()))
    assert needs_restart(CONFIG, more) == [] and known_to_envoy(CONFIG) != known_to_envoy(more)
    assert needs_restart(CONFIG, replace(CONFIG, envoy=None)) == [
        "envoy.bootstrap", "envoy.tracing", "envoy.stats_sinks", "envoy.access_logs", "envoy.http_filters.before_gate",
        "envoy.http_filters.after_gate", "envoy.http_filters.upstream",
    ]  # fmt: skip


def test_in_somebody_else_s_envoy_they_touch_our_virtual_host_alone() -> None:
    parts = compile_attach(CONFIG, Places())
    filters = {one["name"]: one for one in parts["http_connection_manager"]["http_filters"]}
    assert filters["my.before"]["disabled"] is filters["my.after"]["disabled"] is True
    assert {"my.before", "my.after"} <= parts["virtual_host"]["typed_per_filter_config"].keys()
    (log,) = [one for one in parts["http_connection_manager"]["access_log"] if one["name"] == "my.log"]
    ours, own = log["filter"]["and_filter"]["filters"]
    assert "extension_filter" in ours and own == {"not_health_check_filter": {}}
    assert named(parts["listeners"]) == ["tcp"] and parts["bootstrap"]["stats_sinks"] == [SINK]


def test_a_fleet_is_told_of_them_and_of_the_way_out() -> None:
    told = fleet.resources(replace(CONFIG, egress=Egress(proxy="http://proxy.test")), Places())
    listeners = [one["name"] for one in told.documents if one["@type"].endswith("Listener")]
    assert listeners[0] == "headgate" and listeners[1].startswith(names.EGRESS) and listeners[2] == "tcp"
    assert {"docs", listeners[1]} <= {one["name"] for one in told.documents if one["@type"].endswith("Cluster")}


def test_copies_for_mirrors_meet_none_of_them() -> None:
    model = replace(SEVERAL.models[0], mirror=Mirror(to=f"{next(iter(SEVERAL.providers))}/copy"))
    made = compile_edge(replace(CONFIG, models=(model,)), Places(), files=True)
    _, mirrors = made["static_resources"]["listeners"]
    assert not [name for name in named(manager(mirrors)["http_filters"]) if name.startswith("my.")]
    assert len(manager(mirrors)["access_log"]) == 1


def test_what_we_say_ourselves_stays() -> None:
    ours = {"a": {"b": 1, "c": [2]}, "d": 3}
    assert overlaid(ours, {"a": {"c": [1], "e": 4}, "f": 5}) == {"a": {"b": 1, "c": [1, 2], "e": 4}, "d": 3, "f": 5}
    assert clashes(ours, {"a": {"b": 2, "c": [1]}, "d": {}, "f": 5}, "$") == ["$.a.b", "$.d"]


def refused(config: Config) -> list[str]:
    return list(refusals(config, usable_envoy(), certifi.where()))


def test_envoy_takes_them_all_and_leaves_no_log(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    assert refused(replace(CONFIG, access_log=AccessLog(path=str(path)))) == []
    assert not path.exists()


@pytest.mark.parametrize("version", ["1.38"])
def test_envoy_says_of_which_it_is_that_it_refuses_it(version: str) -> None:
    wrong = {**cluster("wrong"), "connect_timeout": "soon"}
    unknown = {"name": "my.unknown", "typed_config": {"@type": f"{API}.no.such.Filter"}}
    fragments = Fragments(clusters=(cluster(), wrong), http_filters=HttpFilters(after_gate=(lua("after"), unknown)))
    first, second = refused(replace(SEVERAL, envoy=fragments, envoy_version=version))
    assert first.startswith("$.envoy.clusters[1]: Envoy refuses it: ") and "connect_timeout" in first
    assert second.startswith("$.envoy.http_filters.after_gate[1]: Envoy refuses it: ") and "no.such.Filter" in second


def test_what_we_say_in_a_bootstrap_is_not_said_otherwise() -> None:
    layer = {"overload_manager": {"resource_monitors": 7}}
    (told,) = refused(replace(SEVERAL, envoy=Fragments(bootstrap=layer)))
    assert told.startswith("$.envoy.bootstrap.overload_manager.resource_monitors: this is not merged")
