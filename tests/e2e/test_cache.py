"""The cache: the same question of the same tenant is answered once, from the memory that workers share or the Redis that gateways share.

Whatever is not a whole, good answer of the first target is never kept; whoever waits for somebody else's answer is never left waiting;
and a Redis that is slow or gone costs no more than its time-out.
"""

import asyncio
import hashlib
import itertools
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.books import collected, journaled
from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo, Scripted
from tests.servers import RedisServer

KEYS = {"alice": "wonderland", "hatter": "wonderland", "bob": "elsewhere"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MAKE = {"openai": chat, "anthropic": message}
MODELS = ("o-only", "a-only", "o-then-a")
MEMORY = 200_000
# Without certificates, which take longer to load than most requests; and a connection for each request, as most clients have.
CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))
_numbers = itertools.count()
_log = logging.getLogger(__name__)


def key(name: str) -> dict[str, str]:
    """The header with somebody's key."""
    return {"authorization": f"Bearer sk-of-{name}"}


def fresh() -> str:
    """Words that nobody has said before, not even another run on the same Redis."""
    return f"Question {time.time_ns()} {next(_numbers)}."


def zero(dialect: str, model: str, text: str, **more: Any) -> dict[str, Any]:
    """A request that is cached by default."""
    return MAKE[dialect](text, model, temperature=0, **more)


def over(gateway: Gateway, headers: Mapping[str, str]) -> None:
    """Waits until the cache has kept an answer, which it does when the client has it: a record is written when that is done."""
    gateway.until(lambda: journaled(gateway, headers["x-request-id"]), "the request is over")


def kept(gateway: Gateway, answer: httpx.Response) -> httpx.Response:
    """The answer, after the cache has kept it."""
    if answer.status_code == 200:
        over(gateway, answer.headers)
    return answer


def taken(gateway: Gateway) -> int:
    """How often it has taken a new configuration."""
    return gateway.log.read_text().count("new configuration in force")


class Site:
    """One gateway with two workers and a shared memory, or two gateways on one Redis."""

    def __init__(self, gateways: list[Gateway], document: dict[str, Any]) -> None:
        self.gateways = gateways
        self._document = document
        self._settings: dict[str, Any] = {}
        self._turns = itertools.cycle(gateways)

    def configure(self, **settings: Any) -> None:
        """Has these settings, and no others, in force everywhere."""
        if settings == self._settings:
            return
        self._settings = settings
        filters = [*self._document["filters"][:-1], {"cache": settings}]
        loaded = [taken(gateway) for gateway in self.gateways]
        for gateway in self.gateways:
            gateway.write({**self._document, "filters": filters})
        wanted = [count + 1 for count in loaded]
        self.gateways[0].until(lambda: [taken(gateway) for gateway in self.gateways] == wanted, "the settings are in force everywhere")

    def ask(
        self, dialect: str, document: Any, who: str = "alice", path: str = "", *, timeout: float = 30, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Asks the next gateway; `document` may be bytes."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = {"content-type": "application/json", **key(who), **(headers or {})}
        gateway = next(self._turns)
        answer = CLIENT.post(gateway.url + (path or PATHS[dialect]), content=content, headers=sent, timeout=timeout)
        return kept(gateway, answer)

    def word(self, dialect: str, document: Any, who: str = "alice", path: str = "", headers: dict[str, str] | None = None) -> str:
        """`hit`, `miss`, `bypass`, or empty."""
        answer = self.ask(dialect, document, who, path, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.headers.get("x-headgate-cache", ""))


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    """A provider whose answers the test decides."""
    with Scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def document(openai_provider: Demo, anthropic_provider: Demo, scripted: Scripted) -> dict[str, Any]:
    """The configuration, but for where the cache is."""
    keys = [
        {"name": name, "hash": f"sha256:{hashlib.sha256(f'sk-of-{name}'.encode()).hexdigest()}", "tenant": tenant}
        for name, tenant in KEYS.items()
    ]
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1", "key": "k"},
            "a": {"dialect": "anthropic", "base_url": f"{anthropic_provider.url}/v1", "key": "k"},
            "s": {"dialect": "openai", "base_url": f"{scripted.url}/v1", "key": "k"},
        },
        "models": [
            {"name": "o-only", "targets": ["o/m"]},
            {"name": "a-only", "targets": ["a/m"]},
            {"name": "o-then-a", "targets": ["o/m", "a/m"]},
            {"name": "scripted", "targets": ["s/m"]},
        ],
        "filters": [{"meter": {}}, {"auth": {"keys": keys}}, {"route": {}}, {"headers": {}}, {"cache": {"max_bytes": MEMORY}}],
    }


@pytest.fixture(scope="module", params=["memory", "redis"])
def where(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def running(
    where: str, document: dict[str, Any], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    if where == "memory":
        with Gateway(folder(tmp_path_factory), {**document, "workers": 2}) as gateway:
            yield Site([gateway], {**document, "workers": 2})
    else:
        shared = {**document, "redis": {"url": request.getfixturevalue("redis_url"), "timeout": 2}}
        with Gateway(folder(tmp_path_factory), shared) as one, Gateway(folder(tmp_path_factory), shared) as other:
            yield Site([one, other], shared)


@pytest.fixture
def site(running: Site) -> Site:
    """The gateways, with the cache's default settings."""
    running.configure()
    return running


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("model", MODELS)
def test_a_miss_then_hits_everywhere(site: Site, openai_provider: Demo, anthropic_provider: Demo, dialect: str, model: str) -> None:
    question = zero(dialect, model, fresh())
    answers = [site.ask(dialect, question) for _ in range(6)]
    assert [answer.headers["x-headgate-cache"] for answer in answers] == ["miss", *["hit"] * 5]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {answer.headers["content-type"] for answer in answers} == {answers[0].headers["content-type"]}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 6
    assert all(0 <= int(answer.headers["age"]) < 30 for answer in answers[1:])
    assert "age" not in answers[0].headers
    assert len(openai_provider.requests()) + len(anthropic_provider.requests()) == 1


def test_only_what_should_not_vary_is_cached_by_default(site: Site, openai_provider: Demo) -> None:
    for settings in ({}, {"temperature": 0.2}, {"temperature": 1}, {"temperature": None}):
        question = chat(fresh(), "o-only", **settings)
        assert [site.word("openai", question) for _ in range(2)] == ["", ""]
    assert len(openai_provider.requests()) == 8
    site.configure(deterministic_only=False)
    for settings in ({}, {"temperature": 0.7}):
        question = chat(fresh(), "o-only", **settings)
        assert [site.word("openai", question) for _ in range(2)] == ["miss", "hit"]


def test_embeddings_are_cached(site: Site, openai_provider: Demo) -> None:
    question = {"model": "o-only", "input": fresh()}
    answers = [site.ask("openai", question, path="/v1/embeddings") for _ in range(2)]
    assert [answer.headers["x-headgate-cache"] for answer in answers] == ["miss", "hit"]
    assert answers[0].json()["data"] == answers[1].json()["data"]
    assert site.word("openai", {**question, "dimensions": 8}, path="/v1/embeddings") == "miss"
    assert len(openai_provider.requests()) == 2


def test_an_answer_is_forgotten_after_its_time(site: Site) -> None:
    site.configure(ttl=3)
    question = zero("openai", "o-only", fresh())
    began = time.monotonic()
    assert [site.word("openai", question) for _ in range(2)] == ["miss", "hit"]
    site.gateways[0].until(lambda: site.word("openai", question) == "miss", "it is forgotten")
    assert time.monotonic() - began >= 3


@pytest.mark.parametrize("stream", [False, True])
def test_tenants_never_share(site: Site, openai_provider: Demo, stream: bool) -> None:
    question = zero("openai", "o-only", fresh(), stream=stream)
    callers = ("alice", "hatter", "bob", "bob", "alice")
    assert [site.word("openai", question, who) for who in callers] == ["miss", "hit", "miss", "hit", "hit"]
    assert len(openai_provider.requests()) == 2


def test_what_makes_another_question(site: Site) -> None:
    question = {**zero("anthropic", "a-only", fresh()), "metadata": {"user_id": "u"}, "top_k": 5}
    version = {"anthropic-version": "2023-06-01"}
    assert site.word("anthropic", question, headers=version) == "miss"
    turned = json.dumps(dict(reversed(question.items())), indent=3).encode()
    assert turned.index(b"top_k") < turned.index(b"model")
    assert site.word("anthropic", turned, headers={**version, "user-agent": "another", "accept-language": "fr"}) == "hit"
    documents = [
        {**question, "top_k": 6},
        {**question, "metadata": {"user_id": "v"}},
        {**question, "unknown": None},
        {**question, "messages": [*question["messages"], {"role": "assistant", "content": "Well,"}]},
        {**question, "model": "o-only"},
    ]
    headers = [{"anthropic-version": "2023-01-01"}, {"anthropic-beta": "x"}, {"x-headgate-strict": "true"}, {"x-use-cache": "0"}]
    others: list[dict[str, Any]] = [
        *({"document": one, "headers": version} for one in documents),
        *({"document": question, "headers": {**version, **one}} for one in headers),
        {"document": question, "headers": version, "path": "/v1/messages?beta=true"},
    ]
    for asked in others:
        assert [site.word("anthropic", **asked) for _ in range(2)] == ["miss", "hit"], asked
    # The same bytes, valid in both dialects.
    both = zero("anthropic", "o-only", fresh())
    assert [site.word(dialect, both) for dialect in ("openai", "anthropic", "openai")] == ["miss", "miss", "hit"]


def test_other_targets_are_another_question(site: Site, document: dict[str, Any]) -> None:
    question = zero("openai", "o-only", fresh())
    assert [site.word("openai", question) for _ in range(2)] == ["miss", "hit"]
    (gateway, *_) = site.gateways
    models = [{**model, "targets": ["o/other"]} if model["name"] == "o-only" else model for model in document["models"]]
    elsewhere = Site([gateway], {**site._document, "models": models})
    elsewhere.configure(ttl=3599)
    assert [elsewhere.word("openai", question) for _ in range(2)] == ["miss", "hit"]
    back = Site([gateway], site._document)
    back.configure(ttl=3598)
    assert back.word("openai", question) == "hit"
    back.configure()


@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_openai_streams_are_replayed_to_the_byte(site: Site, openai_provider: Demo, model: str, include_usage: bool) -> None:
    question = zero("openai", model, fresh(), stream=True, **({"stream_options": {"include_usage": True}} if include_usage else {}))
    first, second = site.ask("openai", question), site.ask("openai", question)
    assert [first.headers["x-headgate-cache"], second.headers["x-headgate-cache"]] == ["miss", "hit"]
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.content.endswith(b"data: [DONE]\n\n")
    with openai_sdk(site.gateways[0].url, "sk-of-alice") as client:
        chunks = list(client.chat.completions.create(**question))
    assert "Question" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].choices or include_usage
    assert (chunks[-1].usage is not None) == include_usage
    assert len(openai_provider.requests()) == (model != "a-only")


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_streams_are_replayed_to_the_byte(site: Site, anthropic_provider: Demo, model: str) -> None:
    question = message(fresh(), model)
    first, second = (site.ask("anthropic", {**question, "stream": True, "temperature": 0}) for _ in range(2))
    assert [first.headers["x-headgate-cache"], second.headers["x-headgate-cache"]] == ["miss", "hit"]
    assert second.content == first.content
    finals = []
    for gateway, word in ((site.gateways[0], "miss"), (site.gateways[-1], "hit")):
        with (
            anthropic_sdk(gateway.url, None, auth_token="sk-of-alice") as client,
            # The SDK has no parameter for the temperature any more.
            client.messages.stream(**question, extra_body={"temperature": 0}) as stream,
        ):
            assert stream.response.headers["x-headgate-cache"] == word
            assert "Question" in "".join(stream.text_stream)
            finals.append(stream.get_final_message())
            over(gateway, stream.response.headers)
    assert finals[0] == finals[1]
    assert finals[1].stop_reason == "end_turn"
    assert finals[1].usage.output_tokens > 0
    assert len(anthropic_provider.requests()) == (2 if model == "a-only" else 0)


def twice(site: Site, questions: list[tuple[str, dict[str, Any]]]) -> None:
    """Asks each question, and once more; nothing of the first answer may have been kept."""

    def one(asked: tuple[str, dict[str, Any]]) -> None:
        dialect, question = asked
        for _ in range(2):
            headers = {**key("alice"), "anthropic-version": "2023-06-01"}
            try:
                with CLIENT.stream("POST", site.gateways[-1].url + PATHS[dialect], json=question, headers=headers) as answer:
                    assert answer.headers.get("x-headgate-cache", "miss") == "miss"
                    answer.read()
            except httpx.RemoteProtocolError:
                continue

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(one, questions))


def test_what_broke_off_is_never_kept(site: Site, openai_provider: Demo, anthropic_provider: Demo) -> None:
    ways = itertools.product(PATHS, MODELS, ("break=3", "close=3", "error=3"))
    twice(site, [(dialect, zero(dialect, model, f"{fresh()} [demo: {how}]", stream=True)) for dialect, model, how in ways])
    # More where Envoy saw the break before the client saw anything: then the next target is asked.
    assert len(openai_provider.requests()) + len(anthropic_provider.requests()) >= 36


def test_a_whole_body_that_is_none_is_never_kept(site: Site, openai_provider: Demo, anthropic_provider: Demo) -> None:
    ways = itertools.product(PATHS, MODELS[:2], ("break", "close", "malformed"))
    twice(site, [(dialect, zero(dialect, model, f"{fresh()} [demo: {how}]")) for dialect, model, how in ways])
    assert len(openai_provider.requests()) + len(anthropic_provider.requests()) == 24


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_that_its_client_left_is_never_kept(site: Site, openai_provider: Demo, anthropic_provider: Demo, model: str) -> None:
    provider = anthropic_provider if model == "a-only" else openai_provider
    question = zero("openai", model, f"{fresh()} [demo: tokens=25 gap=0.02]", stream=True)
    with CLIENT.stream("POST", site.gateways[0].url + PATHS["openai"], json=question, headers=key("alice")) as answer:
        next(answer.iter_bytes())
    site.gateways[0].until(lambda: provider.open()["hung_up"], "the provider was told")
    assert [site.word("openai", question) for _ in range(2)] == ["miss", "hit"]
    assert len(provider.requests()) == 2


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_errors_are_never_kept(site: Site, openai_provider: Demo, status: int) -> None:
    for stream in (False, True):
        question = zero("openai", "o-only", f"{fresh()} [demo: status={status}]", stream=stream)
        answers = [site.ask("openai", question) for _ in range(2)]
        assert [(answer.status_code, answer.headers["x-headgate-cache"]) for answer in answers] == [(status, "miss")] * 2
    assert len(openai_provider.requests()) == 4


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_s_answer_is_not_kept(site: Site, openai_provider: Demo, anthropic_provider: Demo, stream: bool) -> None:
    question = zero("openai", "o-then-a", f"{fresh()} [demo@openai: status=503]", stream=stream)
    assert [site.word("openai", question) for _ in range(2)] == ["miss", "miss"]
    assert len(anthropic_provider.requests()) == len(openai_provider.requests()) == 2
    site.configure(keep_fallbacks=True)
    assert [site.word("openai", question) for _ in range(2)] == ["miss", "hit"]
    assert len(anthropic_provider.requests()) == len(openai_provider.requests()) == 3


def test_cache_control(site: Site, openai_provider: Demo) -> None:
    question = zero("openai", "o-only", fresh())
    assert site.word("openai", question, headers={"cache-control": "no-store"}) == "bypass"
    first = site.ask("openai", question, headers={"cache-control": "no-cache"})
    again = site.ask("openai", question, headers={"cache-control": "No-Cache, max-age=10"})
    assert [first.headers["x-headgate-cache"], again.headers["x-headgate-cache"]] == ["miss", "miss"]
    found = site.ask("openai", question, headers={"cache-control": "max-age=60"})
    assert found.headers["x-headgate-cache"] == "hit"
    assert found.json()["id"] == again.json()["id"] != first.json()["id"]
    assert site.word("openai", question, headers={"cache-control": "no-store"}) == "bypass"
    assert len(openai_provider.requests()) == 4
    site.gateways[0].until(lambda: int(site.ask("openai", question).headers["age"]) >= 4, "it is old enough")
    assert site.word("openai", question, headers={"cache-control": "max-age=3"}) == "miss"
    assert site.word("openai", question, headers={"cache-control": "max-age=3"}) == "hit"
    assert len(openai_provider.requests()) == 5


def test_a_large_answer_is_not_kept(site: Site, openai_provider: Demo) -> None:
    site.configure(max_entry=4000)
    for stream, tokens, expected in ((False, 100, "hit"), (False, 1000, "miss"), (True, 2, "hit"), (True, 100, "miss")):
        question = zero("openai", "o-only", f"{fresh()} [demo: tokens={tokens}]", stream=stream)
        assert [site.word("openai", question) for _ in range(2)] == ["miss", expected]
    assert len(openai_provider.requests()) == 6


def test_hits_are_metered_as_such(site: Site, openai_provider: Demo) -> None:
    for gateway, stream in ((site.gateways[0], False), (site.gateways[-1], True)):
        question = zero("openai", "o-only", f"{fresh()} [demo: tokens=33]", stream=stream)
        answers = [kept(gateway, CLIENT.post(gateway.url + PATHS["openai"], json=question, headers=key("hatter"))) for _ in range(2)]
        ids = [answer.headers["x-request-id"] for answer in answers]
        found = collected(gateway, ids)
        miss, hit = (found[id] for id in ids)
        assert (miss["cache"], miss["attempts"], miss["output"]) == ("miss", 1, 33)
        assert (hit["cache"], hit["attempts"], hit["input"], hit["output"], hit["cost"]) == ("hit", 0, 0, 0, "0")
        assert (hit["saved_input"], hit["saved_output"]) == (miss["input"], 33)
        assert (hit["key"], hit["tenant"], hit["outcome"], hit["status"]) == ("hatter", "wonderland", "complete", 200)
        assert (hit["provider"], hit["target"], hit["answered"]) == (miss["provider"], miss["target"], miss["answered"])


# Single flight.


def together(site: Site, question: dict[str, Any], count: int, dialect: str = "openai") -> list[httpx.Response]:
    """The same question, asked by many at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: site.ask(dialect, question), range(count)))


@pytest.mark.parametrize("model", MODELS)
def test_twenty_who_ask_at_once_are_one_to_the_provider(site: Site, openai_provider: Demo, anthropic_provider: Demo, model: str) -> None:
    question = zero("openai", model, f"{fresh()} [demo: delay=0.6]")
    answers = together(site, question, 20)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert sorted(answer.headers["x-headgate-cache"] for answer in answers) == ["hit"] * 19 + ["miss"]
    assert len({answer.content for answer in answers}) == 1
    assert len(openai_provider.requests()) + len(anthropic_provider.requests()) == 1


def test_streams_do_not_wait_for_each_other(site: Site, openai_provider: Demo) -> None:
    question = zero("openai", "o-only", f"{fresh()} [demo: delay=0.6]", stream=True)
    assert {answer.headers["x-headgate-cache"] for answer in together(site, question, 4)} == {"miss"}
    assert len(openai_provider.requests()) == 4


class Stage:
    """A script for the provider: the first to ask waits for `go`, and then fares as it is said; all others are answered at once."""

    def __init__(self, scripted: Scripted, first: Callable[[web.Request], web.StreamResponse] | None = None) -> None:
        self.asked = 0
        self.go = threading.Event()
        self._first = first
        scripted.handler = self._answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.asked == 1:
            while not self.go.is_set():
                await asyncio.sleep(0.01)
            if self._first is not None:
                return self._first(request)
        choice = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        return web.json_response({"id": f"c{self.asked}", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


def wait_in_line(site: Site, pool: ThreadPoolExecutor, question: Any, stage: Stage, count: int) -> "list[Future[httpx.Response]]":
    """Callers who wait, after somebody has the lead: they do not ask the provider."""
    site.gateways[0].until(lambda: stage.asked == 1, "the leader is at the provider")
    waiters = [pool.submit(site.ask, "openai", question) for _ in range(count)]
    # Somebody else's question, sent after theirs and answered, shows that theirs were on their way.
    for _ in range(2 * len(site.gateways)):
        assert site.word("openai", zero("openai", "o-only", fresh())) == "miss"
    assert stage.asked == 1
    return waiters


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def test_the_leader_hangs_up(site: Site, scripted: Scripted, pool: ThreadPoolExecutor) -> None:
    stage = Stage(scripted)
    question = zero("openai", "scripted", fresh())
    leader = pool.submit(site.ask, "openai", question, timeout=3.0)
    waiters = wait_in_line(site, pool, question, stage, 6)
    with pytest.raises(httpx.ReadTimeout):
        leader.result(30)
    answers = [waiter.result(30) for waiter in waiters]
    stage.go.set()
    assert [answer.status_code for answer in answers] == [200] * 6


def refuse(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "no"}}, status=500)


def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("fail", [refuse, cut])
def test_the_leader_s_provider_fails(
    site: Site, scripted: Scripted, pool: ThreadPoolExecutor, fail: Callable[[web.Request], web.StreamResponse]
) -> None:
    stage = Stage(scripted, fail)
    question = zero("openai", "scripted", fresh())
    leader = pool.submit(site.ask, "openai", question)
    waiters = wait_in_line(site, pool, question, stage, 6)
    stage.go.set()
    assert leader.result(30).status_code >= 500
    assert [waiter.result(30).status_code for waiter in waiters] == [200] * 6
    assert site.word("openai", question) == "hit"


def test_nobody_waits_longer_than_the_bound(site: Site, scripted: Scripted, pool: ThreadPoolExecutor) -> None:
    site.configure(wait=0.5)
    stage = Stage(scripted)
    question = zero("openai", "scripted", fresh())
    leader = pool.submit(site.ask, "openai", question)
    site.gateways[0].until(lambda: stage.asked == 1, "the leader is at the provider")
    began = time.monotonic()
    answer = site.ask("openai", question)
    took = time.monotonic() - began
    stage.go.set()
    assert (answer.status_code, answer.headers["x-headgate-cache"]) == (200, "miss")
    assert took > 0.45
    assert leader.result(30).status_code == 200


def test_the_leader_s_worker_is_killed(site: Site, where: str, scripted: Scripted, pool: ThreadPoolExecutor) -> None:
    # Shared memory knows of the death at once; a Redis does not, so those who wait there wait as long as they may.
    longest = 25 if where == "memory" else 3
    site.configure(wait=longest)
    stage = Stage(scripted)
    question = zero("openai", "scripted", fresh())
    leader = pool.submit(site.ask, "openai", question)
    waiters = wait_in_line(site, pool, question, stage, 8)
    victims = [(gateway, pid) for gateway in site.gateways for pid in gateway.workers()]
    began = time.monotonic()
    for gateway, pid in victims:
        # Which worker leads is nobody's business, so they are killed one after the other until the leader is dead.
        os.kill(pid, signal.SIGKILL)
        until_replaced(gateway, pid, len(victims) // len(site.gateways))
        # Those who ask now wait, too, while the leader lives.
        waiters += [pool.submit(site.ask, "openai", question) for _ in range(2)]
        if leader.done() or _done_soon(leader):
            break
    assert leader.result(0).status_code == 500
    answers = [waiter.result(30) for waiter in waiters]
    took = time.monotonic() - began
    stage.go.set()
    assert {answer.status_code for answer in answers} <= {200, 500}
    assert sum(answer.status_code == 200 for answer in answers) >= 2
    assert where != "memory" or took < longest
    assert site.word("openai", question) == "hit"


def until_replaced(gateway: Gateway, pid: int, workers: int) -> None:
    """Waits until a killed worker is gone, and there are as many as before."""
    gateway.until(lambda: pid not in gateway.workers() and len(gateway.workers()) == workers, "there is a new worker")


def _done_soon(future: "Future[httpx.Response]") -> bool:
    try:
        future.result(0.5)
    except TimeoutError:
        return False
    return True


# One store alone.


@pytest.mark.parametrize("where", ["memory"], indirect=True, scope="module")
def test_what_was_used_least_recently_goes_first(site: Site) -> None:
    questions = [zero("openai", "o-only", f"{fresh()} [demo: tokens=6500]") for _ in range(4)]
    first, second, third, fourth = questions
    assert MEMORY / 4 < len(site.ask("openai", first).content) < MEMORY / 3 - 2000
    assert [site.word("openai", question) for question in (second, third)] == ["miss", "miss"]
    assert [site.word("openai", question) for question in (first, second, third, first)] == ["hit"] * 4
    assert site.word("openai", fourth) == "miss"
    assert [site.word("openai", question) for question in (first, third, fourth)] == ["hit"] * 3
    assert site.word("openai", second) == "miss"


TIMEOUT = 0.25
SLACK = 5.0
"""Seconds that a request takes besides, on a busy machine."""


@pytest.fixture
def on_redis(own_redis: RedisServer, document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway on a Redis of its own."""
    shared = {**document, "redis": {"url": own_redis.url, "timeout": TIMEOUT}}
    with Gateway(folder(tmp_path_factory), shared) as gateway:
        yield Site([gateway], shared)


def test_a_redis_that_is_stopped_or_gone_costs_its_time_out_at_most(on_redis: Site, own_redis: RedisServer) -> None:
    def timed(question: dict[str, Any]) -> tuple[str, float]:
        began = time.monotonic()
        return on_redis.word("openai", question), time.monotonic() - began

    kept = zero("openai", "o-only", fresh())
    assert [on_redis.word("openai", kept) for _ in range(2)] == ["miss", "hit"]
    for trouble, relief in ((own_redis.pause, own_redis.resume), (own_redis.kill, own_redis.start)):
        trouble()
        results = [timed(zero("openai", "o-only", fresh())) for _ in range(8)]
        results.append(timed(kept))
        with ThreadPoolExecutor(8) as threads:
            results += threads.map(timed, [zero("openai", "o-only", fresh()) for _ in range(16)])
        assert {word for word, _ in results} == {"miss"}
        slowest = max(took for _, took in results)
        _log.info("after %s, the slowest took %.3f s", trouble.__name__, slowest)
        # Without the time-out it would be as long as the Redis stays away.
        assert slowest < TIMEOUT + SLACK
        relief()
        # It is used again as soon as it has answered.
        on_redis.gateways[0].until(lambda: "hit" in [on_redis.word("openai", kept) for _ in range(2)], "the cache is back")
