"""`headgate catalog`: takes what is right, says what is wrong, and goes back."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from extproc.cli import main
from extproc.ledger.installed import Installed
from tests.ledger.test_installed import document

GATEWAY = """
providers: {lab: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}}
models: [{name: m, targets: [lab]}]
"""

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs the command: exit code, output and errors."""
    config = tmp_path / "gateway.yaml"
    config.write_text(GATEWAY)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["catalog", *arguments, str(config), "--state", str(tmp_path)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_update_show_and_revert(told: Told, tmp_path: Path) -> None:
    assert told("show")[1] == "no catalogue: the built-in list is in force\n"
    for day in (1, 2):
        (tmp_path / "new.json").write_bytes(document(day))
        code, out, _ = told("update", str(tmp_path / "new.json"))
        assert (code, out[:32]) == (0, f"in force: catalogue 2026-11-0{day} s")
    shown = told("show")[1]
    assert shown.startswith("in force: prices of 2026-11-02, 1 models of 1 providers\n  sha256:")
    assert "before it:\n  sha256:" in shown
    assert told("revert")[1].count("sha256:") == 2
    assert told("revert")[1].endswith("in force:\n  the built-in list\n")
    code, _, err = told("revert")
    assert (code, err) == (2, "there is no catalogue: the built-in list is in force\n")


def test_what_is_wrong_changes_nothing(told: Told, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(document(1).replace(b'"input"', b'"inptu"'))
    code, _, err = told("update", str(tmp_path / "bad.json"))
    assert code == 2
    assert "nothing has changed: $.providers.lab.models[0].prices[0].rates.inptu: there is no such kind of price" in err
    assert told("update", str(tmp_path / "nowhere.json"))[0] == 1
    code, _, err = told("update", "http://prices.example/list.json")
    assert (code, "from an https URL" in err) == (1, True)
    assert Installed(tmp_path).entries() == ()


def test_an_export_can_be_taken(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "export", "--provider", "groq", "--date", "2026-11-22"]) == 0
    (tmp_path / "groq.json").write_text(capsys.readouterr().out)
    assert json.loads((tmp_path / "groq.json").read_text())["date"] == "2026-11-22"
    assert told("update", str(tmp_path / "groq.json"))[0] == 0
    assert main(["catalog", "export", "--provider", "grok"]) == 2
    assert "no provider grok" in capsys.readouterr().err


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server with https, whose certificate is trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def large(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(40):
            await answer.write(b" " * 2**20)
        return answer

    async def good(request: web.Request) -> web.Response:
        return web.Response(body=document(3))

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:9/")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    loop, started, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.add_routes([web.get("/good", good), web.get("/large", large), web.get("/away", away)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
        ports.append(runner.addresses[0][1])
        return runner

    def run() -> None:
        runner = loop.run_until_complete(serve())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    yield f"https://localhost:{ports[0]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_from_a_url(told: Told, server: str, tmp_path: Path) -> None:
    assert told("update", f"{server}/good")[0] == 0
    (entry,) = Installed(tmp_path).entries()
    assert entry.origin == f"{server}/good"
    for path, why in (("/nothing", "says 404"), ("/large", "at most 32 MiB"), ("/away", "")):
        code, _, err = told("update", server + path)
        assert code in (1, 2)
        assert "nothing has changed" in err
        assert why in err
    assert Installed(tmp_path).entries() == (entry,)
