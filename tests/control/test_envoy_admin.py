"""What Envoy's admin interface says, and who asks when nobody answers."""

import tempfile
from collections.abc import Iterator

import pytest
from aiohttp import web

from extproc.control.envoy_admin import EnvoyAdmin
from extproc.envoy import names

SAYS = {
    "/ready": "LIVE\n",
    "/server_info": '{"command_line_options": {"restart_epoch": 2}, "hot_restart_version": "11.104"}',
    "circuit_breakers": """\
cluster.provider_openai.circuit_breakers.default.rq_open: 0
cluster.provider_openai~1f.circuit_breakers.default.cx_open: 1
cluster.provider_demo.circuit_breakers.default.rq_open: 0
""",
    "update_": """\
cluster_manager.cds.update_success: 3
http.headgate.rds.headgate.update_rejected: 1
""",
    "downstream_rq_active": "http.headgate.downstream_rq_active: 7\n",
    "downstream_cx_upgrades_active": "",
}
"""By what is asked: what Envoy writes."""


@pytest.fixture
def run_dir() -> Iterator[str]:
    """A folder for sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        yield folder


async def test_nobody_answers_before_there_is_an_envoy(run_dir: str) -> None:
    admin = EnvoyAdmin(run_dir)
    assert (await admin.active(), await admin.websockets(), await admin.open_breakers()) == (0, 0, {})
    with pytest.raises(ConnectionError):
        await admin.live()
    await admin.close()


async def test_what_it_says_is_read(run_dir: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=next(text for asked, text in SAYS.items() if asked in request.path_qs))

    app = web.Application()
    app.add_routes([web.get("/{path}", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, names.admin_socket(run_dir)).start()
    admin = EnvoyAdmin(run_dir)
    admin.open()
    assert await admin.live()
    assert await admin.generation() == (2, "11.104")
    # Of either address.
    assert await admin.open_breakers() == {"openai": True, "demo": False}
    assert await admin.updates() == {"cluster_manager.cds.update_success": 3, "http.headgate.rds.headgate.update_rejected": 1}
    # What it has not counted yet it does not name.
    assert (await admin.active(), await admin.websockets()) == (7, 0)
    await runner.cleanup()
    assert (await admin.active(), await admin.open_breakers()) == (0, {})
    await admin.close()
