"""Whatever is killed, new requests are answered, nobody gets in without a key, and every request at a provider is in the ledger once.

SIGKILL of a worker under load, of Envoy, and of the control process. The providers keep the ids of all requests that reached them.
"""

import asyncio
import hashlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
import pytest
from aiohttp import web

from extproc.demo.app import build_app
from extproc.errors import GONE
from tests.e2e.books import Entry, entries, when
from tests.e2e.conftest import folder
from tests.e2e.gateway import BRIDGED, Gateway, chat, message
from tests.e2e.upstream import Upstream

KEY = "sk-of-alice"
KEYED = {"authorization": f"Bearer {KEY}"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MAKE = {"openai": chat, "anthropic": message}
INTRUDER = "intruder"
SHORT = "Short [demo: tokens=9]"
HELD = "held"
"""In what is asked: the provider answers when it is told."""
_log = logging.getLogger(__name__)


class Counted(Upstream):
    """The demo provider, with the ids of all that ever reached it."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.intruders = 0
        self.held = 0
        self.go = threading.Event()

        @web.middleware
        async def count(request: web.Request, handler: Any) -> web.StreamResponse:
            self.ids.append(request.headers["x-request-id"])
            body = await request.read()
            self.intruders += INTRUDER.encode() in body
            if HELD.encode() in body:
                self.held += 1
                while not self.go.is_set():
                    await asyncio.sleep(0.01)
            answer: web.StreamResponse = await handler(request)
            return answer

        app = build_app()
        app.middlewares.insert(0, count)
        super().__init__(app)


class Asked:
    """One request, as its client saw it."""

    def __init__(self, dialect: str, model: str, stream: bool) -> None:
        self.dialect, self.model, self.stream = dialect, model, stream
        self.began = time.monotonic()
        self.ended = 0.0
        self.status = 0
        self.id = ""
        self.headers: httpx.Headers = httpx.Headers()
        self.text = ""
        self.broken = False
        self.hung_up = False

    def send(self, client: httpx.Client, base: str, text: str, headers: dict[str, str], stop: threading.Event | None = None) -> Self:
        """Sends it, and reads the answer to its end, whichever end that is; hangs up on `stop`."""
        document = MAKE[self.dialect](text, self.model, stream=self.stream)
        try:
            with client.stream("POST", base + PATHS[self.dialect], json=document, headers=headers, timeout=30) as answer:
                self.status, self.headers, self.id = answer.status_code, answer.headers, answer.headers["x-request-id"]
                for piece in answer.iter_text():
                    self.text += piece
                    if stop is not None and stop.is_set():
                        self.hung_up = True
                        break
        except httpx.HTTPError:
            self.broken = True
        self.ended = time.monotonic()
        return self

    def words(self) -> int:
        """Words of the demo provider that arrived."""
        return self.text.count("word")


class Load:
    """Callers in threads of their own: `steady` ones send short requests one after another, from `with` to its end."""

    def __init__(self, gateway: Gateway, steady: int, intruders: int = 0) -> None:
        self.asked: list[Asked] = []
        self.refused: list[Asked] = []
        self.long: list[Asked] = []
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._steady, args=(number,), daemon=True) for number in range(steady)]
        self._threads += [threading.Thread(target=self._intrude, args=(number,), daemon=True) for number in range(intruders)]

    def __enter__(self) -> Self:
        for thread in list(self._threads):
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.finish()

    def finish(self) -> None:
        """No new requests, and no more of long streams; waits for whole answers that are under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(35)
            assert not thread.is_alive()

    def begin(self, dialect: str, model: str, text: str, *, stream: bool) -> None:
        """Begins one long request."""
        asked = Asked(dialect, model, stream)
        self.long.append(asked)

        def run() -> None:
            with httpx.Client(verify=False) as client:
                asked.send(client, self._gateway.url, text, KEYED, self._stop)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _steady(self, number: int) -> None:
        dialect, model = tuple(PATHS)[number % 2], ("o-only", "a-only", "o-then-a")[number % 3]
        with httpx.Client(verify=False) as client:
            while not self._stop.is_set():
                self.asked.append(Asked(dialect, model, stream=number % 4 == 3).send(client, self._gateway.url, SHORT, KEYED))
                self._stop.wait(0.02)

    def _intrude(self, number: int) -> None:
        keys: list[dict[str, str]] = [{}, {"authorization": "Bearer sk-of-bob"}, {"x-api-key": KEY[:-1]}]
        with httpx.Client(verify=False) as client:
            while not self._stop.is_set():
                asked = Asked(tuple(PATHS)[number % 2], "o-only", stream=False)
                self.refused.append(asked.send(client, self._gateway.url, INTRUDER, keys[len(self.refused) % 3]))
                self._stop.wait(0.02)

    def since(self, moment: float) -> list[Asked]:
        """Short requests that were answered and had been sent after that moment."""
        return [asked for asked in list(self.asked) if asked.began > moment]


@pytest.fixture
def providers() -> Iterator[tuple[Counted, Counted]]:
    with Counted() as o, Counted() as a:
        yield o, a


@pytest.fixture(params=[1, 2])
def workers(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: tuple[Counted, Counted], workers: int) -> Iterator[Gateway]:
    with Gateway(folder(tmp_path_factory), document(providers, workers)) as running:
        yield running


def document(providers: tuple[Counted, Counted], workers: int) -> dict[str, Any]:
    key = {"name": "alice", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{providers[0].url}/v1", "key": "k"},
            "a": {"dialect": "anthropic", "base_url": f"{providers[1].url}/v1", "key": "k"},
        },
        "models": [
            {"name": "o-only", "targets": ["o/m"]},
            {"name": "a-only", "targets": ["a/m"]},
            {"name": "o-then-a", "targets": ["o/m", "a/m"]},
        ],
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}, {"cache": {}}],
        "workers": workers,
    }


class Killed(NamedTuple):
    """When somebody was killed: somewhere between these moments, which a busy machine may hold apart."""

    before: float
    after: float


def flow(gateway: Gateway, load: Load) -> None:
    """Returns when requests are answered, by each worker."""
    # Envoy gives a worker that has just begun nothing before it has asked whether it is well, and for up to a second after that: it learns
    # of all that changes within one (`update_merge_window`) at once.
    gateway.until(lambda: gateway.left_out() == 0, "each worker is well")
    before = gateway.dealt()
    gateway.until(lambda: all(now > then for now, then in zip(gateway.dealt(), before, strict=True)), "each worker is given requests")
    gateway.until(lambda: len(load.asked) > 50 and len(load.refused) > 5, "the load flows")


def kill(pid: int) -> Killed:
    """SIGKILL."""
    before = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return Killed(before, time.monotonic())


def check_books(gateway: Gateway, providers: tuple[Counted, Counted]) -> dict[str, Entry]:
    """Each request that reached a provider has its entry, and there are no others, but those that a kill met on their way there."""
    reached = [id for provider in providers for id in provider.ids]
    assert len(reached) == len(set(reached)), "a provider was asked twice"
    found = when(gateway, lambda found: set(reached) <= found.keys(), "all that reached a provider is in the ledger")
    for id in found.keys() - set(reached):
        # It had been sent on its way, and nobody who lives can know how far it came.
        assert found[id]["outcome"] in ("client_closed", "killed")
        assert (found[id]["partial"], found[id]["input"], found[id]["output"]) == (1, 0, 0)
    return found


def check_failure(asked: Asked) -> None:
    """A failure in the client's dialect, with the request's id."""
    assert asked.status == 500
    body = json.loads(asked.text)
    assert asked.id
    if asked.dialect == "openai":
        assert body["error"]["message"]
        assert body["error"]["code"] == "gateway_error"
    else:
        assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", "api_error", asked.id)
    assert "grpc" not in asked.text.lower()


# Twice, so that of two workers each has some, however Envoy deals them out.
LONG = [(dialect, model) for dialect in PATHS for model in ("o-only", "a-only", "o-then-a")] * 2


def test_a_worker_is_killed_under_load(gateway: Gateway, providers: tuple[Counted, Counted], workers: int) -> None:
    with Load(gateway, steady=8, intruders=2) as load:
        flow(gateway, load)
        for dialect, model in LONG:
            load.begin(dialect, model, "Long [demo: tokens=4000 gap=0.04]", stream=True)
            load.begin(dialect, model, HELD, stream=False)
        streams = [asked for asked in load.long if asked.stream]
        gateway.until(lambda: all(asked.words() > 20 for asked in streams), "all streams flow")
        gateway.until(lambda: sum(provider.held for provider in providers) == len(LONG), "all others are at a provider")
        seen = {id(asked): asked.words() for asked in streams}
        # Long after a worker has told Envoy of what was seen by now, which it does four times a second.
        gateway.until(lambda: all(asked.words() > seen[id(asked)] + 25 for asked in streams), "all streams flow on")
        killed = kill(gateway.workers()[0])
        gateway.until(lambda: len(load.since(killed.after)) >= 100, "requests are answered again")
        gateway.until(lambda: len(gateway.workers()) == workers, "the worker is back")
        for provider in providers:
            provider.go.set()
        gateway.until(lambda: all(asked.ended for asked in load.long if not asked.stream), "the whole answers are there")
        if workers == 1:
            gateway.until(lambda: all(asked.ended for asked in streams), "the streams have ended")
        flowing = {id(asked): asked.words() for asked in streams if not asked.ended}
        # One that is cut may end only now.
        gateway.until(
            lambda: all(asked.ended or asked.words() > flowing[id(asked)] for asked in streams if id(asked) in flowing),
            "the other worker's streams flow on",
        )
    check_new(load.since(killed.after), killed)
    cut = [asked for asked in streams if not asked.hung_up]
    lost = [asked for asked in load.long if not asked.stream and asked.status != 200]
    assert all(asked.ended > killed.before for asked in [*cut, *lost])
    for asked in lost:
        check_failure(asked)
    assert len(lost) + len(cut) == len(load.long) if workers == 1 else 0 < len(lost) + len(cut) < len(load.long)
    _log.info("%d workers: streams end after %.2f s", workers, max((asked.ended - killed.before for asked in cut), default=0))
    # Of the short requests, those that the worker had in hand, and no others.
    check_in_hand(load.asked, [killed])
    check_intruders(load, providers)
    found = check_books(gateway, providers)
    for asked in [*lost, *cut]:
        check_killed(found[asked.id], asked, seen.get(id(asked), 0))
        # The worker that dies may be the one that runs the attempt, while the gate's lives to tell.
        assert found[asked.id]["witness"] == "envoy" or (workers > 1 and asked.model == "o-then-a")
    rescued = {id for id, entry in found.items() if entry["witness"] == "envoy"}
    assert rescued <= {asked.id for asked in [*lost, *cut, *load.asked]}
    assert all(found[id]["outcome"] == "killed" for id in rescued)


def check_new(answered: list[Asked], killed: Killed) -> None:
    """Every request that was sent after the kill was answered as if nothing had happened, only later; see `check_in_hand` for others."""
    failed = [asked for asked in answered if (asked.status != 200 or asked.broken) and asked.ended - asked.began <= BRIDGED]
    assert not failed, [(asked.status, asked.text) for asked in failed]
    first = min(asked.ended for asked in answered) - killed.before
    slowest = max(asked.ended - asked.began for asked in answered)
    _log.info("%d requests after the kill: the first answered after %.2f s, the slowest took %.2f s", len(answered), first, slowest)


def check_in_hand(short: list[Asked], kills: list[Killed]) -> None:
    """A request that was not answered was in a worker's hands when that was killed: an error, or a truncation if it had begun. Or it has
    waited for the next one for as long as Envoy lets it, which a busy machine may not start in that time.
    """
    for asked in short:
        if asked.status != 200 or asked.broken:
            in_hand = any(asked.began < killed.after and killed.before < asked.ended for killed in kills)
            times = [(round(asked.began - killed.before, 4), round(asked.ended - killed.before, 4)) for killed in kills]
            assert in_hand or asked.ended - asked.began > BRIDGED, (asked.status, asked.text, times)
        if asked.status != 200:
            check_failure(asked)


def check_intruders(load: Load, providers: tuple[Counted, Counted]) -> None:
    """Nobody without a key got anything, at any time."""
    assert {401} <= {asked.status for asked in load.refused} <= {401, 500}
    assert not [asked for asked in load.refused if asked.broken]
    assert all(provider.intruders == 0 for provider in providers)


def check_killed(entry: Entry, asked: Asked, words: int) -> None:
    """What Envoy's log makes of a request whose worker died: at least with those `words`, seen long before, and with no more than came."""
    assert (entry["outcome"], entry["partial"], entry["key"]) == ("killed", 1, "alice")
    assert (entry["provider"], entry["attempts"], entry["status"]) == (asked.model[0], 1, asked.status)
    if asked.stream:
        # ` word12` is seven bytes, and a token is taken for four.
        assert words * 1.5 <= entry["output"] <= asked.words() * 2 + 2
        assert entry["input"] > 0
        assert entry["estimated"]
    else:
        assert entry["output"] == 0


@pytest.mark.parametrize("workers", [1], indirect=True)
def test_a_worker_is_killed_again_and_again(gateway: Gateway, providers: tuple[Counted, Counted]) -> None:
    with Load(gateway, steady=4, intruders=1) as load:
        flow(gateway, load)
        kills: list[Killed] = []
        for _ in range(5):
            (victim,) = gateway.workers()
            kills.append(kill(victim))
            gateway.until(lambda: len(load.since(kills[-1].after)) >= 20, "requests are answered again")
    check_in_hand(load.asked, kills)
    check_intruders(load, providers)
    check_books(gateway, providers)
    waits = [min(asked.ended for asked in load.since(killed.after)) - killed.before for killed in kills]
    _log.info("a new worker after %s s", ", ".join(f"{wait:.2f}" for wait in waits))


@pytest.mark.parametrize("workers", [2], indirect=True)
def test_envoy_is_killed(gateway: Gateway, providers: tuple[Counted, Counted]) -> None:
    with Load(gateway, steady=4, intruders=1) as load:
        for dialect, model in LONG:
            load.begin(dialect, model, "Long [demo: tokens=4000 gap=0.02]", stream=True)
        gateway.until(lambda: all(asked.words() > 20 for asked in load.long), "all streams flow")
        seen = {id(asked): asked.words() for asked in load.long}
        envoy = gateway.envoy()
        killed = kill(envoy)
        gateway.until(lambda: sum(asked.status == 200 for asked in load.since(killed.after)) >= 20, "requests are answered again")
        gateway.until(lambda: all(asked.ended for asked in load.long), "the streams have ended")
    assert all(asked.broken for asked in load.long)
    assert {asked.status for asked in load.refused} <= {0, 401}
    assert all(provider.intruders == 0 for provider in providers)
    back = min(asked.ended for asked in load.since(killed.after) if asked.status == 200) - killed.before
    _log.info("Envoy answers again after %.2f s", back)
    found = check_books(gateway, providers)
    for asked in load.long:
        entry = found[asked.id]
        assert (entry["outcome"], entry["partial"], entry["witness"]) == ("client_closed", 1, "worker")
        assert entry["output"] >= (seen[id(asked)] - 5) * 1.5
    for asked in load.asked:
        if asked.status == 200 and not asked.broken:
            assert found[asked.id]["outcome"] == "complete"


def alive(pid: int) -> bool:
    """Whether a process exists, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [2], indirect=True)
def test_the_control_process_is_killed(gateway: Gateway, providers: tuple[Counted, Counted]) -> None:
    with Load(gateway, steady=4, intruders=1) as load:
        for dialect, model in LONG:
            load.begin(dialect, model, "Long [demo: tokens=4000 gap=0.02]", stream=True)
        gateway.until(lambda: all(asked.words() > 20 for asked in load.long), "all streams flow")
        gateway.until(lambda: len(load.asked) > 50, "the load flows")
        family = [gateway.envoy(), *gateway.workers()]
        assert len(family) == 3
        killed = kill(gateway.pid)
        gateway.until(lambda: not any(map(alive, family)), "Envoy and the workers have gone with it")
        _log.info("all is gone after %.2f s", time.monotonic() - killed.before)
        gateway.until(lambda: all(asked.ended for asked in load.long), "all that had come is read")
    # A worker that notices first may have had time for last words.
    assert all(asked.broken or GONE.message in asked.text for asked in load.long)
    assert all(provider.intruders == 0 for provider in providers)
    with gateway:
        found = check_books(gateway, providers)
        for asked in load.long:
            assert found[asked.id]["partial"]
            assert found[asked.id]["output"] > 10
        for asked in load.asked:
            if asked.status == 200 and not asked.broken:
                assert asked.id in found
        with httpx.Client(verify=False) as client:
            assert Asked("openai", "o-only", stream=False).send(client, gateway.url, "Back", KEYED).status == 200
        when(gateway, lambda now: len(now) == len(found) + 1, "the new request is in the ledger")
    # Collected once, and for good: nothing is left to collect.
    rows = gateway.ledger("outcome")
    assert sum(row["requests"] for row in rows) == len(entries(gateway)) == len(found) + 1
    assert not list((gateway.state / "journal").glob("*.jsonl"))
