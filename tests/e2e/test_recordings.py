"""What real providers said once, said again through the gateway to the official SDKs: nothing is lost between any two dialects.

Text, tool calls, reasoning, the reason for the end and every counted token reach the client, streamed or not and however a stream is
cut; and the ledger holds what the provider counted, also where the client's dialect has no field for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx
import msgspec
import openai
import pytest
from anthropic.types import Message
from msgspec import Struct
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from extproc.usage import Usage
from tests.dialects import traffic
from tests.dialects.traffic import Exchange, data
from tests.e2e.books import collected
from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.replay import (
    Said,
    anthropic_message,
    counted,
    cuts,
    openai_answer,
    openai_chunks,
    play,
    play_cut,
    said,
)
from tests.e2e.upstream import Scripted

ONE = {"openai": "to-o", "anthropic": "to-a"}
SEVERAL = {"openai": "o-then-a", "anthropic": "a-then-o"}
CLIENTS = ["openai", "anthropic"]

TRANSLATED, ANSWERS, STREAMS = (
    [exchange for exchange in exchanges if exchange.dialect in ONE] for exchanges in (traffic.TRANSLATED, traffic.ANSWERS, traffic.STREAMS)
)

# What a stop means to a client of the other dialect. A message that calls a tool has stopped for that, whatever the provider says.
TO_ANTHROPIC = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
TO_OPENAI = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "pause_turn": "stop",
    "refusal": "content_filter",
}  # fmt: skip

Due = dict[str, tuple[str, Usage]]
"""By request id: the recording, and what the ledger is to hold of it."""


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Scripted]]:
    """A provider of each dialect, to be told what to say."""
    with Scripted() as o, Scripted() as a:
        yield {"openai": o, "anthropic": a}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Scripted]) -> Iterator[Gateway]:
    """A gateway without a cache: every recording is to come from its provider."""
    config = {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{providers['openai'].url}/v1", "key": "sk-o"},
            "a": {"dialect": "anthropic", "base_url": f"{providers['anthropic'].url}/v1", "key": "sk-a"},
        },
        "models": [
            {"name": "to-o", "targets": ["o/some-gpt"]},
            {"name": "to-a", "targets": ["a/some-claude"]},
            {"name": "o-then-a", "targets": ["o/some-gpt", "a/some-claude"]},
            {"name": "a-then-o", "targets": ["a/some-claude", "o/some-gpt"]},
        ],
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


class Sdks(Struct):
    """The official clients, at the gateway."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic

    def ask(self, client: str, exchange: Exchange, model: str, *, stream: bool) -> tuple[str, Said]:
        """The request's id, and what the SDK makes of the answer."""
        options = body(exchange, client, model, stream=stream)
        return (self._openai if client == "openai" else self._anthropic)(options, stream, translated=client != exchange.dialect)

    def _openai(self, options: dict[str, Any], stream: bool, *, translated: bool) -> tuple[str, Said]:
        raw: Any = self.openai.chat.completions.with_raw_response.create(**options, stream=stream)
        id = str(raw.headers["x-request-id"])
        if stream:
            chunks = [chunk.model_dump(exclude_unset=True) for chunk in raw.parse()]
            # The SDK itself lets anything pass. What we make ourselves has to be right; of providers, we pass on what they say.
            for chunk in chunks if translated else ():
                ChatCompletionChunk.model_validate(chunk)
            return id, openai_chunks(chunks)
        answer = raw.parse().model_dump(exclude_unset=True)
        if translated:
            ChatCompletion.model_validate(answer)
        return id, openai_answer(answer)

    def _anthropic(self, options: dict[str, Any], stream: bool, *, translated: bool) -> tuple[str, Said]:
        if stream:
            with self.anthropic.messages.stream(**options) as events:
                message, headers = events.get_final_message(), events.response.headers
        else:
            raw = self.anthropic.messages.with_raw_response.create(**options)
            message, headers = raw.parse(), raw.headers
        answer = message.model_dump(exclude_unset=True, by_alias=True)
        if translated:
            Message.model_validate(answer)
        return str(headers["x-request-id"]), anthropic_message(answer)


@pytest.fixture(scope="module")
def sdks(gateway: Gateway) -> Iterator[Sdks]:
    """Both SDKs. Nothing is tried twice, so that what fails is seen."""
    with (
        openai_sdk(gateway.url) as o,
        anthropic_sdk(gateway.url, timeout=20) as a,
    ):
        yield Sdks(o, a)


@contextmanager
def about(exchange: Exchange) -> Iterator[None]:
    """Says which recording it was that something went wrong with."""
    try:
        yield
    except Exception as error:
        error.add_note(f"with the recording {exchange.name}")
        raise


def body(exchange: Exchange, client: str, model: str, *, stream: bool) -> dict[str, Any]:
    """The recorded request, if the client speaks its dialect; else a simple one."""
    if exchange.dialect == client:
        rest = {name: value for name, value in exchange.request.items() if name not in ("model", "messages", "stream", "max_tokens")}
        known = {name: exchange.request[name] for name in ("messages", "max_tokens") if name in exchange.request}
        options = {"model": model, **known, "extra_body": rest}
    else:
        options = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4096}
    if stream and client == "openai":
        options["stream_options"] = {"include_usage": True}
    return options


def check(exchange: Exchange, client: str, got: Said) -> None:
    """The client has understood what the provider said."""
    sent = said(exchange)
    assert got.text == sent.text
    assert got.calls == sent.calls
    assert got.reasoning == sent.reasoning
    if client == exchange.dialect:
        assert got.stop == sent.stop
    elif client == "anthropic":
        assert got.stop == ("tool_use" if sent.calls else TO_ANTHROPIC[sent.stop])
    else:
        assert got.stop == TO_OPENAI[sent.stop]
    due = counted(exchange.dialect, sent.usage)
    if client == exchange.dialect:
        assert got.usage == sent.usage
    elif client == "openai":
        # It has no field for how long a cache is kept.
        assert counted("openai", got.usage) == msgspec.structs.replace(due, cache_write_1h=0)
        assert got.usage["total_tokens"] == due.total
    else:
        assert counted("anthropic", got.usage) == due


def check_ledger(gateway: Gateway, due: Due) -> None:
    """Every token that the providers counted is in the books, and nothing of it is a guess."""
    assert due
    books = collected(gateway, due)
    for id, (name, usage) in due.items():
        entry = books[id]
        told = (entry["outcome"], entry["status"], entry["estimated"], entry["partial"], entry["metered"])
        assert (name, told) == (name, ("complete", 200, 0, 0, 1))
        assert (name, Usage(*(entry[kind] for kind in Usage.__struct_fields__))) == (name, usage)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", CLIENTS)
def test_whole_answers(gateway: Gateway, sdks: Sdks, providers: dict[str, Scripted], provider: str, client: str) -> None:
    due: Due = {}
    for exchange in ANSWERS:
        if exchange.dialect == provider:
            providers[provider].handler = play(exchange)
            with about(exchange):
                id, got = sdks.ask(client, exchange, ONE[provider], stream=False)
                check(exchange, client, got)
            due[id] = (exchange.name, counted(provider, said(exchange).usage))
    check_ledger(gateway, due)


@pytest.mark.parametrize("models", [ONE, SEVERAL], ids=["one-target", "several-targets"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", CLIENTS)
def test_streams_cut_anywhere(
    gateway: Gateway, sdks: Sdks, providers: dict[str, Scripted], provider: str, client: str, models: dict[str, str]
) -> None:
    due: Due = {}
    for exchange in STREAMS:
        if exchange.dialect != provider:
            continue
        lf = exchange.text.encode()
        crlf = lf.replace(b"\n", b"\r\n")
        for stream, places in ((lf, []), (lf, cuts(lf, 1)), (lf, cuts(lf, 2, 80)), (crlf, cuts(crlf, 3))):
            providers[provider].handler = play_cut(stream, places)
            with about(exchange):
                id, got = sdks.ask(client, exchange, models[provider], stream=True)
                check(exchange, client, got)
            due[id] = (exchange.name, counted(provider, said(exchange).usage))
    check_ledger(gateway, due)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", CLIENTS)
def test_whole_answers_with_a_second_target(
    gateway: Gateway, sdks: Sdks, providers: dict[str, Scripted], provider: str, client: str
) -> None:
    other = providers["anthropic" if provider == "openai" else "openai"]
    asked = len(other.bodies)
    due: Due = {}
    for exchange in [exchange for exchange in ANSWERS if exchange.dialect == provider][::4]:
        providers[provider].handler = play(exchange)
        with about(exchange):
            id, got = sdks.ask(client, exchange, SEVERAL[provider], stream=False)
            check(exchange, client, got)
        due[id] = (exchange.name, counted(provider, said(exchange).usage))
    check_ledger(gateway, due)
    assert len(other.bodies) == asked


@pytest.mark.parametrize("models", [ONE, SEVERAL], ids=["one-target", "several-targets"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", CLIENTS)
def test_errors(sdks: Sdks, providers: dict[str, Scripted], client: str, stream: bool, models: dict[str, str]) -> None:
    errors = [exchange for exchange in TRANSLATED if exchange.status >= 400 and exchange.dialect in CLIENTS]
    assert errors
    for exchange in errors:
        assert exchange.status == 400
        providers[exchange.dialect].handler = play(exchange)
        with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as caught:
            sdks.ask(client, exchange, models[exchange.dialect], stream=stream)
        error: Any = caught.value
        told = error.body
        assert exchange.answer["error"]["message"] in str(error)
        if client == exchange.dialect:
            assert {"error": told} == exchange.answer
        elif client == "anthropic":
            assert told["type"] == "error"
            assert told["error"] == {"type": "invalid_request_error", "message": exchange.answer["error"]["message"]}
        else:
            assert told["type"] == "invalid_request_error"


@pytest.mark.parametrize("models", [ONE, SEVERAL], ids=["one-target", "several-targets"])
@pytest.mark.parametrize("provider", CLIENTS)
def test_who_did_not_ask_for_usage_sees_none(
    gateway: Gateway, providers: dict[str, Scripted], provider: str, models: dict[str, str]
) -> None:
    due: Due = {}
    for exchange in [exchange for exchange in STREAMS if exchange.dialect == provider]:
        stream = exchange.text.encode()
        providers[provider].handler = play_cut(stream, cuts(stream, 4))
        request = {"model": models[provider], "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=request, verify=False)
        with about(exchange):
            chunks = data(answer.content)
            assert not any(chunk.get("usage") for chunk in chunks)
            assert answer.content.endswith(b"data: [DONE]\n\n")
            assert openai_chunks(chunks).text == said(exchange).text
        due[answer.headers["x-request-id"]] = (exchange.name, counted(provider, said(exchange).usage))
    check_ledger(gateway, due)
