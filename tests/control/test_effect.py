"""Whatever stands in Envoy's bootstrap takes effect with an upgrade, and is told so."""

from typing import Any

import pytest
from msgspec.structs import replace

from extproc.config.listeners import Api, Listener
from extproc.config.mirror import Mirror
from extproc.config.model import Config, Limits
from extproc.control.effect import needs_restart
from extproc.envoy.compile import compile_edge
from extproc.envoy.places import Places
from tests.envoy.samples import SEVERAL

MIB = 1024 * 1024
MIRRORED = (replace(SEVERAL.models[0], mirror=Mirror(to="demo/demo")), *SEVERAL.models[1:])


@pytest.mark.parametrize(
    "changes",
    [
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
    ],
    ids=repr,
)
def test_told_if_envoy_has_to_be_another(changes: dict[str, Any]) -> None:
    changed: Config = replace(SEVERAL, **changes)
    other = compile_edge(SEVERAL, Places(), files=True) != compile_edge(changed, Places(), files=True)
    assert bool(needs_restart(SEVERAL, changed)) or not other
