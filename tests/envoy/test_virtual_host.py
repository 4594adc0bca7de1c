import re
from typing import Any

from extproc.config.model import Config, Limits, Model, Provider
from extproc.config.timeouts import Timeouts
from extproc.envoy import names
from extproc.envoy.routes import virtual_host


def config(*timeouts: Timeouts) -> Config:
    providers = {f"p{index}": Provider(dialect="openai", base_url="demo:", timeouts=one) for index, one in enumerate(timeouts)}
    return Config(providers=providers, models=(Model(name="*", targets=("p0",)),), limits=Limits(request_body=1234))


def routes(*timeouts: Timeouts) -> dict[str, Any]:
    return {route["name"]: route for route in virtual_host(config(*timeouts))["routes"]}


def said(route: dict[str, Any]) -> dict[str, Any]:
    """What the gate must have said of a request for this route."""
    return {one["path"][0]["key"]: one["value"] for one in route["match"].get("dynamic_metadata", []) if one["filter"] == names.NAMESPACE}


def test_a_route_for_every_silence_before_those_of_the_undecided() -> None:
    found = routes(Timeouts(first_byte=5, idle=200), Timeouts(first_byte=5, idle=30), Timeouts(first_byte=30, idle=1))
    assert list(found) == [
        *("silence-30-adapter", "silence-30", "silence-200-adapter", "silence-200"),
        *("websocket-adapter", "websocket", "judged-adapter", "judged", "upgrade", "json", "form", "other"),
    ]
    for name in ("silence-30-adapter", "silence-30"):
        assert found[name]["route"]["retry_policy"]["per_try_idle_timeout"] == "30.500s"
        assert said(found[name])["idle"]["string_match"]["exact"] == names.idle_key([Timeouts(first_byte=5, idle=30)])


def test_no_clock_for_the_whole_answer_and_no_retry_unless_told() -> None:
    for name, route in routes(Timeouts()).items():
        assert route["route"]["timeout"] == "0s"
        # But for the only target, where it cannot have seen the request.
        one = "cluster_header" in route["route"]
        assert route["route"]["retry_policy"]["num_retries"] == int(one)
        assert route["route"]["retry_policy"].get("retry_on") == ("connect-failure,refused-stream,reset-before-request" if one else None)
        # The next attempt goes to the next target.
        assert route["route"]["retry_policy"].get("refresh_cluster_on_retry", False) is name.endswith("-adapter")


def test_several_targets_are_read_only_where_the_adapter_translates() -> None:
    found = [route for route in routes(Timeouts()).values() if "inline_cluster_specifier_plugin" in route["route"]]
    assert len(found) == 3
    for route in found:
        specifier = route["route"]["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
        clusters = [one["cluster_name"] for group in specifier["priority_groups"] for one in group["clusters"]]
        assert clusters == [names.NO_TARGET_CLUSTER]
        assert specifier["override_metadata_namespace"] == names.TARGETS_NAMESPACE
        assert said(route)["adapter"] == {"string_match": {"exact": names.ADAPTER_ON}}
        assert names.ADAPTER_FILTER in route["typed_per_filter_config"]


def test_the_adapter_is_on_nowhere_else() -> None:
    for name, route in routes(Timeouts()).items():
        assert (names.ADAPTER_FILTER in route.get("typed_per_filter_config", {})) is name.endswith("-adapter")


def test_one_target_is_a_header_that_counts_only_once_the_gate_has_spoken() -> None:
    found = [route for route in routes(Timeouts()).values() if "cluster_header" in route["route"]]
    assert len(found) == 3
    for route in found:
        assert route["route"]["cluster_header"] == names.CLUSTER_HEADER
        assert "idle" in said(route)
    assert names.CLUSTER_HEADER in virtual_host(config(Timeouts()))["request_headers_to_remove"]


def test_nobody_answers_what_the_gate_has_not_judged() -> None:
    found = [route for route in routes(Timeouts()).values() if not said(route)]
    assert [route["name"] for route in found] == ["upgrade", "json", "form", "other"]
    assert [route["route"]["cluster"] for route in found] == [names.NO_TARGET_CLUSTER] * 4


def test_only_what_names_a_model_is_held_for_the_gate() -> None:
    *_, upgrade, json, form, other = virtual_host(config(Timeouts()))["routes"]
    assert "typed_per_filter_config" not in json
    assert "typed_per_filter_config" not in form
    matches = re.compile(form["match"]["safe_regex"]["regex"]).fullmatch
    held = (
        "/v1/audio/transcriptions",
        "/providers/p/v1/images/edits",
        "/openai/deployments/d/images/variations",
        "/openai/v1/images/edits",
    )
    assert all(map(matches, held))
    assert not any(map(matches, ("/v1/files", "/providers/p/v1/files", "/v1/images/generations", "/v1/images/edits/")))
    for route in (upgrade, other):
        assert "request_body_mode" not in route["typed_per_filter_config"][names.GATE_FILTER]["overrides"]["processing_mode"]


def test_a_websocket_may_be_silent_for_long() -> None:
    idle = {name: route["route"].get("idle_timeout") for name, route in routes(Timeouts(idle=120)).items()}
    of_both = {"silence-120": "121.500s", "websocket": "3600s", "judged": None}
    assert idle == of_both | {f"{name}-adapter": of for name, of in of_both.items()} | {
        "upgrade": "3600s",
        "json": None,
        "form": None,
        "other": None,
    }
    assert said(routes(Timeouts())["websocket"])["idle"]["string_match"]["exact"] == names.UPGRADED


def test_limit_of_the_body() -> None:
    assert int(virtual_host(config(Timeouts()))["request_body_buffer_limit"]) == 1234
