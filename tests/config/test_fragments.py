from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.config.fragments import Fragments, assembled, pieces
from extproc.config.load import load

TYPE = {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}
BASE: dict[str, Any] = {
    "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}},
    "models": [{"name": "demo", "targets": ["demo"]}],
}
CLUSTER = {"name": "docs", "connect_timeout": "1s"}
ROUTE = {"match": {"prefix": "/docs"}, "route": {"cluster": "docs"}}


def loaded(folder: Path, section: Any, environ: dict[str, str] | None = None) -> tuple[Fragments | None, list[tuple[str, str, str]]]:
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump({**BASE, "envoy": section}))
    found = load(path, environ or {})
    return found.config.envoy if found.config else None, [(one.severity, one.path, one.message) for one in found.problems]


def test_parts_stand_here_or_in_files(tmp_path: Path) -> None:
    (tmp_path / "clusters.yaml").write_text("- name: docs\n  connect_timeout: 1s\n- {name: other, alt_stat_name: '${NAME}'}\n")
    (tmp_path / "boot.json").write_text('{"stats_flush_interval": "5s"}')
    section = {
        "clusters": "file:clusters.yaml", "bootstrap": "file:boot.json", "routes": [ROUTE],
        "http_filters": {"after_gate": [{"name": "mine", "typed_config": TYPE}]},
    }  # fmt: skip
    fragments, problems = loaded(tmp_path, section, {"NAME": "from-outside"})
    assert fragments is not None and [problem[:2] for problem in problems] == [("warning", "$.envoy.routes[0]")]
    assert fragments.clusters == (CLUSTER, {"name": "other", "alt_stat_name": "from-outside"})
    assert fragments.bootstrap == {"stats_flush_interval": "5s"}
    found = list(pieces(fragments))
    assert [piece.path for piece in found] == [
        "$.envoy.clusters[0]", "$.envoy.clusters[1]", "$.envoy.bootstrap", "$.envoy.http_filters.after_gate[0]", "$.envoy.routes[0]",
    ]  # fmt: skip
    assert assembled(found) == fragments


@pytest.mark.parametrize(
    ("section", "where", "words"),
    [
        ({"clusters": [{"connect_timeout": "1s"}]}, "$.envoy.clusters[0]", "`name` is missing"),
        ({"clusters": [{"name": "provider_x"}]}, "$.envoy.clusters[0].name", "are ours"),
        ({"listeners": [{"name": "headgate2"}]}, "$.envoy.listeners[0].name", "are ours"),
        ({"clusters": "nothing.yaml"}, "$.envoy.clusters", "`file:PATH`"),
        ({"clusters": "file:nothing.yaml"}, "$.envoy.clusters", "is not there"),
        ({"clusters": "file:map.yaml"}, "$.envoy.clusters", "line 1 of the file: expected a list"),
        ({"clusters": "file:broken.yaml"}, "$.envoy.clusters", "of the file"),
        ({"http_filters": {"before_gate": [{"name": "x"}]}}, "$.envoy.http_filters.before_gate[0]", "`typed_config`"),
        (
            {"http_filters": {"upstream": [{"name": "headgate.x", "typed_config": TYPE}]}},
            "$.envoy.http_filters.upstream[0].name",
            "of ours",
        ),
        (
            {
                "http_filters": {
                    "after_gate": [{"name": "x", "typed_config": {"@type": "a/envoy.extensions.filters.http.router.v3.Router"}}]
                }
            },
            "$.envoy.http_filters.after_gate[0].typed_config",
            "ends a chain",
        ),
        ({"routes": [{"match": {"prefix": "/"}}]}, "$.envoy.routes[0]", "`match`"),
        ({"routes": [{**ROUTE, "route": {"cluster": "dosc"}}], "clusters": [CLUSTER]}, "$.envoy.routes[0].route", 'did you mean "docs"'),
        ({"routes": [{**ROUTE, "route": {"cluster": "provider_o"}}]}, "$.envoy.routes[0].route.cluster", "but by the gate"),
        ({"routes": [{**ROUTE, "route": {"cluster_header": "x"}}]}, "$.envoy.routes[0].route.cluster_header", "callers could choose"),
        (
            {"routes": [{**ROUTE, "route": {"weighted_clusters": {"clusters": [{"name": "chain_a"}]}}}]},
            "$.envoy.routes[0].route.weighted_clusters.clusters",
            "but by the gate",
        ),
        ({"routes": [{**ROUTE, "route": {"clusterHeader": "x"}}]}, "$.envoy.routes[0].route.clusterHeader", "write `cluster_header`"),
        (
            {"routes": [{**ROUTE, "route": {"weightedClusters": {"clusters": []}}}]},
            "$.envoy.routes[0].route.weightedClusters",
            "write `weighted_clusters`",
        ),
        (
            {"clusters": [{**CLUSTER, "cluster_type": {"typed_config": {"clusters": ["docs", "provider_o"]}}}]},
            "$.envoy.clusters[0].cluster_type.typed_config.clusters",
            "but by the gate",
        ),
        ({"bootstrap": {"staticResources": {}}}, "$.envoy.bootstrap.staticResources", "write `static_resources`"),
        (
            {"listeners": [{"name": "tcp", "filter_chains": [{"filters": [{"typed_config": {"cluster": "provider_o"}}]}]}]},
            "$.envoy.listeners[0].filter_chains[0].filters[0].typed_config.cluster",
            "but by the gate",
        ),
        (
            {"routes": [{**ROUTE, "redirect": {}, "typed_per_filter_config": {"headgate.gate": {}}}], "clusters": [CLUSTER]},
            "$.envoy.routes[0].typed_per_filter_config",
            "of ours",
        ),
        ({"access_logs": [{"name": "x", "typed_config": {}}]}, "$.envoy.access_logs[0]", "`@type`"),
        ({"bootstrap": {"static_resources": {}}}, "$.envoy.bootstrap.static_resources", "`envoy.clusters`"),
        ({"bootstrap": {"admin": {}}}, "$.envoy.bootstrap.admin", "not merged"),
    ],
)
def test_what_cannot_be_merged_is_refused(tmp_path: Path, section: Any, where: str, words: str) -> None:
    (tmp_path / "map.yaml").write_text("a: 1")
    (tmp_path / "broken.yaml").write_text("- [")
    _, problems = loaded(tmp_path, section)
    ((path, message),) = [problem[1:] for problem in problems if problem[0] == "error"]
    assert path == where and words in message


def test_a_name_stands_once(tmp_path: Path) -> None:
    twice = {"name": "mine", "typed_config": TYPE}
    _, problems = loaded(tmp_path, {"http_filters": {"before_gate": [twice], "upstream": [twice]}, "clusters": [CLUSTER, CLUSTER]})
    assert [problem[1] for problem in problems] == [
        "$.envoy.clusters[0].name", "$.envoy.clusters[1].name", "$.envoy.http_filters.before_gate[0].name",
        "$.envoy.http_filters.upstream[0].name",
    ]  # fmt: skip
