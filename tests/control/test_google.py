"""Access tokens of Google, from a token server that stands in for Google's."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from extproc.config.model import Config, Google, Model, Provider
from extproc.control.google import Tokens, origin
from extproc.ledger.metrics import Metrics
from extproc.tokens import Tokens as Pushed
from extproc.tokens import purpose, veiled
from tests.google import TokenServer

FAILED = 'ai_proxy_provider_token_failures_total{provider="one"}'


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def of(name: str, google: Google) -> str:
    return purpose(name, veiled(google), "https://vertex.test")


def config(**providers: Google | None) -> Config:
    made = {name: Provider(dialect="gemini", base_url="https://vertex.test", google=google) for name, google in providers.items()}
    return Config(providers=made, models=(Model(name="m", targets=("one",)),))


class Workers:
    """What they were pushed."""

    def __init__(self) -> None:
        self.pushed: list[Pushed] = []
        self.news = asyncio.Event()

    async def push(self, message: bytes) -> None:
        self.pushed.append(msgspec.msgpack.decode(message, type=Pushed))
        self.news.set()

    async def until(self, text: str) -> None:
        while not any(token.text == text for tokens in self.pushed for token in tokens.values()):
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 20)


async def test_tokens_are_there_before_anybody_asks_and_are_shared(server: TokenServer) -> None:
    workers, metrics = Workers(), Metrics("1")
    tokens = Tokens(workers.push, metrics)
    google = Google(credentials=server.key_file())
    await tokens.follow(config(one=google, two=google, other=None))
    told = workers.pushed[-1]
    assert {name: token.text for name, token in told.items()} == {of("one", google): "token-1", of("two", google): "token-1"}
    assert 3500 < told[of("one", google)].until - time.time() <= 3600
    assert msgspec.msgpack.decode(tokens.message(), type=Pushed) == told
    assert b'ai_proxy_provider_token_expires_timestamp_seconds{provider="one"}' in metrics.render()
    await tokens.follow(config(one=google))
    assert (server.asked, list(workers.pushed[-1])) == (1, [of("one", google)])
    await tokens.follow(config(one=None))
    assert msgspec.msgpack.decode(tokens.message(), type=Pushed) == {}
    await tokens.close()


async def test_a_token_is_renewed_before_it_ends(server: TokenServer) -> None:
    server.lasts = 2
    workers = Workers()
    tokens = Tokens(workers.push, Metrics("1"))
    await tokens.follow(config(one=Google(credentials=server.key_file())))
    (first,) = workers.pushed[-1].values()
    await workers.until("token-2")
    assert time.time() < first.until, "the one before still counts"
    await tokens.close()


async def test_nobody_waits_for_a_token_that_is_not_to_be_had(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses = True
    workers, metrics = Workers(), Metrics("1")
    tokens = Tokens(workers.push, metrics)
    with caplog.at_level(logging.ERROR):
        await tokens.follow(config(one=Google(credentials=server.key_file())))
    assert workers.pushed == [{}]
    assert "no access token for one" in caplog.text and "Invalid JWT Signature" in caplog.text
    assert "PRIVATE KEY" not in caplog.text
    assert FAILED.encode() + b" 1.0" in metrics.render()
    server.refuses = False
    await workers.until("token-1")
    await tokens.close()


def test_where_credentials_come_from(tmp_path: Path, server: TokenServer) -> None:
    text = server.key_file()
    mail = "service_account gateway@p-1.iam.gserviceaccount.com"
    assert origin(Google(credentials=text), {}) == f"{mail}, from `credentials`"
    file = tmp_path / "sa.json"
    file.write_text(text)
    assert origin(Google(), {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}) == f"{mail}, from {file} (GOOGLE_APPLICATION_CREDENTIALS)"
    assert "metadata service" in origin(Google(), {"HOME": str(tmp_path)})
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text(json.dumps({"type": "authorized_user"}))
    assert origin(Google(), {"HOME": str(tmp_path)}).startswith("authorized_user, from ")


@pytest.mark.parametrize("text", ["", "{}", "[]", "AIza-a-key", '{"type": 1}'])
def test_what_are_no_credentials(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sa.json"
    file.write_text(text)
    for google, environ in ((Google(credentials=text), {}), (Google(), {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})):
        with pytest.raises(ValueError, match="no JSON of Google's credentials"):
            origin(google, environ)
    with pytest.raises(ValueError, match="cannot be read"):
        origin(Google(), {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "gone")})
