"""The admin API at the callers' listener: its routes stand before all others, past the gate; without it nothing is told of it."""

from typing import Any

import msgspec

from extproc.admin import ROOTS
from extproc.config.listeners import Api
from extproc.config.model import Config, Model, Provider
from extproc.envoy import names
from extproc.envoy.api import api_clusters, api_routes
from extproc.envoy.places import below
from extproc.envoy.routes import virtual_host

PLACES = below("/run", "/ca.pem")
CONFIG = Config(
    providers={"a": Provider(dialect="openai", base_url="http://one.test/v1")}, models=(Model(name="m", targets=("a",)),)
)  # fmt: skip


def with_api(**api: Any) -> Config:
    return msgspec.structs.replace(CONFIG, api=Api(**api))


def test_routes_go_past_the_gate_and_say_from_where_the_caller_came() -> None:
    config = with_api(listener=True)
    routes = virtual_host(config)["routes"][: len(ROOTS)]
    assert [route["match"] for route in routes] == [{"path_separated_prefix": f"/api/v1/{root}"} for root in ROOTS]
    for route in routes:
        assert route["typed_per_filter_config"][names.GATE_FILTER]["disabled"]
        (address,) = route["request_headers_to_add"]
        assert address["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD" and address["header"]["key"] == names.API_ADDRESS_HEADER
    (cluster,) = api_clusters(config, PLACES)
    assert "/run/api.sock" in str(cluster)


def test_without_it_nothing_is_told() -> None:
    for config in (CONFIG, with_api(listener=True, address="off")):
        assert not api_routes(config) and not api_clusters(config, PLACES)
