"""Conversations that the gateway remembers: what goes on to providers, what is kept of answers, and what is shown of it."""

import copy
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc import Chain, Identity, Keep, Turns, TurnsDown
from extproc.config.model import Config, Limits, Model, Provider
from extproc.dialects.quirks import Quirks
from extproc.errors import Reject
from extproc.exchange import Exchange
from extproc.turns.sqlite import SqliteTurns
from extproc.turns.turn import Turn
from filters.auth import Auth
from filters.cache import Cache
from filters.conversations import Conversations
from filters.headers import Headers
from filters.meter import Meter
from filters.route import Route
from tests.examples import examples
from tests.scene import ANTHROPIC, OPENAI, Scene, environment, head, run

RESPONSES = Provider(dialect="openai", base_url="https://api.test/v1", also=("responses",))
STATELESS = Provider(dialect="responses", base_url="https://stateless.test/v1", quirks=Quirks(memory=False))
CONFIG = Config(
    providers={"openai": OPENAI, "anthropic": ANTHROPIC, "native": RESPONSES},
    models=(
        Model(name="gpt", targets=("openai/gpt",)),
        Model(name="claude", targets=("anthropic/claude",)),
        Model(name="native", targets=("native/gpt",)),
        Model(name="native-then-claude", targets=("native/gpt", "anthropic/claude")),
        Model(name="claude-then-gpt", targets=("anthropic/claude", "openai/gpt")),
    ),
)
WITH_STATELESS = msgspec.structs.replace(
    CONFIG, providers={**CONFIG.providers, "stateless": STATELESS}, models=(*CONFIG.models, Model(name="own", targets=("stateless/m",)))
)
JSON = {":status": "200", "content-type": "application/json"}
SSE = {":status": "200", "content-type": "text/event-stream"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


class OnDisk:
    """Turns in this process."""

    def __init__(self, folder: Path) -> None:
        self.inner = SqliteTurns(folder)
        self.asked = 0
        self.down = False

    async def chain(self, owner: str, id: str, most: int) -> Chain:
        if self.down:
            raise TurnsDown("down")
        self.asked += 1
        return self.inner.chain(owner, id, most)

    async def put(self, owner: str, turn: Turn, keep: Keep) -> None:
        self.inner.put(owner, turn, keep)

    async def delete(self, owner: str, id: str) -> bool:
        if self.down:
            raise TurnsDown("down")
        return self.inner.delete(owner, id)


class Place(Scene):
    """An engine with a memory."""

    def __init__(self, folder: Path, config: Config = CONFIG, **fields: Any) -> None:
        self.turns = OnDisk(folder)
        self.tenant = ""
        self.fields = fields
        super().__init__(config)

    def load(self, config: Config, *_: Any) -> str:
        from tests.scene import message  # noqa: PLC0415 - the name is a method's here

        filters = (
            ("meter", Meter()), ("auth", Auth()), ("route", Route()), ("conversations", Conversations(**self.fields)),
            ("headers", Headers()), ("cache", Cache()),
        )  # fmt: skip
        turns: Turns = self.turns
        self.engine._turns = turns
        return self.engine.load(message(config, filters))

    def begin(self, body: Any, path: str = "/v1/responses") -> tuple[Exchange, Any]:
        """As far as the provider: what it would get; or our own answer as (status, body)."""
        made = Exchange(self.engine.current, head(path, content_length="2"))
        assert run(made.intake.begin()) is None
        made.request.identity = Identity(self.tenant, self.tenant)
        refused = run(made.intake.proceed(msgspec.json.encode(body)))
        if refused is not None:
            run(made.delivery.end())
            return made, (refused.status, msgspec.json.decode(refused.body))
        forward = made.intake.forward()
        sent = forward.outgoing.body
        return made, None if sent is None else msgspec.json.decode(sent)

    def look(self, path: str, method: str = "GET") -> tuple[int, Any]:
        made = Exchange(self.engine.current, head(path, method, content_type=""))
        assert run(made.intake.begin()) is None
        made.request.identity = Identity(self.tenant, self.tenant)
        answer = run(made.intake.proceed(b""))
        if answer is None:
            made.intake.forward()
            return 0, [target.provider for target in made.request.targets]
        return answer.status, msgspec.json.decode(answer.body)

    def turn(self, text: Any, previous: str = "", *, model: str = "gpt", **more: Any) -> tuple[Any, Any]:
        """A whole turn: what the provider got, and what the client."""
        asked = {"model": model, "input": text, **({"previous_response_id": previous} if previous else {}), **more}
        made, sent = self.begin(asked)
        return sent, answer(made, reply("ok"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def reply(text: str = "", calls: list[Any] | None = None, **more: Any) -> bytes:
    """A chat completion."""
    said = {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {}), **more}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if calls else "stop"}
    return msgspec.json.encode({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


def answer(made: Exchange, body: bytes, headers: dict[str, str] = JSON, *, whole: bool = True) -> Any:
    """The provider answers; what the client gets."""
    made.delivery.answer(headers, local="", cluster="", attempts=1)
    out = made.delivery.feed(body, whole)
    made.delivery.close(whole=whole)
    run(made.delivery.end())
    return msgspec.json.decode(out) if headers is JSON else out


def messages(sent: Any) -> list[tuple[str, Any]]:
    return [(one["role"], one.get("content")) for one in sent["messages"]]


def test_a_client_goes_on_from_the_response_before(place: Place) -> None:
    _, first = place.turn("one")
    assert first["id"].startswith("resp_hg") and len(first["id"]) > 40
    assert (first["store"], first["previous_response_id"]) == (True, None)
    sent, second = place.turn("two", first["id"])
    assert messages(sent) == [("user", "one"), ("assistant", "ok"), ("user", "two")]
    assert second["previous_response_id"] == first["id"] != second["id"]
    sent, _ = place.turn("three", second["id"])
    assert messages(sent) == [("user", "one"), ("assistant", "ok"), ("user", "two"), ("assistant", "ok"), ("user", "three")]
    # Both may be gone on from again.
    sent, _ = place.turn("other", first["id"])
    assert messages(sent) == [("user", "one"), ("assistant", "ok"), ("user", "other")]


def test_what_is_not_carried_over(place: Place) -> None:
    tools = [{"type": "function", "name": "add", "parameters": {"type": "object"}}]
    _, first = place.turn("one", instructions="Be kind.", tools=tools, temperature=0.5)
    sent, _ = place.turn("two", first["id"])
    assert messages(sent)[0] == ("user", "one")
    assert not {"tools", "temperature"} & set(sent)
    sent, _ = place.turn("three", first["id"], instructions="Be short.")
    assert messages(sent)[0] == ("system", "Be short.")


def test_calls_results_and_reasoning_are(place: Place) -> None:
    made, _ = place.begin({"model": "claude", "input": "one"})
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    content = [thinking, {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": content, "stop_reason": "tool_use",
               "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    first = answer(made, msgspec.json.encode(message))
    result = {"type": "function_call_output", "call_id": "toolu_1", "output": "2"}
    _, sent = place.begin({"model": "claude", "input": [result], "previous_response_id": first["id"]})
    assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"][0] == thinking
    assert sent["messages"][1]["content"][1]["input"] == {"a": 1}
    assert sent["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"


def test_a_call_of_a_tool_that_takes_a_text_is(place: Place) -> None:
    tools = [{"type": "custom", "name": "add"}]
    made, _ = place.begin({"model": "claude", "input": "one", "tools": tools})
    content = [{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"input": "1 + 1"}}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": content, "stop_reason": "tool_use",
               "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    first = answer(made, msgspec.json.encode(message))
    assert (first["output"][0]["type"], first["output"][0]["input"]) == ("custom_tool_call", "1 + 1")
    result = {"type": "custom_tool_call_output", "call_id": "toolu_1", "output": "2"}
    _, sent = place.begin({"model": "claude", "input": [result], "tools": tools, "previous_response_id": first["id"]})
    assert sent["messages"][1]["content"] == content
    assert sent["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"}]


def test_the_model_may_change_from_turn_to_turn(place: Place) -> None:
    _, first = place.turn("one")
    _, sent = place.begin({"model": "claude", "input": "two", "previous_response_id": first["id"]})
    assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "user"]
    # One that remembers gets all of it, too: it knows no response of ours.
    made, sent = place.begin({"model": "native", "input": "two", "previous_response_id": first["id"]})
    assert [item.get("role") for item in sent["input"]] == ["user", "assistant", "user"]
    assert "previous_response_id" not in sent
    answer(made, msgspec.json.encode({"id": "resp_1", "object": "response", "status": "completed", "output": []}))
    assert place.look("/v1/responses/resp_1") == (0, ["native"])


def test_reasoning_that_nobody_signed_stays_away_from_who_would_refuse_it(place: Place) -> None:
    made, _ = place.begin({"model": "gpt", "input": "one"})
    first = answer(made, reply("ok", reasoning_content="hm"))
    assert [item["type"] for item in first["output"]] == ["reasoning", "message"]
    _, sent = place.begin({"model": "native", "input": "two", "previous_response_id": first["id"]})
    assert [item["type"] for item in sent["input"][:2]] == ["message", "message"]


@pytest.mark.parametrize("streamed", [False, True])
def test_several_targets_get_the_whole_conversation(place: Place, streamed: bool) -> None:
    _, first = place.turn("one")
    made, sent = place.begin({"model": "claude-then-gpt", "input": "two", "previous_response_id": first["id"], "stream": streamed})
    assert [item.get("role") for item in sent["input"]] == ["user", "assistant", "user"]
    assert made.delivery.call is not None and made.delivery.call.says["previous_response_id"] == first["id"]
    assert made.delivery.call.says["id"].startswith("resp_hg")


def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
    return b"data: " + msgspec.json.encode({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": choices}) + b"\n\n"


STREAM = chunk({"role": "assistant", "content": "Grüße response.completed "}) + chunk({"content": "both"}) + chunk({}, "stop")


def test_a_stream_is_kept_as_its_last_event_tells_it(place: Place) -> None:
    made, _ = place.begin({"model": "gpt", "input": "one", "stream": True})
    out = answer(made, STREAM + b"data: [DONE]\n\n", SSE)
    last = msgspec.json.decode(out.strip().rpartition(b"data: ")[2])
    id = last["response"]["id"]
    assert id.startswith("resp_hg") and out.count(id.encode()) >= 3
    sent, _ = place.turn("two", id)
    assert messages(sent) == [("user", "one"), ("assistant", "Grüße response.completed both"), ("user", "two")]
    assert place.look(f"/v1/responses/{id}") == (200, last["response"])


def test_a_stream_that_broke_off_is_not(place: Place) -> None:
    for whole in (True, False):
        made, _ = place.begin({"model": "gpt", "input": "one", "stream": True})
        out = answer(made, STREAM[: STREAM.index(b'"both"')], SSE, whole=whole)
        id = msgspec.json.decode(out.split(b"data: ")[1].split(b"\n")[0])["response"]["id"]
        assert place.look(f"/v1/responses/{id}")[0] == 404
    assert place.turns.inner.count == 0


def test_an_answer_that_was_cut_short_by_its_limit_is(place: Place) -> None:
    made, _ = place.begin({"model": "gpt", "input": "one"})
    told = answer(made, reply("so far").replace(b'"stop"', b'"length"'))
    assert told["status"] == "incomplete"
    sent, _ = place.turn("go on", told["id"])
    assert messages(sent)[1] == ("assistant", "so far")


def test_errors_are_not(place: Place) -> None:
    made, _ = place.begin({"model": "gpt", "input": "one"})
    answer(made, b'{"error":{"message":"no","code":"x"}}', {**JSON, ":status": "500"})
    made, _ = place.begin({"model": "gpt", "input": "one"})
    made.delivery.answer({**JSON, "content-length": "7"}, local="", cluster="", attempts=1)
    assert b"bad_provider_answer" in made.delivery.feed(b"no json", True)
    run(made.delivery.end())
    assert place.turns.inner.count == 0


def test_store_false_keeps_nothing_and_goes_on_all_the_same(place: Place) -> None:
    _, first = place.turn("one")
    sent, second = place.turn("two", first["id"], store=False)
    assert len(sent["messages"]) == 3
    assert (second["store"], second["previous_response_id"]) == (False, first["id"])
    assert not second["id"].startswith("resp_hg")
    assert place.turns.inner.count == 1


def test_store_true_is_ours_to_do(place: Place) -> None:
    made, sent = place.begin({"model": "claude", "input": "one", "store": True, "metadata": {}})
    assert "store" not in sent
    assert made.delivery._attempt is not None and "store" not in made.delivery._attempt.dropped
    made, sent = place.begin({"model": "native", "input": "one", "store": True})
    assert sent["store"] is True


def test_who_remembers_is_left_alone(place: Place) -> None:
    asked = {"model": "gpt", "input": "one", "previous_response_id": "resp_0123", "store": True}
    made, sent = place.begin({**asked, "model": "native"})
    assert sent == {**asked, "model": "gpt"}
    assert (made.delivery.call is not None and made.delivery.call.says, place.turns.asked, len(made.delivery.taps)) == ({}, 0, 1)
    # Of several, only those may answer that can know it.
    made, _ = place.begin({**asked, "model": "native-then-claude"})
    assert [target.provider for target in made.request.targets] == ["native"]
    made, _ = place.begin({"model": "native-then-claude", "input": "one"})
    assert len(made.request.targets) == 2


def refused(answer: Any) -> tuple[int, str, str | None, str]:
    status, body = answer
    error = body["error"]
    return status, error["code"], error["param"], error["message"]


def test_an_id_that_nobody_knows(place: Place) -> None:
    for id in ("resp_0123", "resp_hg0123"):
        _, told = place.begin({"model": "gpt", "input": "one", "previous_response_id": id})
        message = f"Previous response with id '{id}' not found."
        assert refused(told) == (400, "previous_response_not_found", "previous_response_id", message)
        assert told[1]["error"]["type"] == "invalid_request_error"
    _, told = place.begin({"model": "native", "input": "one", "previous_response_id": "resp_hg0123"})
    assert told[0] == 400
    _, told = place.begin({"model": "gpt", "input": "one", "previous_response_id": 7})
    assert refused(told)[:3] == (400, "invalid_request", "previous_response_id")


def test_another_tenants_id_is_one_that_nobody_knows(place: Place) -> None:
    place.tenant = "a"
    _, first = place.turn("one")
    place.tenant = "b"
    _, told = place.begin({"model": "gpt", "input": "two", "previous_response_id": first["id"]})
    assert refused(told)[1] == "previous_response_not_found"
    for method in ("GET", "DELETE"):
        assert place.look(f"/v1/responses/{first['id']}", method)[0] == 404
    place.tenant = "a"
    assert place.look(f"/v1/responses/{first['id']}")[0] == 200


@pytest.mark.parametrize(("field", "value"), [("background", True), ("conversation", "conv_1"), ("conversation", {"id": "conv_1"})])
def test_what_only_some_providers_have(place: Place, field: str, value: Any) -> None:
    _, told = place.begin({"model": "gpt", "input": "one", field: value})
    assert refused(told)[:3] == (400, "unsupported_parameter", field)
    made, _ = place.begin({"model": "native-then-claude", "input": "one", field: value})
    assert [target.provider for target in made.request.targets] == ["native"]
    assert len(made.delivery.taps) == 1
    for nothing in (None, False):
        _, sent = place.begin({"model": "gpt", "input": "one", field: nothing})
        assert "messages" in sent


def test_without_the_store_nobody_is_answered_out_of_context(place: Place) -> None:
    _, first = place.turn("one")
    place.turns.down = True
    _, told = place.begin({"model": "gpt", "input": "two", "previous_response_id": first["id"]})
    assert refused(told)[:2] == (503, "conversations_unavailable")
    assert place.look(f"/v1/responses/{first['id']}", "DELETE")[0] == 503
    sent, _ = place.turn("one")
    assert sent is not None


def test_a_conversation_that_has_grown_too_long(tmp_path: Path) -> None:
    place = Place(tmp_path, msgspec.structs.replace(CONFIG, limits=Limits(request_body=3000)))
    _, first = place.turn("x" * 2000)
    _, told = place.begin({"model": "gpt", "input": "y" * 1500, "previous_response_id": first["id"]})
    assert refused(told)[:3] == (413, "request_too_large", "previous_response_id")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_turn_that_is_too_large_is_not_kept(tmp_path: Path, streamed: bool) -> None:
    place = Place(tmp_path, max_turn=600)
    made, _ = place.begin({"model": "gpt", "input": "one", "stream": streamed})
    answer(made, STREAM.replace(b"both", b"x" * 600) if streamed else reply("x" * 600), SSE if streamed else JSON)
    made, _ = place.begin({"model": "gpt", "input": "x" * 700})
    answer(made, reply("ok"))
    assert place.turns.inner.count == 0


def test_a_provider_of_the_api_without_a_memory(tmp_path: Path) -> None:
    place = Place(tmp_path, WITH_STATELESS)
    made, sent = place.begin({"model": "own", "input": "one"})
    assert sent == {"model": "m", "input": "one"}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    told = {"id": "resp_theirs", "object": "response", "status": "completed", "store": False, "output": [said]}
    assert answer(made, msgspec.json.encode(told)) == told
    _, sent = place.begin({"model": "own", "input": "two", "previous_response_id": "resp_theirs", "store": True})
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]
    assert not {"store", "previous_response_id"} & set(sent)
    assert place.look("/v1/responses/resp_theirs") == (200, {**told, "store": True, "previous_response_id": None})
    # What nobody kept is the native provider's to know.
    assert place.look("/v1/responses/resp_unknown") == (0, ["native"])


def test_tokens_are_counted_of_the_whole_conversation(place: Place) -> None:
    _, first = place.turn("one")
    asked = {"model": "claude", "input": "two", "previous_response_id": first["id"]}
    _, sent = place.begin(asked, "/v1/responses/input_tokens")
    assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "user"]


def test_a_cached_answer_can_be_gone_on_from(place: Place) -> None:
    first = place.turn("one", temperature=0)[1]
    made = Exchange(place.engine.current, head("/v1/responses", content_length="2"))
    run(made.intake.begin())
    hit = run(made.intake.proceed(msgspec.json.encode({"model": "gpt", "input": "one", "temperature": 0})))
    run(made.delivery.end())
    assert hit is not None and msgspec.json.decode(hit.body)["id"] == first["id"]
    sent, _ = place.turn("two", first["id"])
    assert len(sent["messages"]) == 3
    place.look(f"/v1/responses/{first['id']}", "DELETE")


def test_other_dialects_are_none_of_its_business(place: Place) -> None:
    made, _ = place.begin({"model": "gpt", "messages": [], "previous_response_id": "resp_hg1"}, "/v1/chat/completions")
    assert (len(made.delivery.taps), place.turns.asked) == (1, 0)


def test_without_a_store_nothing_is_kept() -> None:
    scene = Scene(CONFIG, (("auth", Auth()), ("route", Route()), ("conversations", Conversations())))
    made = Exchange(scene.engine.current, head("/v1/responses", content_length="2"))
    run(made.intake.begin())
    assert run(made.intake.proceed(b'{"model":"gpt","input":"one"}')) is None
    assert made.request.says == {}


def test_redis_is_where_they_are_kept_if_there_is_one(tmp_path: Path) -> None:
    disk, redis = OnDisk(tmp_path), OnDisk(tmp_path)
    alone = msgspec.structs.replace(environment(), turns=disk)
    both = msgspec.structs.replace(alone, redis_turns=redis)
    for chosen, there, expected in (
        (Conversations(), alone, disk),
        (Conversations(), both, redis),
        (Conversations(store="disk"), both, disk),
        (Conversations(store="redis"), both, redis),
    ):
        assert chosen.open(there).turns is expected  # type: ignore[attr-defined]


ITEMS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "message", "role": "user", "content": text}, st.text(max_size=8)),
        st.builds(lambda n: {"type": "function_call_output", "call_id": f"call_{n}", "output": str(n)}, st.integers(0, 9)),
        st.builds(lambda text: {"role": "user", "content": [{"type": "input_text", "text": text}]}, st.text(max_size=8)),
    ),
    max_size=3,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.lists(
        st.tuples(st.one_of(st.text(max_size=5), ITEMS), st.text(min_size=1, max_size=5), st.booleans()), min_size=1, max_size=5
    ).filter(lambda turns: turns[0][0] != [])
)
def test_a_chain_of_turns_is_the_conversation_sent_whole(
    turns: list[tuple[Any, str, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever names the response before gets to the provider what he would have sent had he kept everything himself."""
    place = Place(tmp_path_factory.mktemp("turns"))
    previous = ""
    whole: list[Any] = []
    for text, said, called in turns:
        own = copy.deepcopy(text)
        items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": own}]}] if type(own) is str else own
        whole += items
        asked = {"model": "gpt", "input": text, **({"previous_response_id": previous} if previous else {})}
        made, sent = place.begin(asked)
        _, stateless = place.begin({"model": "gpt", "input": whole, "store": False})
        assert sent == stateless
        told = answer(made, reply(said, [CALL] if called else None))
        whole += told["output"]
        previous = told["id"]
    status, listed = place.look(f"/v1/responses/{previous}/input_items?order=asc&limit=100")
    assert status == 200
    assert len(listed["data"]) == len(whole) - len(told["output"])


def test_nothing_is_no_begin_of_a_conversation(place: Place) -> None:
    with pytest.raises(Reject) as refusal:
        place.begin({"model": "gpt", "input": []})
    assert (refusal.value.fault.status, refusal.value.fault.code, refusal.value.fault.param) == (400, "unsupported_input", "input")


def test_items_may_be_named_by_their_ids(place: Place) -> None:
    """As Vercel's SDK does."""
    _, first = place.turn("one")
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    asked = [{"role": "user", "content": "one"}, named, {"role": "user", "content": "two"}]
    sent, second = place.turn(asked)
    assert messages(sent) == [("user", "one"), ("assistant", "ok"), ("user", "two")]
    sent, _ = place.turn("three", second["id"])
    assert messages(sent) == [("user", "one"), ("assistant", "ok"), ("user", "two"), ("assistant", "ok"), ("user", "three")]
    _, sent = place.begin({"model": "native", "input": asked})
    assert sent["input"][1] == first["output"][0]
    place.tenant = "another"
    _, told = place.begin({"model": "gpt", "input": asked})
    assert refused(told) == (404, "not_found", "input", f"Item with id '{named['id']}' not found.")
    # What is not ours is the provider's to know.
    theirs = {"model": "native", "input": [{"type": "item_reference", "id": "msg_0123"}]}
    _, sent = place.begin(theirs)
    assert sent == {**theirs, "model": "gpt"}


def test_items_that_would_make_too_large_a_request_are_refused_before_it_is_made(tmp_path: Path) -> None:
    """A short reference may stand for a large item, and stand there often."""
    place = Place(tmp_path, msgspec.structs.replace(CONFIG, limits=Limits(request_body=50_000)))
    made, _ = place.begin({"model": "gpt", "input": "one"})
    first = answer(made, reply("a" * 9_000))
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    _, sent = place.begin({"model": "gpt", "input": [named] * 5})
    assert sum(len(text) for _, text in messages(sent)) == 5 * 9_000
    tracemalloc.start()
    _, told = place.begin({"model": "gpt", "input": [named] * 500})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused(told)[:3] == (413, "request_too_large", "input")
    assert most < 2_000_000


@pytest.mark.parametrize("many", [[f"msg_hg{1:036x}_{at}" for at in range(10_001)], [f"msg_hg{at:036x}_0" for at in range(501)]])
def test_too_many_references_are_refused_before_anything_is_looked_up(place: Place, many: list[str]) -> None:
    _, told = place.begin({"model": "gpt", "input": [{"type": "item_reference", "id": one} for one in many]})
    assert refused(told)[:3] == (400, "invalid_request", "input")
    assert place.turns.asked == 0


@pytest.mark.parametrize(("status", "size", "held"), [("200", 10, True), ("500", 10, False), ("200", 2_000, False)])
def test_a_request_whose_answer_is_not_kept_is_not_held_either(tmp_path: Path, status: str, size: int, held: bool) -> None:
    place = Place(tmp_path, max_turn=1_000)
    made, _ = place.begin({"model": "gpt", "input": "a" * size})
    made.delivery.answer({**JSON, ":status": status}, local="", cluster="", attempts=1)
    (given,) = [tap._given for tap in made.delivery.taps if hasattr(tap, "_given")]
    assert bool(given) is held
    made.delivery.feed(reply("a" * 1_000), True)
    (given,) = [tap._given for tap in made.delivery.taps if hasattr(tap, "_given")]
    assert not given
    made.delivery.close(whole=True)
    run(made.delivery.end())


def test_items_of_one_conversation_are_looked_up_at_once(place: Place) -> None:
    _, first = place.turn("one")
    _, second = place.turn("two", first["id"])
    asked = place.turns.asked
    named = [{"type": "item_reference", "id": told["output"][0]["id"]} for told in (first, second)]
    _, sent = place.begin({"model": "gpt", "input": [*named, {"type": "item_reference", "id": named[0]["id"]}]})
    assert messages(sent) == [("assistant", "okokok")]
    assert place.turns.asked == asked + 1


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.sampled_from(["resp_hg1", "item_reference", "reasoning"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["type", "id", "role", "content", "encrypted_content", "x"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.dictionaries(st.sampled_from(["input", "store", "previous_response_id", "background", "conversation"]), VALUES),
    model=st.sampled_from(["gpt", "native", "native-then-claude", "own"]),
    known=st.booleans(),
    said=VALUES,
)
def test_whatever_is_asked_and_answered_is_kept_or_refused(
    fields: dict[str, Any], model: str, known: bool, said: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("turns"), WITH_STATELESS)
    if known:
        made, _ = place.begin({"model": "own", "input": [{"type": "reasoning", "id": "rs_1"}, {"role": "user", "content": "x"}]})
        answer(made, msgspec.json.encode({"id": "resp_1", "status": "completed", "output": [said]}))
        fields = {**fields, "previous_response_id": "resp_1"}
    made = Exchange(place.engine.current, head("/v1/responses", content_length="2"))
    run(made.intake.begin())
    refused = run(made.intake.proceed(msgspec.json.encode({"model": model, **fields})))
    assert refused is None or refused.status in (400, 404)
    if refused is None:
        assert msgspec.json.decode(made.request.body)["model"] == model
    for part in ("", "/input_items"):
        assert place.look(f"/v1/responses/resp_1{part}")[0] in (0, 200)
