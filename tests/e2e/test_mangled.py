"""Providers that answer with what is no answer, behind real Envoy: every client gets an answer or an error of its dialect, and at once.

Each provider answers as one of `CASES` has it, which stands in the question.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from aiohttp import web

from extproc.dialects import DIALECTS
from extproc.dialects.eventstream import EVENT_STREAM
from extproc.dialects.framing import split
from extproc.dialects.hub import Conversation, Error, Finish, Message, Text
from tests.dialects.test_fuzz import RECORDED, WHOLE
from tests.dialects.test_matrix import MODELS
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted
from tests.test_mangled import BREAKS, OWN_WORDS

AT_ONCE = 20.0
"""Seconds, on a machine that does much else. Whoever hangs would wait for a minute."""
AT_A_TIME = 24
LIMIT = 256 * 1024
NEVER = ("endless event", "endless body")
STALLED = "no JSON, and then nothing"
"""Here the provider keeps the connection: whoever waits for its end waits in vain."""

PATHS = {
    "openai": ("/v1/chat/completions",) * 2,
    "anthropic": ("/v1/messages",) * 2,
    "responses": ("/v1/responses",) * 2,
    "gemini": ("/v1beta/models/{}:generateContent", "/v1beta/models/{}:streamGenerateContent?alt=sse"),
    "cohere": ("/v2/chat",) * 2,
    "ollama": ("/api/chat",) * 2,
    "bedrock": ("/model/{}/converse", "/model/{}/converse-stream"),
}


class Case(NamedTuple):
    """What a provider does, asked by the client of another dialect."""

    provider: str
    how: str
    streamed: bool


CASES = [Case(name, how, streamed) for name in DIALECTS for how in ("as it is", *BREAKS, *NEVER, STALLED) for streamed in (False, True)]


def answer(case: Case) -> tuple[str, list[bytes]]:
    """Content type, and the pieces of the body."""
    if not case.streamed:
        body = msgspec.json.encode(WHOLE[case.provider][0])
        if case.how == "endless body":
            return "application/json", [body[:-1], b" " * 2 * LIMIT]
        return "application/json", [BREAKS.get(case.how, bytes)(body)]
    framing = DIALECTS[case.provider].framing
    events = split(framing, next(stream for kind, stream in RECORDED if kind == case.provider))
    if case.how in NEVER:
        begun = b"\x7f\xff\xff\xff" if framing is EVENT_STREAM else b'data: {"'
        return framing.content_type, [events[0], begun + b"x" * 2 * LIMIT]
    if case.how == STALLED:
        garbage = events[1].replace(b"{", b"!") if framing is EVENT_STREAM else b"data: {nope\n\n"
        return framing.content_type, [events[0], garbage]
    if case.how == "as it is":
        return framing.content_type, events
    return framing.content_type, [events[0], BREAKS[case.how](events[1]), *events[2:]]


async def serve(request: web.Request) -> web.StreamResponse:
    number = re.search(rb"case-(\d+)-", await request.read())
    assert number is not None
    case = CASES[int(number[1])]
    kind, pieces = answer(case)
    if not case.streamed and case.how not in NEVER:
        return web.Response(body=b"".join(pieces), headers={"content-type": kind})
    response = web.StreamResponse(headers={"content-type": kind})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # who has seen enough hangs up
        for piece in pieces:
            await response.write(piece)
        while case.streamed and case.how == STALLED and request.transport is not None:
            await asyncio.sleep(0.05)
        await response.write_eof()
    return response


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Scripted(serve) as provider:
        config = {
            "providers": {
                name: {"dialect": name, "base_url": provider.url + dialect.root, "key": f"sk-{name}"} for name, dialect in DIALECTS.items()
            },
            "models": [{"name": name, "targets": [f"{name}/{MODELS[name][0]}"]} for name in DIALECTS],
            "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}],
            "limits": {"response_body": LIMIT},
        }
        with Gateway(folder(tmp_path_factory), config) as running:
            yield running


def question(client: str, number: int) -> tuple[str, dict[str, Any]]:
    """Where and what the client asks."""
    case = CASES[number]
    asked = Conversation(dialect="hub", model=case.provider, messages=[Message(role="user", blocks=[Text(f"case-{number}-")])])
    asked.max_tokens, asked.stream = 99, case.streamed
    body = {"model": case.provider, **DIALECTS[client].write_request(asked, case.provider), "stream": case.streamed}
    if "{}" in PATHS[client][0]:
        del body["model"], body["stream"]
    return PATHS[client][case.streamed].format(case.provider), body


class Outcome(NamedTuple):
    """What a client saw."""

    id: str
    end: str
    """`answer`, `error`, or `broken off`; anything else is wrong."""
    seconds: float


async def ask(http: httpx.AsyncClient, client: str, number: int) -> Outcome:
    path, body = question(client, number)
    began = time.monotonic()
    try:
        async with http.stream("POST", path, json=body) as response:
            identifier = response.headers.get("x-request-id", "")
            end = await (told(response, client) if CASES[number].streamed and response.status_code == 200 else whole(response, client))
    except httpx.RemoteProtocolError:
        end = "broken off"
    except httpx.TimeoutException:
        end = "no end"
    return Outcome(identifier, end, time.monotonic() - began)


async def whole(response: httpx.Response, client: str) -> str:
    body = json.loads(await response.aread())
    if response.status_code == 200:
        DIALECTS[client].read_answer(body)
        return "answer"
    fault = DIALECTS[client].read_error(response.status_code, response.content)
    return "error" if "provider" in fault.message or fault.message == OWN_WORDS else fault.message


async def told(response: httpx.Response, client: str) -> str:
    """A stream, read until its end or an error, as an SDK does."""
    dialect = DIALECTS[client]
    assert response.headers["content-type"].startswith(dialect.framing.media_type)
    splitter, reader = dialect.framing.splitter(), dialect.stream_reader()
    seen = b""
    async for chunk in response.aiter_raw():
        seen += chunk
        for raw in splitter.feed(chunk):
            event = dialect.framing.parse(raw)
            for part in reader.feed(event) if event else ():
                if isinstance(part, Finish):
                    return "answer"
                if isinstance(part, Error):
                    return "error" if msgspec.json.encode(part.fault.message)[1:-1] in seen else part.fault.message
    return "answer" if isinstance(reader.end()[-1], Finish) else "silence"


async def ask_all(url: str, client: str) -> dict[Case, Outcome]:
    turns = asyncio.Semaphore(AT_A_TIME)
    outcomes: dict[Case, Outcome] = {}

    async def one(number: int) -> None:
        async with turns:
            outcomes[CASES[number]] = await ask(http, client, number)

    async with httpx.AsyncClient(base_url=url, verify=False, timeout=AT_ONCE) as http:
        await asyncio.gather(*[one(number) for number in turn(client)])
    return outcomes


def turn(client: str) -> list[int]:
    """The cases of a client: all that are about an end, and every third of the rest, which are left to another client of those."""
    first = list(DIALECTS).index(client) % 3
    others = [number for number, case in enumerate(CASES) if case.provider != client]
    return [number for number in others if CASES[number].how not in BREAKS or number % 3 == first]


@pytest.mark.parametrize("client", DIALECTS)
def test_every_client_gets_an_end(gateway: Gateway, client: str) -> None:
    outcomes = asyncio.run(ask_all(gateway.url, client))
    wrong = {case: one for case, one in outcomes.items() if one.end not in ("answer", "error", "broken off") or one.seconds > AT_ONCE}
    assert wrong == {}
    assert {case.how for case, one in outcomes.items() if one.end == "broken off"} <= set(NEVER)
    assert all(one.end == "answer" for case, one in outcomes.items() if case.how == "as it is")
    log = gateway.log.read_text()
    assert "Traceback" not in log
    for case, one in outcomes.items():
        lines = [line for line in log.splitlines() if one.id and f"request {one.id}:" in line]
        # That an answer broke off may be said once more, with the target against which it counts.
        told = [line for line in lines if " broke off: " not in line]
        assert (len(told) if told else len(lines)) == (one.end != "answer"), (case, one, lines)
        assert len(lines) - len(told) <= 1, (case, one, lines)
