"""The way out: certificates of providers and for providers, and a proxy in front of everybody else."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import trustme
from aiohttp import web

from extproc.demo.app import build_app
from tests.callers.signer import claims, public, token
from tests.e2e.certified import Folder, expired, pair
from tests.e2e.forward import ForwardProxy
from tests.e2e.gateway import Gateway, chat
from tests.e2e.upstream import Demo, Upstream

USER = "gate:p@ss word"
ISSUER = "https://keys.test"


class Secure(Upstream):
    """A provider with TLS, and whatever asks for certificates."""

    def __init__(self, app: web.Application, context: ssl.SSLContext) -> None:
        super().__init__(app)
        self._context = context

    async def _start(self) -> None:
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context).start()


def server(issued: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Outside(NamedTuple):
    """A gateway that gets out by a proxy, and who is out there."""

    gateway: Gateway
    proxy: ForwardProxy
    second: ForwardProxy
    folder: Folder
    clients: trustme.CA

    def ask(self, model: str, **headers: str) -> httpx.Response:
        url = f"{self.gateway.url}/v1/chat/completions"
        own = {"authorization": f"Bearer {token(claims(iss=ISSUER, sub='alice'), kid='first')}"}
        return httpx.post(url, json=chat("Hello", model=model), headers=own | headers, timeout=20, verify=False)


async def keys(_: web.Request) -> web.Response:
    return web.Response(body=msgspec.json.encode({"keys": [public("p256", "first")]}))


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, openai_provider: Demo) -> Iterator[Outside]:
    base: Path = tmp_path_factory.mktemp("outside")
    world, private, clients = trustme.CA(), trustme.CA(), trustme.CA()
    for name, authority in (("world", world), ("private", private)):
        authority.cert_pem.write_to_path(base / f"{name}.pem")
    folder = Folder(base / "shown")
    # Of somebody whom the provider does not know.
    folder.put(**pair(trustme.CA().issue_cert("gateway.test")))
    strict = server(private.issue_cert("private.test"), clients)
    plain = server(world.issue_cert("public.test"))
    late = server(expired(world, "late.test"))
    keyed = web.Application()
    keyed.router.add_get("/jwks", keys)
    inner = [Secure(build_app(inspect=True), context) for context in (strict, plain, late)]
    inner.append(Secure(keyed, server(world.issue_cert("keys.test"))))
    hosts = {f"{name}.test:443": one.port for name, one in zip(("private", "public", "late", "keys"), inner, strict=True)}
    hosts["other.test:443"] = inner[1].port
    proxy = ForwardProxy(hosts, USER)
    second = ForwardProxy(hosts, context=server(world.issue_cert("127.0.0.1")))
    environ = {"OUT_PROXY": out(proxy), "SSL_CERT_FILE": str(base / "world.pem")}
    with contextlib.ExitStack() as stack:
        for one in inner:
            stack.enter_context(one)
        for way in (proxy, second):
            stack.enter_context(way)
        running = stack.enter_context(Gateway(base, config(proxy, second, openai_provider), environ))
        yield Outside(running, proxy, second, folder, clients)


def out(proxy: ForwardProxy) -> str:
    return f"http://gate:p%40ss%20word@127.0.0.1:{proxy.port}"


def config(proxy: ForwardProxy, second: ForwardProxy, here: Demo) -> dict[str, Any]:
    shown = {"ca_file": "private.pem", "client_certificate": "shown/tls.crt", "client_key": "shown/tls.key"}
    hosts: dict[str, dict[str, Any]] = {
        "private": {**shown, "health": {"path": "/v1/models", "every": 1}}, "public": {}, "late": {}, "other": {}, "nowhere": {},
    }  # fmt: skip
    section = {"dialect": "openai"}
    providers = {name: {**section, "key": f"sk-{name}", "base_url": f"https://{name}.test/v1", **more} for name, more in hosts.items()}
    providers["unknown"] = {**providers["private"], "base_url": "https://private.test/v1"}
    for key in ("client_certificate", "client_key", "health"):
        del providers["unknown"][key]
    providers["second"] = {**providers["public"], "proxy": f"https://127.0.0.1:{second.port}"}
    providers["here"] = {"dialect": "openai", "base_url": f"{here.url}/v1", "key": "sk-here"}
    models = [{"name": name, "targets": [f"{name}/demo"]} for name in providers]
    models.append({"name": "then", "targets": ["nowhere/demo", "late/demo", "public/demo"]})
    return {
        "egress": {"proxy": "env:OUT_PROXY", "ca_file": "world.pem"},
        "callers": {"jwt": [{"issuer": ISSUER, "audiences": ["gateway"], "jwks_url": f"{ISSUER}/jwks"}]},
        "providers": providers,
        "models": models,
    }


def test_providers_are_reached_by_the_proxy_which_looks_their_names_up(outside: Outside) -> None:
    """No name of these can be resolved here."""
    assert outside.ask("public").status_code == 200
    assert "CONNECT public.test:443" in outside.proxy.asked and outside.second.asked == []
    # With targets that fail before.
    assert outside.ask("then").status_code == 200
    assert "CONNECT nowhere.test:443" in outside.proxy.asked


def test_who_is_on_this_machine_needs_no_proxy(outside: Outside, openai_provider: Demo) -> None:
    before = len(outside.proxy.asked)
    assert outside.ask("here").status_code == 200
    assert len(openai_provider.requests()) == 1
    assert not any("127.0.0.1" in asked for asked in outside.proxy.asked[before:])


def test_a_provider_may_have_a_proxy_of_its_own_and_tls_to_it(outside: Outside) -> None:
    assert outside.ask("second").status_code == 200
    assert outside.second.asked == ["CONNECT public.test:443"]


def test_a_certificate_is_for_the_name_that_was_asked_for_and_in_its_time(outside: Outside) -> None:
    for model in ("other", "late"):
        assert outside.ask(model).status_code in (502, 503)
        assert f"CONNECT {model}.test:443" in outside.proxy.asked


def test_a_provider_is_shown_a_certificate_and_has_an_authority_of_its_own(outside: Outside) -> None:
    # It lets in nobody without one, nor with this one.
    for model in ("unknown", "private"):
        assert outside.ask(model).status_code in (502, 503)
    outside.folder.put(**pair(outside.clients.issue_cert("gateway.test")))
    outside.gateway.until(lambda: outside.ask("private").status_code == 200, "the renewed one is shown")


def test_the_control_process_goes_the_same_way(outside: Outside) -> None:
    assert "CONNECT keys.test:443" in outside.proxy.asked
    metric = 'ai_proxy_provider_healthy{provider="private"}'
    outside.gateway.until(lambda: outside.gateway.metrics().get(metric) == 1, "the provider's health has been checked")


def test_the_password_is_in_no_log(outside: Outside) -> None:
    outside.gateway.ledger(requests=1)
    for path in (outside.gateway.log, *(path for path in outside.gateway.state.rglob("*") if path.is_file() and path.suffix != ".yaml")):
        assert b"ss word" not in path.read_bytes() and b"p%40ss" not in path.read_bytes(), path


def test_a_proxy_that_is_taken_out_is_used_no_more(outside: Outside, openai_provider: Demo) -> None:
    """Without another start: as all that is said of providers."""
    whole = config(outside.proxy, outside.second, openai_provider)
    whole["egress"] = {"proxy": f"https://127.0.0.1:{outside.second.port}", "ca_file": "world.pem"}
    before = len(outside.second.asked)
    outside.gateway.write(whole)
    outside.gateway.until(lambda: "new configuration in force" in outside.gateway.log.read_text(), "it has been read")
    assert outside.ask("public").status_code == 200
    outside.gateway.until(lambda: len(outside.second.asked) > before, "the other proxy is asked")
