from extproc.config.model import Config, Limits, Model, Provider, Timeouts
from extproc.envoy import names
from extproc.envoy.routes import virtual_host


def config(*timeouts: Timeouts) -> Config:
    providers = {f"p{index}": Provider(dialect="openai", base_url="demo:", timeouts=one) for index, one in enumerate(timeouts)}
    return Config(providers=providers, models=(Model(name="*", targets=("p0",)),), limits=Limits(request_body=1234))


def test_a_route_for_every_silence_before_those_of_the_undecided() -> None:
    host = virtual_host(config(Timeouts(first_byte=5, idle=200), Timeouts(first_byte=5, idle=30), Timeouts(first_byte=30, idle=1)))
    assert [route["name"] for route in host["routes"]] == ["silence-30", "silence-200", "upgrade", "json", "other"]
    assert host["routes"][0]["route"]["retry_policy"]["per_try_idle_timeout"] == "30s"
    assert host["routes"][0]["match"]["dynamic_metadata"][0]["value"]["string_match"]["exact"] == names.idle_key(
        [Timeouts(first_byte=5, idle=30)]
    )


def test_no_clock_for_the_whole_answer_and_no_retry_unless_told() -> None:
    for route in virtual_host(config(Timeouts()))["routes"]:
        assert route["route"]["timeout"] == "0s"
        assert route["route"]["retry_policy"]["num_retries"] == 0
        assert "retry_on" not in route["route"]["retry_policy"]
        assert route["route"]["retry_policy"]["refresh_cluster_on_retry"] is True


def test_nobody_answers_what_the_gate_gave_no_target() -> None:
    for route in virtual_host(config(Timeouts()))["routes"]:
        specifier = route["route"]["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
        clusters = [one["cluster_name"] for group in specifier["priority_groups"] for one in group["clusters"]]
        assert clusters == [names.NO_TARGET_CLUSTER]
        assert specifier["override_metadata_namespace"] == names.TARGETS_NAMESPACE


def test_only_json_is_held_for_the_gate() -> None:
    *_, upgrade, json, other = virtual_host(config(Timeouts()))["routes"]
    assert "typed_per_filter_config" not in json
    for route in (upgrade, other):
        assert "request_body_mode" not in route["typed_per_filter_config"][names.GATE_FILTER]["overrides"]["processing_mode"]


def test_a_websocket_may_be_silent_for_long() -> None:
    idle = {route["name"]: route["route"].get("idle_timeout") for route in virtual_host(config(Timeouts(idle=120)))["routes"]}
    assert idle == {"silence-120": "180s", "upgrade": "3600s", "json": None, "other": None}


def test_limit_of_the_body() -> None:
    assert int(virtual_host(config(Timeouts()))["request_body_buffer_limit"]) == 1234
