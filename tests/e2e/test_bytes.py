"""Where client and provider speak the same dialect, not a byte of a body changes, however odd it looks and however long it is.

Excepted are only the model's name, where the route renames it, and `stream_options.include_usage`: forced upstream so that streams can be
counted, and the chunk that it makes taken out again for a client that did not ask. Nothing reaches a client that it cannot read.
"""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import pytest
from aiohttp import web
from openai.types import Completion

from tests.e2e.books import collected, entry
from tests.e2e.clients import openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.replay import Play, cuts, play_cut
from tests.e2e.upstream import Demo, Scripted

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
KEPT = {"openai": "gpt-x", "anthropic": "claude-x"}
DIALECTS = ["openai", "anthropic"]

MOST = 8_000_000
"""Bytes of the largest answer that is taken."""

# One target, or a second one behind it, where the attempt runs in the adapter.
WAYS = ["", "pair-"]


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Scripted]]:
    """A provider of each dialect, to be told what to say."""
    with Scripted() as o, Scripted() as a:
        yield {"openai": o, "anthropic": a}


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A provider that compresses if it is asked to."""
    with Demo() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Scripted], demo: Demo) -> Iterator[Gateway]:
    """A gateway that keeps the model's name for `gpt-*` and `claude-*`, and changes that of `renamed-*`."""
    config = {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{providers['openai'].url}/v1"},
            "a": {"dialect": "anthropic", "base_url": f"{providers['anthropic'].url}/v1"},
            "d": {"dialect": "openai", "base_url": f"{demo.url}/v1"},
        },
        "models": [
            {"name": "gpt-*", "targets": ["o"]},
            {"name": "claude-*", "targets": ["a"]},
            {"name": "pair-gpt-*", "targets": ["o", "a"]},
            {"name": "pair-claude-*", "targets": ["a", "o"]},
            {"name": "renamed-gpt-x", "targets": ["o/quite-another"]},
            {"name": "renamed-claude-x", "targets": ["a/quite-another"]},
            {"name": "pair-renamed-gpt-x", "targets": ["o/quite-another", "a"]},
            {"name": "pair-renamed-claude-x", "targets": ["a/quite-another", "o"]},
            {"name": "demo", "targets": ["d"]},
            {"name": "pair-demo", "targets": ["d", "a"]},
        ],
        "limits": {"response_body": MOST},
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


Count = Callable[..., None]


@pytest.fixture(scope="module")
def count(gateway: Gateway) -> Iterator[Count]:
    """Takes answers of which the ledger has the tokens of `answer_of` and of `STREAMS`, and knows that they are no guess.

    It follows a second later, which is waited for once, after all tests.
    """
    given: dict[str, bytes] = {}

    def take(*answers: httpx.Response) -> None:
        given.update((answer.headers["x-request-id"], answer.content[:200]) for answer in answers)

    yield take
    books = collected(gateway, given)
    for id, said in given.items():
        found = books[id]
        told = (found["input"], found["output"], found["outcome"], found["estimated"], found["partial"])
        assert told == (7, 3, "complete", 0, 0), said


def whole(body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> Play:
    """A provider that sends this body."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={"content-type": "application/json", **(headers or {})})

    return answer


def post(gateway: Gateway, dialect: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """Sends these bytes."""
    sent = {"content-type": "application/json", "anthropic-version": "2023-06-01", **(headers or {})}
    if dialect == "openai":
        del sent["anthropic-version"]
    return httpx.post(f"{gateway.url}{PATHS[dialect]}", content=body, headers=sent, timeout=30, verify=False)


def answer_of(dialect: str, text: str = "Hi") -> dict[str, Any]:
    """A whole answer, of 7 and 3 tokens."""
    if dialect == "openai":
        message = {"role": "assistant", "content": text, "refusal": None}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-x-2026"}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return {**head, "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}], "usage": usage}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x-2026", "content": [{"type": "text", "text": text}]}
    return {**head, "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 3}}


# Requests.

REQUESTS = {
    "white space": b'\r\n\t {  "model" :\n "MODEL" , \t"max_tokens"\r\n:9 , "messages" : [ { "role":"user", "content" : "Hi" } ]\n} \n\n',
    "escapes": rb'{"model":"MODEL","max_tokens":9,"messages":[{"role":"user","content":"\u00e9\ud83d\ude00 \u2028\/\b\u0000\u007F"}]}',
    "characters": '{"model":"MODEL","max_tokens":9,"messages":[{"role":"user","content":"é😀 \u2028/\u007f漢字"}]}'.encode(),
    "numbers": b'{"top_p":1.0,"max_tokens":9,"n":1,"x":[1,1.0,1e0,1.50,-0,-0.0,1E+2,123456789012345678901234567890,0.1000,5e-324],'
    b'"model":"MODEL","messages":[{"role":"user","content":"Hi"}]}',
    "twice the same key": b'{"x":1,"model":"MODEL","max_tokens":9,"x":2,"messages":[{"role":"user","role":"user","content":"Hi"}],'
    b'"x":{"y":1,"y":[]}}',
    "strange keys": rb'{"\u006dodel ":"no","":"","z":null,"max_tokens":9,"messages":[{"role":"user","content":"\"model\":\"no\""}],"a":'
    rb'{"model":"no","}":"{\\"},"model":"MODEL","B":true}',
    "depth": b'{"x":' + b'[{"model":' * 100 + b"1" + b"}]" * 100 + b',"model":"MODEL","messages":[{"role":"user","content":"Hi"}]}',
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", REQUESTS)
def test_a_request_stays_as_it_is(gateway: Gateway, providers: dict[str, Scripted], odd: str, dialect: str, way: str) -> None:
    provider, model = providers[dialect], (way + KEPT[dialect]).encode()
    provider.handler = whole(json.dumps(answer_of(dialect)).encode())
    body = REQUESTS[odd].replace(b"MODEL", model)
    assert post(gateway, dialect, body).status_code == 200
    assert provider.bodies[-1] == body
    assert provider.headers[-1]["content-length"] == str(len(body))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", REQUESTS)
def test_only_the_name_changes(gateway: Gateway, providers: dict[str, Scripted], odd: str, dialect: str, way: str) -> None:
    provider, model = providers[dialect], (f"{way}renamed-{KEPT[dialect]}").encode()
    provider.handler = whole(json.dumps(answer_of(dialect)).encode())
    assert post(gateway, dialect, REQUESTS[odd].replace(b"MODEL", model)).status_code == 200
    assert provider.bodies[-1] == REQUESTS[odd].replace(b"MODEL", b"quite-another")
    assert provider.headers[-1]["content-length"] == str(len(provider.bodies[-1]))


def test_a_name_that_is_written_strangely(gateway: Gateway, providers: dict[str, Scripted]) -> None:
    provider = providers["openai"]
    provider.handler = whole(json.dumps(answer_of("openai")).encode())
    body = rb'{"messages":[],"mod\u0065l" : "re\u006eamed-gpt-x" ,"model":"renamed-gpt-x"}'
    assert post(gateway, "openai", body).status_code == 200
    assert provider.bodies[-1] == rb'{"messages":[],"mod\u0065l" : "quite-another" ,"model":"quite-another"}'
    body = rb'{"messages":[],"mod\u0065l" : "g\u0070t-x" }'
    assert post(gateway, "openai", body).status_code == 200
    assert provider.bodies[-1] == body


OPTIONS = [
    (b'{"model":"gpt-x","stream":true,"x":[] }\n', b'{"model":"gpt-x","stream":true,"x":[],"stream_options":{"include_usage":true} }\n'),
    (
        b'{"stream_options" : null,"model":"gpt-x","stream":true}',
        b'{"stream_options" : {"include_usage":true},"model":"gpt-x","stream":true}',
    ),
    (
        b'{"stream_options":{ } , "model":"gpt-x","stream":true}',
        b'{"stream_options":{"include_usage":true } , "model":"gpt-x","stream":true}',
    ),
    (
        b'{"stream":true,"stream_options":{"include_usage" : false, "x" :1.0},"model":"gpt-x"}',
        b'{"stream":true,"stream_options":{"include_usage" : true, "x" :1.0},"model":"gpt-x"}',
    ),
    (
        b'{"stream":true,"stream_options":{ "include_usage":true },"model":"gpt-x"}',
        b'{"stream":true,"stream_options":{ "include_usage":true },"model":"gpt-x"}',
    ),
    (b'{"stream":false, "model":"gpt-x"}', b'{"stream":false, "model":"gpt-x"}'),
    (b'{"stream":null, "model":"gpt-x"}', b'{"stream":null, "model":"gpt-x"}'),
]


@pytest.mark.parametrize("way", WAYS)
def test_streams_are_made_to_tell_their_usage(gateway: Gateway, providers: dict[str, Scripted], way: str) -> None:
    provider = providers["openai"]
    provider.handler = whole(json.dumps(answer_of("openai")).encode())
    model = f"{way}gpt-x".encode()
    for sent, wanted in OPTIONS:
        assert post(gateway, "openai", sent.replace(b"gpt-x", model)).status_code == 200
        assert provider.bodies[-1] == wanted.replace(b"gpt-x", model)


# Answers.

ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "white space": lambda text: b"\r\n \t" + json.dumps(json.loads(text), indent=3).encode() + b"\n\n  ",
    "escapes": lambda text: text.replace(b"Hi", rb"\u00e9\ud83d\ude00\/ \u2028"),
    "characters": lambda text: text.replace(b"Hi", "é😀/ \u2028 漢字".encode()),
    "numbers": lambda text: text[:-1] + b',"x":[1,1.0,1e0,1.50,-0,1E+2,123456789012345678901234567890]}',
    "twice the same key": lambda text: text[:-1] + b',"x":1,"x":2,"id":"again"}',
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", ANSWERS)
def test_an_answer_stays_as_it_is(gateway: Gateway, providers: dict[str, Scripted], odd: str, dialect: str, way: str, count: Count) -> None:
    body = ANSWERS[odd](json.dumps(answer_of(dialect)).encode())
    providers[dialect].handler = whole(body)
    answer = post(gateway, dialect, json.dumps(ask(dialect, way)).encode())
    assert answer.content == body
    assert answer.headers["content-length"] == str(len(body))
    count(answer)


def ask(dialect: str, way: str = "", **more: Any) -> dict[str, Any]:
    return (chat if dialect == "openai" else message)("Hi", way + KEPT[dialect], **more)


USAGE = b'data: {"id":"1","model":"gpt-x-2026","choices" : [ ],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
STREAMS = {
    "openai": [
        b": hello\n",
        b"\n",
        b"retry: 10\nid: 7\n\n",
        b'data:{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":"H"}}],"x":1.0}\n\n',
        b'data:   {"id" : "1","choices":[{"index":0,"delta":{"content":"\\u00e9"}}],"usage":null}\n\n\n\n',
        'event: message\ndata: {"id":"1",\ndata: "choices":[{"index":0,"delta":{"content":"é😀"},"finish_reason":"stop"}]}\n\n'.encode(),
        b": a word before the end\n" + USAGE + b"\n\n",
        b"data: [DONE]\n\n",
        b": goodbye",
    ],
    "anthropic": [
        b": hello\n\n",
        b"event:message_start\n",
        b'data:{"type":"message_start","message":{"id":"msg_1","model":"claude-x-2026","usage":{"input_tokens":7,"output_tokens":1}}}\n\n',
        b'event: ping\ndata: {"type" : "ping"}\n\n\n',
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é\\u00e9😀"},"x":1.0}\n\n'.encode(),
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},\ndata: "usage":{"output_tokens":3}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"        }\n\n',
        b": goodbye",
    ],
}
ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("ends", ENDS)
def test_a_stream_stays_as_it_is(gateway: Gateway, providers: dict[str, Scripted], ends: str, dialect: str, way: str, count: Count) -> None:
    stream = b"".join(STREAMS[dialect]).replace(b"\n", ENDS[ends])
    asked = {"stream_options": {"include_usage": True}} if dialect == "openai" else {}
    body = json.dumps(ask(dialect, way, stream=True, **asked)).encode()
    answers = []
    for places in ([], cuts(stream, 1), cuts(stream, 2)):
        providers[dialect].handler = play_cut(stream, places)
        answers.append(post(gateway, dialect, body))
        assert answers[-1].content == stream
        assert providers[dialect].bodies[-1] == body
    count(*answers)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ends", ENDS)
def test_usage_that_nobody_asked_for_is_taken_out(
    gateway: Gateway, providers: dict[str, Scripted], ends: str, way: str, count: Count
) -> None:
    pieces = [piece.replace(b"\n", ENDS[ends]) for piece in STREAMS["openai"]]
    stream = b"".join(pieces)
    answers = []
    for places in ([], cuts(stream, 1), cuts(stream, 2)):
        providers["openai"].handler = play_cut(stream, places)
        answers.append(post(gateway, "openai", json.dumps(ask("openai", way, stream=True)).encode()))
        assert answers[-1].content == b"".join(piece for piece in pieces if b"prompt_tokens" not in piece)
    count(*answers)


def test_completions_of_old_tell_their_usage_too(gateway: Gateway, providers: dict[str, Scripted], count: Count) -> None:
    pieces = [b'data: {"choices":[{"index":0,"text":"Hi","finish_reason":"stop"}]}\n\n', USAGE + b"\n\n", b"data: [DONE]\n\n"]
    providers["openai"].handler = play_cut(b"".join(pieces), [])
    answer = httpx.post(f"{gateway.url}/v1/completions", json={"model": "gpt-x", "prompt": "Hi", "stream": True}, verify=False)
    assert json.loads(providers["openai"].bodies[-1])["stream_options"] == {"include_usage": True}
    assert answer.content == pieces[0] + pieces[2]
    count(answer)


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_without_its_last_word_stays_so(gateway: Gateway, providers: dict[str, Scripted], way: str, count: Count) -> None:
    """Some providers end without `[DONE]`. Nothing is added to what they say, and nothing is held against them."""
    stream = b"".join(STREAMS["openai"][:-2])
    providers["openai"].handler = play_cut(stream, [])
    answer = post(gateway, "openai", json.dumps(ask("openai", way, stream=True, stream_options={"include_usage": True})).encode())
    assert answer.content == stream
    count(answer)


COMPLETION = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "gpt-x-2026"}
OF_OLD = {
    "openai": {
        **COMPLETION,
        "choices": [{"index": 0, "text": "Hé😀", "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    },
    "anthropic": answer_of("anthropic", "Hé😀"),
}
OF_OLD_STREAMED = {
    "openai": [
        *(
            b"data: " + json.dumps({**COMPLETION, "choices": [{"index": 0, "text": text, "finish_reason": reason}]}).encode() + b"\n\n"
            for text, reason in (("Hé", None), ("😀", None), ("", "stop"))
        ),
        b"data: " + json.dumps({**COMPLETION, "choices": [], "usage": OF_OLD["openai"]["usage"]}).encode() + b"\n\n",
        b"data: [DONE]\n\n",
    ],
    "anthropic": STREAMS["anthropic"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_completions_of_old_reach_the_sdk(gateway: Gateway, providers: dict[str, Scripted], dialect: str, way: str, count: Count) -> None:
    """Whole and streamed, from a provider of OpenAI's dialect as it was told, and from one that has no such thing."""
    provider = providers[dialect]
    asked: dict[str, Any] = {"model": way + KEPT[dialect], "prompt": "Hi", "max_tokens": 9}
    with openai_sdk(gateway.url) as sdk:
        provider.handler = whole(json.dumps(OF_OLD[dialect]).encode())
        raw = sdk.completions.with_raw_response.create(**asked)
        answer = raw.parse()
        provider.handler = play_cut(b"".join(OF_OLD_STREAMED[dialect]), [])
        pieces = list(sdk.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert provider.paths[-2:] == [{"openai": "/v1/completions", "anthropic": "/v1/messages"}[dialect]] * 2
    # The SDK's type is that of a whole one, also for pieces, which have no reason to end yet.
    Completion.model_validate(answer.model_dump(exclude_unset=True))
    assert {one.object for one in (answer, *pieces)} == {"text_completion"}
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == ("Hé😀", "stop")
    *told, last = pieces
    assert "".join(piece.choices[0].text for piece in told) == {"openai": "Hé😀", "anthropic": "éé😀"}[dialect]
    assert [reason for piece in told if (reason := piece.choices[0].finish_reason)] == ["stop"]
    assert len({piece.id for piece in pieces}) == 1
    assert last.choices == []
    for usage in (answer.usage, last.usage):
        assert usage and (usage.prompt_tokens, usage.completion_tokens) == (7, 3)
    count(raw.http_response)


# Sizes.


def test_slow_readers_harm_nobody(gateway: Gateway, providers: dict[str, Scripted]) -> None:
    """Envoy has crashed over this: docs/envoy.md."""
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 500 + b'"}}]}\n\n'
    stream = piece * 5000 + USAGE + b"\n\ndata: [DONE]\n\n"
    providers["openai"].handler = play_cut(stream, list(range(0, len(stream), 200_000))[1:])
    pid = gateway.envoy()

    def read(pause: float) -> int:
        size = 0
        request = ask("openai", "pair-", stream=True, stream_options={"include_usage": True})
        with httpx.stream("POST", f"{gateway.url}{PATHS['openai']}", json=request, timeout=30, verify=False) as answer:
            for chunk in answer.iter_raw(65_536):
                size += len(chunk)
                time.sleep(pause)
        return size

    with ThreadPoolExecutor(8) as readers:
        assert list(readers.map(read, [0.0, 0.005, 0.01, 0.015] * 2)) == [len(stream)] * 8
    assert gateway.envoy() == pid


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["", "renamed-"])
@pytest.mark.parametrize("size", [400_000, 5_000_000])
def test_long_bodies(gateway: Gateway, providers: dict[str, Scripted], size: int, name: str, dialect: str, way: str, count: Count) -> None:
    text = ("é😀 lorem " * (size // 13))[: size - size // 13 * 4]
    told = json.dumps(answer_of(dialect, text), ensure_ascii=False).encode()
    providers[dialect].handler = whole(told)
    request = {**ask(dialect), "model": f"{way}{name}{KEPT[dialect]}", "x": text}
    body = json.dumps(request, ensure_ascii=False).encode()
    assert len(told) > size * 0.9
    answer = post(gateway, dialect, body)
    assert answer.content == told
    wanted = body.replace(request["model"].encode(), b"quite-another") if name else body
    assert providers[dialect].bodies[-1] == wanted
    assert providers[dialect].headers[-1]["content-length"] == str(len(wanted))
    if "content-length" in answer.headers:
        assert answer.headers["content-length"] == str(len(told))
    count(answer)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [10, 400_000, 5_000_000])
def test_bodies_without_a_length(gateway: Gateway, providers: dict[str, Scripted], size: int, dialect: str, way: str, count: Count) -> None:
    told = json.dumps(answer_of(dialect, "x" * size)).encode()
    body = json.dumps({**ask(dialect, way), "x": "y" * size}).encode()
    providers[dialect].handler = play_whole(told, list(range(0, len(told), 65_536))[1:])
    answer = post(gateway, dialect, iter([body[:3], body[3:7], body[7:]]))
    assert answer.content == told
    assert providers[dialect].bodies[-1] == body
    assert providers[dialect].headers[-1]["content-length"] == str(len(body))
    assert "transfer-encoding" not in providers[dialect].headers[-1]
    count(answer)


def play_whole(body: bytes, places: list[int], headers: dict[str, str] | None = None) -> Play:
    """A provider that sends a body in pieces, and does not say how long it is."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json", **(headers or {})})
        await response.prepare(request)
        for begin, end in pairwise([0, *places, len(body)]):
            await response.write(body[begin:end])
        await response.write_eof()
        return response

    return answer


# Compression.


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_nobody_is_asked_to_compress(gateway: Gateway, demo: Demo, stream: bool, client: str, way: str) -> None:
    demo.reset()
    body = json.dumps({**ask(client, stream=stream), "model": f"{way}demo"}).encode()
    answer = post(gateway, client, body, {"accept-encoding": "gzip, deflate, br, zstd"})
    assert "content-encoding" not in answer.headers
    assert "Hi" in answer.text
    (asked,) = demo.requests()
    assert "accept-encoding" not in dict(asked["headers"])
    assert entry(gateway, answer.headers["x-request-id"])["output"] > 0


PACKED = {"gzip": lambda body: gzip.compress(body[:20]) + gzip.compress(body[20:]), "deflate": zlib.compress, "x-gzip": gzip.compress}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("provider", DIALECTS)
@pytest.mark.parametrize("encoding", PACKED)
def test_a_provider_that_compresses_unasked(
    gateway: Gateway, providers: dict[str, Scripted], encoding: str, provider: str, client: str, way: str, count: Count
) -> None:
    told = json.dumps(answer_of(provider)).encode()
    packed = PACKED[encoding](told)
    answers = []
    for handler in (whole(packed, {"content-encoding": encoding}), play_whole(packed, [1, 9, 30], {"content-encoding": encoding})):
        providers[provider].handler = handler
        answer = post(gateway, client, json.dumps({**ask(client), "model": way + KEPT[provider]}).encode())
        assert "content-encoding" not in answer.headers
        said = answer.json()
        assert (said["choices"][0]["message"]["content"] if client == "openai" else said["content"][0]["text"]) == "Hi"
        assert client != provider or answer.content == told
        answers.append(answer)
    count(*answers)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("provider", DIALECTS)
def test_a_stream_that_is_compressed_unasked(
    gateway: Gateway, providers: dict[str, Scripted], provider: str, client: str, way: str, count: Count
) -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in STREAMS[provider]] + [packer.flush()]
    packed = b"".join(pieces)
    asked = {"stream_options": {"include_usage": True}} if client == "openai" else {}
    answers = []
    for places in ([sum(map(len, pieces[:count])) for count in range(1, len(pieces))], cuts(packed, 1)):
        providers[provider].handler = play_cut(packed, places, {"content-encoding": "gzip"})
        answer = post(gateway, client, json.dumps({**ask(client, stream=True), **asked, "model": way + KEPT[provider]}).encode())
        assert "content-encoding" not in answer.headers
        assert "é" in answer.text
        assert client != provider or answer.content == b"".join(STREAMS[provider])
        answers.append(answer)
    count(*answers)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("provider", DIALECTS)
def test_an_error_that_is_compressed_unasked(
    gateway: Gateway, providers: dict[str, Scripted], provider: str, client: str, way: str
) -> None:
    error = {"type": "invalid_request_error", "message": "no such thing"}
    body = json.dumps({"error": error} if provider == "openai" else {"type": "error", "error": error}).encode()
    providers[provider].handler = whole(gzip.compress(body), {"content-encoding": "gzip"}, 400)
    answer = post(gateway, client, json.dumps({**ask(client), "model": way + KEPT[provider]}).encode())
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "no such thing"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("status", [200, 400])
def test_a_compression_that_nobody_can_undo(gateway: Gateway, providers: dict[str, Scripted], status: int, client: str, way: str) -> None:
    for provider in providers.values():
        provider.handler = whole(b"\x1b\x02\x00\xf8\xffnot to be read", {"content-encoding": "br"}, status)
    answer = post(gateway, client, json.dumps({**ask(client), "model": f"{way}gpt-x"}).encode())
    assert answer.status_code == (502 if status == 200 else 400)
    assert "content-encoding" not in answer.headers
    error = answer.json()["error"]
    assert "compressed" in error["message"]
    found = entry(gateway, answer.headers["x-request-id"])
    assert (found["outcome"], found["status"]) == ("error", answer.status_code)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", DIALECTS)
def test_a_small_answer_that_unpacks_to_a_large_one(gateway: Gateway, providers: dict[str, Scripted], client: str, way: str) -> None:
    packed = gzip.compress(json.dumps(answer_of("openai", "x" * MOST)).encode())
    # The next target is asked, which gives as much.
    providers["openai"].handler = whole(packed, {"content-encoding": "gzip"})
    providers["anthropic"].handler = whole(
        gzip.compress(json.dumps(answer_of("anthropic", "x" * MOST)).encode()), {"content-encoding": "gzip"}
    )
    answer = post(gateway, client, json.dumps({**ask(client), "model": f"{way}gpt-x"}).encode())
    assert answer.status_code == 502
    assert f"more than {MOST} bytes" in answer.json()["error"]["message"]
    assert entry(gateway, answer.headers["x-request-id"])["status"] == 502
