"""Which sidecars a cluster has: its API server is asked as a pod asks it."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from extproc.injector.cluster import Cluster, Version, has_native_sidecars, parse_version
from tests.cases import cases


@cases(("text", "version"), [
    ("1.33", (1, 33)), ("v1.29.0", (1, 29)), ("v1.30.4-gke.1348000", (1, 30)), ("v1.28.5+k3s1", (1, 28)), ("1.29-rc.1", (1, 29)),
    ("2.0", (2, 0)),
])  # fmt: skip
def test_versions(text: str, version: Version) -> None:
    assert parse_version(text) == version


@cases("text", ["", "1", "latest", "x1.2", "1.", "v.1", "1.99999"])
def test_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="no version of Kubernetes"):
        parse_version(text)


def test_native_sidecars() -> None:
    assert [has_native_sidecars(version) for version in ((1, 20), (1, 28), (1, 29), (1, 33), (2, 0))] == [False, False, True, True, True]


class ApiServer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.crt")
        (folder / "token").write_text("the-token\n")
        self.body = b""
        self.seen: list[str | None] = []
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[dict[str, str]]:
        """The environment of a pod."""

        async def version(request: web.Request) -> web.Response:
            self.seen.append(request.headers.get("authorization"))
            return web.Response(body=self.body)

        app = web.Application()
        app.router.add_get("/version", version)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        yield {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(runner.addresses[0][1])}
        await runner.cleanup()


async def test_the_api_server_is_asked_again_and_the_last_answer_stands(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)
    async with server.serving() as environ:
        cluster = Cluster(environ, tmp_path)
        for body, version in (
            (b"no json", None), (b"{}", None), (b'{"gitVersion": "new"}', None),
            (json.dumps({"gitVersion": "v1.28.3", "major": "1"}).encode(), (1, 28)),
            (b"", (1, 28)), (b'{"gitVersion": "v1.29.0"}', (1, 29)),
        ):  # fmt: skip
            server.body = body
            await cluster.ask()
            assert cluster.version == version
        (tmp_path / "token").unlink()
        await cluster.ask()
        assert server.seen == ["Bearer the-token"] * 6 + [None]
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.crt")
        stranger = Cluster(environ, tmp_path)
        await stranger.ask()
        assert stranger.version is None, "somebody else's authority"
    await cluster.ask()
    assert cluster.version == (1, 29)


async def test_outside_of_a_cluster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster({}, tmp_path)
    await cluster.ask()
    assert cluster.version is None and "--kubernetes-version" in caplog.text
    told = Cluster({}, tmp_path, version=(1, 33))
    await told.ask()
    assert told.version == (1, 33)
