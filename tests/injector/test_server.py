"""The webhook over TLS: reviews, probes, hostile bodies, and certificates that change while it is asked."""

import asyncio
import io
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from extproc.injector.certificate import Certificate
from extproc.injector.cluster import Cluster
from extproc.injector.server import Injector
from extproc.injector.settings import Settings
from tests.injector.samples import POD, asked

_NAME = "headgate-injector.headgate.svc"


class Secret:
    """A Secret as a kubelet mounts it: names that lead through `..data` to the folder of one version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self._versions = 0
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(Path("..data") / name)
        self.swap()

    def swap(self) -> int:
        """The next version, by rename. Its certificate's serial number."""
        self._versions += 1
        made = self.authority.issue_cert(_NAME)
        version = self.folder / f"..version{self._versions}"
        version.mkdir()
        (version / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        (version / "tls.key").write_bytes(made.private_key_pem.bytes())
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self.folder / "..data")
        return serial(version / "tls.crt")

    def certificate(self) -> Certificate:
        return Certificate(self.folder / "tls.crt", self.folder / "tls.key")


def serial(pem: Path) -> int:
    from cryptography import x509  # noqa: PLC0415 - of tests only

    return x509.load_pem_x509_certificate(pem.read_bytes()).serial_number


def locked(pem: Path) -> bytes:
    """That key with a password, for which nobody can be asked."""
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 - of tests only

    key = form.load_pem_private_key(pem.read_bytes(), None)
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"secret"))


class Webhook:
    def __init__(self, session: aiohttp.ClientSession, place: tuple[str, int], trusting: ssl.SSLContext, log: io.StringIO) -> None:
        self._session, self.place, self._trusting, self._log = session, place, trusting, log
        self._url = f"https://{place[0]}:{place[1]}"

    async def post(self, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/json", **headers}
        async with self._session.post(f"{self._url}/mutate", data=io.BytesIO(body), headers=headers, server_hostname=_NAME) as response:
            return response.status, await response.json(content_type=None) if response.content_type == "application/json" else {}

    async def get(self, path: str) -> int:
        async with self._session.get(self._url + path, server_hostname=_NAME) as response:
            return response.status

    async def shown(self) -> int:
        """The serial number of the certificate that a new connection is shown."""
        _, writer = await asyncio.open_connection(*self.place, ssl=self._trusting, server_hostname=_NAME)
        shown = writer.get_extra_info("peercert")
        writer.close()
        await writer.wait_closed()
        return int(shown["serialNumber"], 16)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.getvalue().splitlines()]


@asynccontextmanager
async def serving(secret: Secret, certificate: Certificate, cluster: Cluster, settings: Settings | None = None) -> AsyncIterator[Webhook]:
    log = io.StringIO()
    runner = web.AppRunner(Injector(settings or Settings(), cluster, log).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context)
    await site.start()
    trusting = ssl.create_default_context(cadata=secret.authority.cert_pem.bytes().decode())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
        yield Webhook(session, ("127.0.0.1", runner.addresses[0][1]), trusting, log)
    await runner.cleanup()


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(tmp_path)


async def test_a_review(secret: Secret) -> None:
    async with serving(secret, secret.certificate(), Cluster(version=(1, 33))) as webhook:
        status, answer = await webhook.post(asked(POD, dry_run=True))
        assert status == 200
        assert answer["response"]["allowed"] is True and answer["response"]["patchType"] == "JSONPatch"
        assert (await webhook.get("/readyz"), await webhook.get("/healthz")) == (200, 200)
    (line,) = webhook.lines()
    assert (line["uid"], line["namespace"], line["name"], line["decision"], line["dry_run"]) == ("u-1", "shop", "app", "injected", True)


async def test_what_is_no_review(secret: Secret) -> None:
    async with serving(secret, secret.certificate(), Cluster(version=(1, 33))) as webhook:
        hostile = (
            b"", b"{", b"null", b"[]", b"\xff\xfe", b"{}", b'{"apiVersion": 1, "kind": []}', b"[" * 100_000, b'{"a":' * 100_000,
            asked(POD).replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"), asked(None),
        )  # fmt: skip
        for body in hostile:
            assert (await webhook.post(body))[0] == 400, body[:40]
        assert (await webhook.post(asked(POD), **{"content-type": "text/plain"}))[0] == 415
        assert (await webhook.post(b" " * (8 * 1024 * 1024 + 1)))[0] == 413
        assert await webhook.get("/mutate") == 405
        assert (await webhook.post(asked(POD)))[0] == 200
    assert [line["decision"] for line in webhook.lines()] == ["injected"]


async def test_not_ready_before_the_version_is_known(secret: Secret) -> None:
    async with serving(secret, secret.certificate(), Cluster({})) as webhook:
        assert (await webhook.get("/readyz"), await webhook.get("/healthz")) == (503, 200)
        assert (await webhook.post(asked(POD)))[0] == 503
    async with serving(secret, secret.certificate(), Cluster({}), Settings(mode="classic")) as webhook:
        assert (await webhook.get("/readyz"), (await webhook.post(asked(POD)))[0]) == (200, 200)


async def test_certificates_change_under_load(secret: Secret) -> None:
    certificate = secret.certificate()
    async with serving(secret, certificate, Cluster(version=(1, 33))) as webhook:
        answered, ending = 0, asyncio.Event()

        async def load() -> None:
            nonlocal answered
            while not ending.is_set():
                # A connection of its own each time, which is what meets a context in the midst of a change.
                assert (await webhook.post(asked(POD), connection="close"))[0] == 200
                answered += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(load())
            for _ in range(5):
                fresh, before = secret.swap(), answered
                certificate.look()
                assert await webhook.shown() == fresh
                while answered < before + 10:
                    await asyncio.sleep(0.005)
            ending.set()
        assert answered >= 50


def test_what_is_no_pair_is_told_at_the_start(secret: Secret) -> None:
    path = secret.folder / "tls.key"
    path.write_bytes(locked(path))
    with pytest.raises(ValueError, match=r"tls\.crt and .*tls\.key are no certificate and its key, in PEM and without a password"):
        secret.certificate()


async def test_what_is_no_pair_is_left(secret: Secret, tmp_path: Path) -> None:
    certificate = secret.certificate()
    async with serving(secret, certificate, Cluster(version=(1, 33))) as webhook:
        shown = await webhook.shown()
        broken: tuple[Callable[[], object], ...] = (
            lambda: (tmp_path / "..data" / "tls.key").write_bytes(locked(tmp_path / "tls.key")),
            lambda: (tmp_path / "..data" / "tls.key").write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes()),
            lambda: (tmp_path / "..data" / "tls.crt").write_bytes(b"-----BEGIN"),
            (tmp_path / "..data").unlink,
        )
        for damage in broken:
            damage()
            certificate.look()
            assert await webhook.shown() == shown
        os.symlink("..version1", tmp_path / "..data")
        fresh = secret.swap()
        certificate.look()
        assert await webhook.shown() == fresh
