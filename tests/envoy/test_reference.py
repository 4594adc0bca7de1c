from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml
from msgspec.structs import replace

from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.load import load
from extproc.config.mirror import Mirror
from extproc.envoy import names
from extproc.envoy.binary import validate
from extproc.envoy.compile import compile_attach, compile_clusters, compile_edge, compile_listeners, compile_routes, compile_sidecar
from extproc.envoy.document import to_yaml
from extproc.envoy.forms import Form, render
from extproc.envoy.message import Plain
from extproc.envoy.places import Places, below
from tests.envoy.golden import HERE, ROOT, check
from tests.envoy.samples import SEVERAL

FORMS: tuple[Form, ...] = ("edge", "sidecar", "attach")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update", default=False))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return below(str(tmp_path), ca_file=certifi.where())


@pytest.mark.parametrize("form", FORMS)
def test_reference_output(form: Form, update: bool) -> None:
    check(ROOT / "envoy" / f"{form}.yaml", render(form, SEVERAL, Places()), update=update)


def test_top_level_file_is_the_quickstart(update: bool) -> None:
    config = load(ROOT / "examples" / "quickstart.yaml", {}).config
    assert config is not None
    check(ROOT / "envoy.yaml", render("edge", config, Places()), update=update)


@pytest.mark.parametrize(
    ("name", "compiled"),
    [
        ("edge-with-files", lambda: compile_edge(SEVERAL, Places(), files=True)),
        ("clusters", lambda: compile_clusters(SEVERAL, Places())),
        ("routes", lambda: compile_routes(SEVERAL)),
    ],
)
def test_watched_files(name: str, compiled: Callable[[], Plain], update: bool) -> None:
    check(HERE / f"{name}.yaml", to_yaml(compiled()), update=update)


@pytest.mark.parametrize("files", [False, True])
def test_mirrors_have_a_listener_of_their_own(files: bool) -> None:
    """On a socket of this user's, with the same routes; its gate alone is told by which listener a request came."""
    model = replace(SEVERAL.models[0], mirror=Mirror(to=f"{next(iter(SEVERAL.providers))}/copy"))
    config = replace(SEVERAL, models=(model, *SEVERAL.models[1:]))
    compiled = compile_edge(config, Places(), files=files)
    public, mirrors = compiled["static_resources"]["listeners"]
    (connections,) = compiled["overload_manager"]["resource_monitors"]
    assert connections["typed_config"]["max_active_downstream_connections"] == str(config.limits.concurrent_requests + 64 * config.workers)
    assert [public] == compile_edge(SEVERAL, Places(), files=files)["static_resources"]["listeners"]
    assert mirrors["address"] == {"pipe": {"path": "/run/headgate/mirror.sock", "mode": 0o600}}
    (ours,), (theirs,) = mirrors["filter_chains"], public["filter_chains"]
    assert (ours["name"], theirs.get("name")) == (names.MIRRORS, None)
    manager, other = (chain["filters"][0]["typed_config"] for chain in (ours, theirs))
    (gate,) = (one for one in manager["http_filters"] if one["name"] == names.GATE_FILTER)
    asked = gate["typed_config"].pop("request_attributes")
    assert asked == [names.FILTER_CHAIN_ATTRIBUTE]
    assert manager | {"stat_prefix": "headgate"} == other


@pytest.mark.parametrize("form", FORMS)
def test_no_credential_is_told(form: Form) -> None:
    assert "secret-of" not in render(form, SEVERAL, Places())


@pytest.mark.parametrize("compiled", [compile_edge, compile_sidecar])
def test_envoy_takes_it(compiled: Any, places: Places) -> None:
    assert validate(compiled(SEVERAL, places)) == []


def test_envoy_takes_the_files(places: Places) -> None:
    Path(names.clusters_file(places.run_dir)).write_text(to_yaml(compile_clusters(SEVERAL, places)))
    Path(names.routes_file(places.run_dir)).write_text(to_yaml(compile_routes(SEVERAL)))
    Path(names.listeners_file(places.run_dir)).write_text(to_yaml(compile_listeners(SEVERAL)))
    assert validate(compile_edge(SEVERAL, places, files=True)) == []


def test_envoy_takes_the_parts(places: Places) -> None:
    assert validate(attached(compile_attach(SEVERAL, places))) == []


def test_sidecar_is_reached_by_loopback_only() -> None:
    listener = compile_sidecar(SEVERAL, Places())["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"]["address"] == "127.0.0.1"


def test_printed_parts_are_those_compiled(places: Places) -> None:
    assert yaml.safe_load(render("attach", SEVERAL, places)) == compile_attach(SEVERAL, places)


def attached(parts: Plain) -> Plain:
    """Somebody's Envoy, with our parts pasted where the comments say."""
    api = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{api}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "theirs",
        **parts["http_connection_manager"],
        "route_config": {"name": "theirs", "virtual_hosts": [parts["virtual_host"]], "validate_clusters": parts["validate_clusters"]},
    }
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{api}.http.router.v3.Router"}}
    manager["http_filters"] = [*manager["http_filters"], router]
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"name": "theirs", "address": address, "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": parts["clusters"]}}


def test_what_the_parts_say_of_an_envoy_on_another_host(places: Places) -> None:
    def printed(network: ExtProc) -> str:
        text = render("attach", replace(SEVERAL, ext_proc=network), places)
        return " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))

    plain, secured = printed(ExtProc()), printed(ExtProc(tls=ExtProcTls(certificate="a", key="b", client_ca="c")))
    assert "access_log names a file on your Envoy's host, whose folder has to exist there." in plain
    assert "transport_socket" not in plain
    assert "belong where `transport_socket` says" in secured
