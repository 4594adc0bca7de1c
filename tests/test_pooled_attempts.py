"""Requests at a provider that has several keys: which key each attempt sends, what is told of it, and that none stays in use."""

from typing import Any

import msgspec
import pytest

from extproc.adapter import AdapterSession
from extproc.aside import is_bulky
from extproc.attempt import Attempt
from extproc.call import Call
from extproc.config.breaker import Breaker, Breakers
from extproc.config.model import Aim, Config, Model, Paths, Provider
from extproc.config.pool import ProviderKey
from extproc.config.retries import Retries
from extproc.envoy import names
from extproc.errors import Reject
from extproc.gate import GateSession
from extproc.pool import Pools
from extproc.retrying import STOP
from extproc.tried import Tried
from extproc.upstream import compile_upstream, credential_header
from extproc.values import Target
from tests.playbook import Reply, one, request_body, request_headers, response_body, response_headers, say
from tests.scene import CHAT, OPENAI, Scene, head
from tests.test_answering import CHAT as COMPLETION

KEYS = tuple(ProviderKey(key=f"sk-{name}", name=name) for name in "abcd")
ANSWER = msgspec.json.encode(COMPLETION)
JSON = {":status": "200", "content-type": "application/json", "content-length": str(len(ANSWER))}


def config(*keys: ProviderKey, **more: Any) -> Config:
    keyed = msgspec.structs.replace(OPENAI, key=None, keys=keys, **more)
    single = Provider(dialect="anthropic", base_url="https://anthropic.test/v1", key="sk-anthropic")
    models = (
        Model(name="gpt", targets=("openai/gpt",)),
        Model(name="quick", targets=("openai/gpt-fast",)),
        Model(name="both", targets=(Aim(to="openai/gpt"), Aim(to="anthropic/claude", tier=2), Aim(to="openai/other", tier=3))),
    )
    return Config(providers={"openai": keyed, "anthropic": single}, models=models)


def gated(scene: Scene, body: dict[str, Any] = CHAT, path: str = "/v1/chat/completions") -> tuple[GateSession, Reply, dict[str, str]]:
    session, sent = GateSession(scene.engine), head(path, authorization="Bearer hg-callers")
    first = one(session, request_headers(sent))
    reply = first if first.part != "request_headers" or "x-headgate-cluster" in first.headers else one(session, request_body(_json(body)))
    after = {name: value for name, value in sent.items() if name not in reply.remove} | reply.headers
    return session, reply, after


def _json(body: Any) -> bytes:
    return msgspec.json.encode(body)


def call_of(reply: Reply) -> Call:
    return msgspec.json.decode(reply.metadata[names.NAMESPACE][names.CALL], type=Call)


def attempted(scene: Scene, reply: Reply, headers: dict[str, str], number: int, cluster: str = "provider_openai") -> AdapterSession:
    """An attempt, up to its answer's head; `headers` are changed as Envoy changes them."""
    session = AdapterSession(scene.engine)
    attributes = {names.CLUSTER_ATTRIBUTE: cluster, names.ATTEMPT_ATTRIBUTE: number}
    one(session, request_headers(headers, attributes=attributes, metadata=reply.metadata))
    made = one(session, request_body(_json(CHAT)))
    for name in made.remove:
        headers.pop(name, None)
    headers.update(made.headers)
    return session


def refuse(session: AdapterSession, number: int, status: int = 429, **said: str) -> Reply:
    """What Envoy is told of a refusal's head."""
    body = b'{"error": {"message": "slow down"}}'
    head = {":status": str(status), "content-type": "application/json", **said}
    session.receive(response_headers(head, cluster="provider_openai", attempt=number))
    first, *_ = say(session, response_body(body, end=True))
    session.close()
    return first


def test_a_refused_key_is_worth_an_attempt_with_another() -> None:
    scene = Scene(config(*KEYS))
    _, reply, headers = gated(scene)
    call = call_of(reply)
    assert call.targets == (Target("openai", "gpt"),) * 3
    assert call.keys == ("a", "b", "c")
    assert reply.headers["x-envoy-max-retries"] == "2"
    heard: list[Tried] = []
    scene.engine.ears.append(heard.append)
    for number, (name, status) in enumerate((("a", 429), ("b", 401), ("c", 429)), 1):
        session = attempted(scene, reply, headers, number)
        assert headers["authorization"] == f"Bearer sk-{name}"
        refuse(session, number, status)
    assert [(tried.key, tried.status) for tried in heard] == [("a", 429), ("b", 401), ("c", 429)]
    assert scene.engine.current.pools["openai"].worth("gpt") == 2  # of four, two wait
    assert not any(state.under_way for state in scene.engine.pools._states.values())


@pytest.mark.parametrize(
    ("status", "goes_on"), [(429, True), (401, True), (403, True), (402, True), (500, False), (404, False), (400, False)]
)
def test_another_key_is_tried_only_where_the_key_failed(status: int, goes_on: bool) -> None:
    """What fails with one key for the provider's sake would fail with the next."""
    scene = Scene(config(*KEYS[:2]))
    _, reply, headers = gated(scene)
    told = refuse(attempted(scene, reply, headers, 1), 1, status)
    assert (told.headers.get(":status") == "409", STOP in told.headers) == (goes_on, not goes_on)
    # The last one tells what it is.
    told = refuse(attempted(scene, reply, headers, 2), 2, status)
    assert told.headers.get(":status") not in ("409", "503") and STOP in told.headers


def test_a_provider_has_no_say_in_what_is_asked_next() -> None:
    scene = Scene(config(*KEYS[:2]))
    _, reply, headers = gated(scene)
    stopped = refuse(attempted(scene, reply, headers, 1), 1, 500, **{STOP: "true"})
    assert stopped.headers[STOP] == "true" and STOP not in stopped.remove
    goes_on = refuse(attempted(scene, reply, headers, 1), 1, 429, **{STOP: "true"})
    assert goes_on.headers[":status"] == "409" and STOP in goes_on.remove


@pytest.mark.parametrize(("again", "attempts", "careful"), [(0, 3, True), (1, 3, False), (4, 5, False)])
def test_what_has_no_answer_is_no_other_keys_business(again: int, attempts: int, careful: bool) -> None:
    """Envoy sees that there is none, and nobody asks us: it is told to go on after what the provider has not seen, and at our word."""
    scene = Scene(msgspec.structs.replace(config(*KEYS[:3]), retries=Retries(again=again)))
    _, reply, _ = gated(scene)
    assert len(call_of(reply).targets) == attempts and reply.headers["x-envoy-max-retries"] == str(attempts - 1)
    asked = set(reply.headers["x-envoy-retry-on"].split(","))
    assert {"connect-failure", "refused-stream", "retriable-status-codes"} <= asked
    assert careful == asked.isdisjoint({"5xx", "reset", "gateway-error"})


def test_a_target_that_stands_there_twice_is_asked_twice_whatever_fails() -> None:
    settings = config(*KEYS[:3])
    twice = msgspec.structs.replace(settings.models[0], targets=("openai/gpt", "openai/gpt"))
    _, reply, _ = gated(Scene(msgspec.structs.replace(settings, models=(twice,))))
    assert len(call_of(reply).targets) == 2 and "5xx" in reply.headers["x-envoy-retry-on"]


def test_keys_come_before_the_next_target_and_pauses() -> None:
    """With `retries.again`, an attempt with another key waits for nothing, and one after the provider's own failure does."""
    settings = msgspec.structs.replace(config(*KEYS[:2]), retries=Retries(again=1, pause=0.5))
    for status, waits in ((429, False), (500, True)):
        scene, pauses = Scene(settings), list[float]()

        async def wait(seconds: float, pauses: list[float] = pauses) -> None:
            pauses.append(seconds)

        scene.engine.pause = wait
        _, reply, headers = gated(scene)
        call = call_of(reply)
        assert [target.provider for target in call.targets] == ["openai"] * 2 and call.keys == ("a", "b")
        session = attempted(scene, reply, headers, 1)
        told = refuse(session, 1, status, **{"retry-after": "2"})
        assert told.headers[":status"] == "503"
        assert bool(pauses) == waits


def test_targets_that_are_named_for_a_refusal_have_keys_of_their_own() -> None:
    settings = config(*KEYS[:3])
    long = msgspec.structs.replace(settings.models[0], on_context_length=("openai/long", "anthropic/claude"))
    scene = Scene(msgspec.structs.replace(settings, models=(long,)))
    _, reply, headers = gated(scene)
    session = attempted(scene, reply, headers, 1)
    body = _json({"error": {"message": "too long", "code": "context_length_exceeded"}})
    head = {":status": "400", "content-type": "application/json"}
    session.receive(response_headers(head, cluster="provider_openai", attempt=1))
    told, *_ = say(session, response_body(body, end=True))
    changed = call_of(told)
    assert [target.model for target in changed.targets] == ["gpt", "long", "claude"]
    assert changed.keys == ("a", "", "")
    metadata = {**reply.metadata, names.NAMESPACE: {**reply.metadata[names.NAMESPACE], **told.metadata[names.NAMESPACE]}}
    attempted(scene, msgspec.structs.replace(reply, metadata=metadata), headers, 2).close()
    assert headers["authorization"] in ("Bearer sk-b", "Bearer sk-c")


def test_a_key_waits_for_as_long_as_the_provider_says() -> None:
    scene = Scene(config(*KEYS[:2]))
    heard: list[Tried] = []
    scene.engine.ears.append(heard.append)
    _, reply, headers = gated(scene)
    refuse(attempted(scene, reply, headers, 1), 1, 429, **{"x-ratelimit-reset-requests": "6m0s"})
    assert (heard[0].key, heard[0].resets) == ("a", 360.0)
    # One key is left, so there is one attempt, which the gate makes itself.
    session, reply, headers = gated(scene)
    assert headers["authorization"] == "Bearer sk-b" and names.CALL not in reply.metadata[names.NAMESPACE]
    session.receive(response_headers(JSON, cluster="provider_openai", attempt=1))
    session.receive(response_body(ANSWER, end=True))
    session.close()
    assert scene.books[-1].provider_key == "b" and scene.books[-1].outcome == "complete"
    assert heard[-1].key == "b" and not heard[-1].failed
    # It waits for that model alone.
    assert scene.engine.current.pools["openai"].worth("another") == 2


def test_a_plan_is_left_where_its_key_has_turned_bad_since() -> None:
    scene = Scene(config(*KEYS))
    _, reply, headers = gated(scene)
    _, other, _ = gated(scene)
    assert (call_of(reply).keys[0], call_of(other).keys[0]) == ("a", "b")
    scene.engine.hear(Tried("openai", "gpt", 429, "rate_limit_exceeded", "a", resets=60))
    attempted(scene, reply, headers, 1).close()
    assert headers["authorization"] in ("Bearer sk-c", "Bearer sk-d")


def test_other_providers_keep_their_own_keys() -> None:
    """Each provider gets its own credential, and the same provider another key than before."""
    scene = Scene(config(*KEYS))
    _, reply, headers = gated(scene, {**CHAT, "model": "both"})
    call = call_of(reply)
    assert [target.provider for target in call.targets] == ["openai", "anthropic", "openai"]
    assert call.keys == ("a", "", "b")
    attempted(scene, reply, headers, 1).close()
    assert headers["authorization"] == "Bearer sk-a"
    attempted(scene, reply, headers, 2, "provider_anthropic").close()
    assert headers["x-api-key"] == "sk-anthropic" and "authorization" not in headers
    attempted(scene, reply, headers, 3).close()
    assert headers["authorization"] == "Bearer sk-b" and "x-api-key" not in headers
    assert not any(state.under_way for state in scene.engine.pools._states.values())


def test_the_record_names_the_key_that_answered() -> None:
    scene = Scene(config(*KEYS))
    session, reply, headers = gated(scene)
    refuse(attempted(scene, reply, headers, 1), 1)
    told = Tried("openai", "gpt", 200, key="b", first=0.1)
    metadata = {names.USE_NAMESPACE: {"tried-2": _json(told).decode()}}
    session.receive(response_headers(JSON, cluster="provider_openai", attempt=2, metadata=metadata))
    session.receive(response_body(ANSWER, end=True))
    session.close()
    record = scene.books[-1]
    assert (record.provider_key, record.attempts, [one.key for one in record.tried]) == ("b", 2, ["", "b"])


def test_an_older_envoy_that_leaves_a_target_out_is_told_of_the_turn_that_it_took() -> None:
    """The first one has no address: the first attempt is at the second, which takes the key of its own turn, and is the last one."""
    settings = config(*KEYS[:2])
    chain = msgspec.structs.replace(settings.models[0], targets=("anthropic/claude", "openai/gpt"))
    scene = Scene(msgspec.structs.replace(settings, models=(chain,), envoy_version="1.38"))
    _, reply, headers = gated(scene)
    session, cluster = AdapterSession(scene.engine), reply.headers[names.CLUSTER_HEADER]
    assert cluster.startswith(names.CHAIN) and call_of(reply).keys == ("", "a")
    attributes = {names.CLUSTER_ATTRIBUTE: cluster, names.ATTEMPT_ATTRIBUTE: 1, names.AT_ATTRIBUTE: 1}
    one(session, request_headers(headers, attributes=attributes, metadata=reply.metadata))
    made = one(session, request_body(_json(CHAT)))
    assert made.headers["authorization"] == "Bearer sk-a"
    told = refuse(session, 1)
    assert told.headers.get(":status") != "503" and STOP in told.headers


@pytest.mark.parametrize("path", ["/v1/files", "/v1/unknown"])
def test_what_passes_unread_has_one_attempt_and_gives_its_key_back(path: str) -> None:
    scene = Scene(config(*(msgspec.structs.replace(key, concurrency=1) for key in KEYS[:2])))
    sessions = []
    for name in "ab":
        session, reply, headers = gated(scene, path=path)
        assert headers["authorization"] == f"Bearer sk-{name}" and reply.headers["x-headgate-cluster"] == "provider_openai"
        sessions.append(session)
    _, reply, _ = gated(scene, path=path)
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    # The client hangs up before there is an answer.
    sessions[0].close()
    assert gated(scene, path=path)[2]["authorization"] == "Bearer sk-a"
    assert [record.provider_key for record in scene.books] == ["a"]


def test_a_provider_whose_keys_are_all_at_their_limits_is_passed_over() -> None:
    scene = Scene(config(msgspec.structs.replace(KEYS[0], concurrency=1), msgspec.structs.replace(KEYS[1], requests_per_minute=1)))
    held, reply, _ = gated(scene, path="/v1/files")
    second, _, _ = gated(scene, path="/v1/files")
    _, reply, _ = gated(scene)
    assert reply.status == 503
    session, reply, headers = gated(scene, {**CHAT, "model": "both"})
    assert headers["x-headgate-cluster"] == "provider_anthropic" and headers["x-api-key"] == "sk-anthropic"
    for each in (held, second, session):
        each.close()
    # The other one has had its request of this minute.
    assert gated(scene)[2]["authorization"] == "Bearer sk-a"


def test_a_refusal_after_the_key_was_taken_gives_it_back() -> None:
    """What passes unread is refused when its path turns out to be where the provider is asked for inference."""
    scene = Scene(config(*KEYS[:2], paths=Paths(chat="/talk")))
    session = GateSession(scene.engine)
    reply = one(session, request_headers(head("/talk", content_type="text/plain"), end=True))
    assert (reply.status, msgspec.json.decode(reply.body or b"")["error"]["code"]) == (404, "misplaced_request")
    session.close()
    states = scene.engine.pools._states.values()
    assert [(state.recent > 0, state.under_way) for state in states] == [(True, 0), (False, 0)]


def test_bulky_bodies_take_keys_likewise() -> None:
    """The body that the only provider gets is made ahead; it is the same key that is taken, once."""
    scene = Scene(config(*KEYS[:2]))
    many = {**CHAT, "model": "quick", "messages": [{"role": "user", "content": "Hello"}] * 6000}
    assert is_bulky(_json(many))
    _, reply, _ = gated(scene, many)
    assert call_of(reply).keys == ("a", "b")
    scene.engine.hear(Tried("openai", "gpt-fast", 429, "rate_limit_exceeded", "a", resets=60))
    session, reply, headers = gated(scene, many)
    assert headers["authorization"] == "Bearer sk-b" and b'"gpt-fast"' in (reply.body or b"")
    session.close()
    assert [state.under_way for state in scene.engine.pools._states.values()] == [0, 0]


def test_a_reload_keeps_what_is_known_of_keys_and_forgets_it_of_a_rotated_one() -> None:
    scene = Scene(config(*KEYS[:3]))
    for name in "ab":
        scene.engine.hear(Tried("openai", "gpt", 429, "rate_limit_exceeded", name, resets=600))
    rotated = (KEYS[0], msgspec.structs.replace(KEYS[1], key="sk-new"), KEYS[2])
    scene.load(config(*rotated))
    _, reply, headers = gated(scene)
    assert sorted(call_of(reply).keys) == ["b", "c"]
    attempted(scene, reply, headers, 1 + call_of(reply).keys.index("b")).close()
    assert headers["authorization"] == "Bearer sk-new"


def test_a_reload_forgets_what_is_known_of_keys_whose_provider_was_mended() -> None:
    scene = Scene(config(*KEYS[:3]))
    for name in "ab":
        scene.engine.hear(Tried("openai", "gpt", 429, "rate_limit_exceeded", name, resets=600))
    scene.load(config(*KEYS[:3], pool="least_used"))
    pool = scene.engine.current.pools["openai"]
    assert pool.worth("gpt") == 1, "who is chosen has nothing to do with what is answered"
    scene.load(config(*KEYS[:3], base_url="https://mended.test/v1"))
    assert scene.engine.current.pools["openai"].worth("gpt") == 3


def test_every_dialect_of_the_provider_draws_on_the_same_keys() -> None:
    provider = Provider(dialect="anthropic", also=("openai",), base_url="https://it.test/v1", keys=KEYS[:2], auth="x-api-key")
    carrier = credential_header(provider)
    pool = Pools().open("it", provider, carrier, 1)
    upstream = compile_upstream("it", provider, pool=pool)
    sent = []
    for dialect, path in (("openai", "/v1/chat/completions"), ("anthropic", "/v1/messages"), ("openai", "/v1/chat/completions")):
        call = Call(id="r", generation="g", dialect=dialect, kind="chat", path=path, headers={}, targets=(), model="m")
        attempt = Attempt(call, Target("it", "m"), upstream, 1 << 20)
        outgoing = attempt.outgoing(head(path, authorization="Bearer hg-callers", x_api_key="hg-callers"), b'{"model":"m"}', ruled=())
        assert "authorization" in outgoing.remove
        sent.append((attempt.key, outgoing.headers["x-api-key"]))
    assert sent == [("a", "sk-a"), ("b", "sk-b"), ("a", "sk-a")]


def test_a_call_says_nothing_of_keys_where_nobody_has_several() -> None:
    scene = Scene()
    _, reply, _ = gated(scene, {**CHAT, "model": "both"})
    assert "keys" not in msgspec.json.decode(reply.metadata[names.NAMESPACE][names.CALL])
    assert scene.engine.ears == [] and scene.engine.current.pools == {}


def test_no_key_of_a_provider_is_in_what_is_said_of_it() -> None:
    scene = Scene(config(*(msgspec.structs.replace(key, concurrency=1) for key in KEYS[:2])))
    _, reply, _ = gated(scene)
    assert "sk-" not in repr(reply.metadata)
    pool = scene.engine.current.pools["openai"]
    for _ in range(2):
        assert pool.lease("gpt", alone=True).name in ("a", "b")
    with pytest.raises(Reject) as caught:
        pool.lease("gpt", alone=True)
    assert "sk-" not in caught.value.fault.message


@pytest.mark.parametrize(
    ("whole", "own", "left"),
    [(Breakers(cool=0), None, 3), (Breakers(), Breaker(cool=0), 3), (Breakers(cool=0), Breaker(), 2), ("off", None, 2)],
)
def test_a_429_is_believed_for_as_long_as_its_breaker_says(whole: Any, own: Any, left: int) -> None:
    scene = Scene(msgspec.structs.replace(config(*KEYS[:3], breaker=own), breaker=whole))
    scene.engine.hear(Tried("openai", "gpt", 429, "rate_limit_exceeded", "a", resets=600))
    assert scene.engine.current.pools["openai"].worth("gpt") == left
