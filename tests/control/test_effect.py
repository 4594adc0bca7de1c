"""Whatever stands in Envoy's bootstrap takes effect with an upgrade, and is told so."""

from typing import Any

import pytest
from msgspec.structs import replace

from extproc.config.access_log import AccessLog
from extproc.config.certificates import ListenerTls, Sds
from extproc.config.fleet import Fleet
from extproc.config.fragments import Fragments
from extproc.config.listeners import Api, Listener
from extproc.config.mirror import Mirror
from extproc.config.model import Config, Limits
from extproc.control.effect import IN_BOOTSTRAP, needs_restart
from extproc.envoy.compile import compile_edge
from extproc.envoy.fleet import compile_xds
from extproc.envoy.places import Places
from tests.envoy.samples import SEVERAL

MIB = 1024 * 1024
MIRRORED = (replace(SEVERAL.models[0], mirror=Mirror(to="demo/demo")), *SEVERAL.models[1:])


CHANGES: list[dict[str, Any]] = [
    {"limits": Limits(request_body=MIB)},
    {"limits": Limits(request_body=100 * MIB)},
    {"limits": Limits(response_body=100 * MIB)},
    {"limits": Limits(request_headers=100)},
    {"limits": Limits(concurrent_requests=100)},
    {"listener": Listener(address="0.0.0.0", port=9999)},
    {"workers": 3},
    {"models": MIRRORED},
    {"models": SEVERAL.models[1:]},
    {"api": Api(listener=True)},
    {"drain": 30.0},
    {"access_log": AccessLog()},
    {"envoy_threads": 3},
    {"envoy": Fragments(tracing={"random_sampling": {"value": 1}})},
    {"envoy": Fragments(bootstrap={"stats_flush_interval": "5s"})},
    {"listener": Listener(tls=ListenerTls(sds=Sds(socket="/run/sds.sock", certificate="own")))},
]


@pytest.mark.parametrize("changes", CHANGES, ids=repr)
def test_told_if_envoy_has_to_be_another(changes: dict[str, Any]) -> None:
    changed: Config = replace(SEVERAL, **changes)
    other = compile_edge(SEVERAL, Places(), files=True) != compile_edge(changed, Places(), files=True)
    assert bool(needs_restart(SEVERAL, changed)) or not other


@pytest.mark.parametrize("changes", CHANGES, ids=repr)
def test_in_a_fleet_what_the_control_plane_tells_waits_for_nothing_here(changes: dict[str, Any]) -> None:
    fleet = Fleet()
    changed: Config = replace(SEVERAL, **changes)
    other = compile_xds(SEVERAL, fleet, Places()) != compile_xds(changed, fleet, Places())
    found = needs_restart(SEVERAL, changed, told=True)
    assert any(name in IN_BOOTSTRAP for name in found) or not other
    assert not {"listener", "access_log", "envoy_threads", "envoy.tracing"} & set(found)
