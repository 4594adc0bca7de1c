"""Requests of a model that has a mirror: what is copied, and a copy's own way in."""

from collections.abc import Container, Mapping
from typing import Any

import msgspec
import pytest

from extproc import Reject, StoredKey
from extproc.config.concurrency import Queue
from extproc.config.mirror import Mirror
from extproc.config.model import Aim, Config, Model
from extproc.copied import MirrorIntake
from extproc.exchange import Exchange
from extproc.keys import digest
from extproc.mirrored import Mirrored, decode
from extproc.quotas import Quotas
from extproc.standing.told import Stand
from extproc.values import Identity, Response, Target
from tests.scene import CHAT, CONFIG, Scene, head, run

MIRROR = Mirror(to="anthropic/claude")
WATCHED: Config = msgspec.structs.replace(
    CONFIG,
    models=(
        Model(name="gpt", targets=("openai/gpt",), mirror=MIRROR),
        Model(name="claude-*", targets=("anthropic",), mirror=Mirror(to="openai")),
        Model(name="both", targets=("openai/gpt", "anthropic/claude"), mirror=MIRROR),
        Model(name="never", targets=("openai/gpt",), mirror=Mirror(to="anthropic/claude", share=0)),
        Model(name="full", targets=(Aim(to="anthropic/claude", concurrency=1),)),
    ),
)
TOLD = Mirrored("r-0", "", Target("anthropic", "claude"), Identity("red", "k"), "gpt", "gpt")


class Copies:
    """Keeps what is sent."""

    dropped = 0

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str], bytes]] = []

    def send(self, mirror: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.sent.append((path, dict(headers), body))

    def keep(self, mirrors: Container[str]) -> None:
        pass


def scene(config: Config = WATCHED, keys: tuple[StoredKey, ...] = ()) -> tuple[Scene, Copies]:
    made, copies = Scene(), Copies()
    made.engine.mirrors = copies
    made.load(config, keys=keys)
    return made, copies


def forward(exchange: Exchange, body: bytes) -> Response | None:
    answered = run(exchange.intake.begin()) or run(exchange.intake.proceed(body))
    if answered is None:
        try:
            exchange.intake.forward()
        except Reject as reject:
            return exchange.delivery.refuse(reject.fault)
    return answered


def body(model: str = "gpt", **more: Any) -> bytes:
    return msgspec.json.encode({**CHAT, "model": model, **more})


def test_what_is_copied() -> None:
    made, copies = scene(keys=(StoredKey("k", digest("sk-caller"), tenant="red"),))
    headers = head("/v1/chat/completions?key=sk-other&x=1", authorization="Bearer sk-caller", x_headgate_tags="a", accept="x/y")
    assert forward(made.exchange(headers), body()) is None
    ((path, sent, given),) = copies.sent
    assert (path, given) == ("/v1/chat/completions?x=1", body())
    told = decode(sent.pop("x-headgate-mirror"))
    assert told == Mirrored("r-1", made.engine.current.generation, TOLD.target, Identity("red", "k"), "gpt", "gpt")
    assert sent == {"content-type": "application/json", "user-agent": "test/1", "accept": "x/y", "x-request-id": "r-1"}


@pytest.mark.parametrize(("model", "target"), [("both", TOLD.target), ("claude-5", Target("openai", "claude-5"))])
def test_whoever_answers(model: str, target: Target) -> None:
    made, copies = scene()
    assert forward(made.exchange(), body(model)) is None
    assert decode(copies.sent[0][1]["x-headgate-mirror"]).target == target


@pytest.mark.parametrize(
    ("path", "copied_to", "version"),
    [
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude-5:rawPredict", "/v1/messages", "vertex-2023-10-16"),
        ("/model/claude-5/invoke", "/model/claude-5/invoke", "bedrock-2023-05-31"),
    ],
)
def test_what_clouds_clients_ask_is_read_again(path: str, copied_to: str, version: str) -> None:
    made, copies = scene()
    asked = {"messages": CHAT["messages"], "anthropic_version": version, "max_tokens": 1}
    assert forward(made.exchange(head(path)), msgspec.json.encode(asked)) is None
    ((path, sent, given),) = copies.sent
    assert path == copied_to
    copy = made.exchange(head(path))
    copy.intake = MirrorIntake(copy.snapshot, copy.request, copy.delivery, decode(sent["x-headgate-mirror"]))
    assert forward(copy, given) is None
    assert (copy.request.endpoint.operation, copy.request.targets) == ("chat", (Target("openai", "claude-5"),))


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/chat/completions", "never"),
        ("/v1/embeddings", "gpt"),
        ("/v1/chat/completions", "full"),
    ],
)
def test_what_is_not(path: str, model: str) -> None:
    made, copies = scene()
    assert forward(made.exchange(head(path)), body(model, input="x")) is None
    assert copies.sent == []


def test_what_is_refused_after_all_is_not_copied() -> None:
    made, copies = scene()
    assert forward(made.exchange(head(x_headgate_timeout="soon")), body()) is not None
    assert copies.sent == []


def test_no_request_fails_for_its_copy(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    made, copies = scene()
    monkeypatch.setattr(copies, "send", None)
    assert forward(made.exchange(), body()) is None
    assert copies.dropped == 1
    assert "request r-1: no copy of it is sent" in caplog.text


def test_no_copy_takes_what_is_meant_for_clients() -> None:
    """Neither a place in a line, nor the room that callers without a key have for large bodies."""
    model = Model(name="gpt", targets=(Aim(to="openai/gpt", concurrency=1),), mirror=MIRROR, queue=Queue(most=9, wait=5))
    made, _ = scene(msgspec.structs.replace(CONFIG, models=(model,)))
    of_clients, of_copies = (
        next(one for one in some if isinstance(one, Quotas)) for some in (made.engine.current.filters, made.engine.current.mirrored)
    )
    assert (list(of_clients._lines), list(of_copies._lines)) == (["gpt"], [])
    room = made.engine.room
    room.whole = 1_000_000
    large = copied(made, more={"content_length": "600000"})
    assert run(large.intake.begin()) is None
    assert room.enter("", "390000") is not None, "whoever has no key has none of it"
    assert run(copied(made, more={"content_length": "300000"}).intake.begin()) is not None


def test_nothing_is_looked_at_where_nothing_is_mirrored() -> None:
    assert scene(CONFIG)[0].engine.current.mirrors is None
    assert scene(msgspec.structs.replace(WATCHED, models=WATCHED.models[3:4]))[0].engine.current.mirrors is None


def copied(made: Scene, told: Mirrored = TOLD, more: Mapping[str, str] | None = None) -> Exchange:
    exchange = made.exchange(head(x_request_id="r-2", **(more or {})))
    exchange.intake = MirrorIntake(exchange.snapshot, exchange.request, exchange.delivery, told)
    return exchange


def test_a_copy_goes_to_its_target() -> None:
    made, copies = scene(keys=(StoredKey("k", digest("sk-caller"), tenant="red"),))
    exchange = copied(made)
    assert run(exchange.intake.begin()) is None
    assert run(exchange.intake.proceed(body())) is None
    assert exchange.intake.forward().clusters == ("provider_anthropic",)
    assert copies.sent == []
    exchange.delivery.answer({":status": "500"}, local="", cluster="provider_anthropic", attempts=1)
    exchange.delivery.feed(b"{}", end=True)
    exchange.delivery.close(whole=True)
    run(exchange.delivery.end())
    (record,) = made.books
    assert (record.id, record.mirror_of, record.tenant, record.key, record.model, record.route) == ("r-2", "r-0", "red", "k", "gpt", "gpt")
    assert (record.provider, record.target, record.outcome) == ("anthropic", "claude", "error")
    assert exchange.request.identity.lane != TOLD.identity.lane


def test_a_target_that_is_gone_or_left_alone() -> None:
    made, _ = scene()
    gone = msgspec.structs.replace(TOLD, target=Target("nobody", "x"))
    assert (forward(copied(made, gone), body()) or Response(200, {})).status == 503
    made.engine.standing.take(msgspec.msgpack.encode([Stand("anthropic", "claude", "", "open", 9.0, 1.0)]))
    assert (forward(copied(made), body()) or Response(200, {})).status == 503


def test_a_copy_that_tries_a_target_gives_that_up_where_it_is_refused() -> None:
    made, _ = scene()
    made.engine.standing.take(msgspec.msgpack.encode([Stand("anthropic", "claude", "", "open", 0.0, 1.0)]))
    exchange = copied(made)
    assert forward(exchange, b"{") is not None
    exchange.delivery.close(whole=True)
    run(exchange.delivery.end())
    assert forward(copied(made), body()) is None, "another one may try"
    assert forward(copied(made), body()) is not None, "one tries"
