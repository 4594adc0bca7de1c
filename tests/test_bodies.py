"""What is asked where a path alone does not say it: clients of Vertex AI, and of Bedrock's InvokeModel."""

from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from extproc.attempt import Attempt
from extproc.bodies import settle_meaning
from extproc.config.model import Config, HeaderEdits, Model, Provider
from extproc.dialects import DIALECTS, INVOKE_COUNT, INVOKE_MESSAGES, heard, takes_messages
from extproc.dialects.eventstream import EVENT_STREAM, event
from extproc.dialects.framing import split
from extproc.dialects.hub import (
    BlockStart,
    BlockStop,
    Conversation,
    Error,
    Finish,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    Used,
)
from extproc.errors import Fault, Reject
from extproc.exchange import Exchange
from extproc.intake import Forward
from extproc.usage import Usage
from tests.scene import CONFIG, Scene, head, run

VERTEX = "/projects/p/locations/eu/publishers/anthropic/models"
GOOGLE = "/v1beta1/publishers/google/models"
SAYS: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}

CLOUDS = Config(
    providers={
        **CONFIG.providers,
        "vertex": Provider(dialect="gemini", base_url="https://vertex.test/v1/projects/p/locations/l/publishers/google", key="v"),
        "aws": Provider(dialect="bedrock", base_url="https://aws.test", key="b"),
    },
    models=(
        *CONFIG.models,
        Model(name="text", targets=("vertex/text-embedding-005",)),
        Model(name="at-aws", targets=("aws/eu.anthropic.claude-x",)),
        Model(name="profile", targets=("aws/arn:aws:bedrock:eu:1:application-inference-profile/x",)),
        Model(name="nova", targets=("aws/amazon.nova-pro-v1:0",)),
    ),
)


def asked(path: str, body: dict[str, Any] | bytes, **headers: str) -> tuple[Exchange, Forward]:
    """A client's request, and what goes on."""
    made = Scene(CLOUDS).exchange(head(path, **headers))
    assert run(made.intake.begin()) is None
    answered = run(made.intake.proceed(body if isinstance(body, bytes) else msgspec.json.encode(body)))
    assert answered is None, answered.body
    return made, made.intake.forward()


def sent(forward: Forward) -> dict[str, Any]:
    assert forward.outgoing.body is not None
    return dict(msgspec.json.decode(forward.outgoing.body))


# Anthropic's at Vertex.


@pytest.mark.parametrize("version", ["", "/v1", "/v1beta1"])
def test_claude_at_vertex_is_what_anthropic_is_asked(version: str) -> None:
    body = b'{"max_tokens": 9, "anthropic_version":"vertex-2023-10-16", "messages":[ {"role":"user","content":"Hi"} ]}'
    made, forward = asked(f"{version}{VERTEX}/claude-9%4020250101:rawPredict", body)
    record = made.request.record
    assert (record.model, record.dialect, record.path) == ("claude-9@20250101", "anthropic", "/v1/messages")
    assert forward.outgoing.headers[":path"] == "/v1/messages"
    assert not forward.call.stream
    # All else is as it was, to the byte.
    expected = b'{"max_tokens": 9, "messages":[ {"role":"user","content":"Hi"} ],"model":"claude-9@20250101"}'
    assert forward.outgoing.body == expected
    assert forward.outgoing.headers["content-length"] == str(len(expected))
    assert forward.outgoing.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(
    ("verb", "said", "stream"), [("streamRawPredict", None, True), ("streamRawPredict", True, True), ("rawPredict", True, False)]
)
@pytest.mark.parametrize("model", ["claude-9", "gpt", "both"])
def test_the_path_says_whether_it_streams(model: str, verb: str, said: bool | None, stream: bool) -> None:
    made, forward = asked(f"{VERTEX}/{model}:{verb}", {**SAYS, **({} if said is None else {"stream": said})})
    assert (forward.call.stream, made.request.stream) == (stream, stream)
    assert bool(sent(forward).get("stream")) == stream
    assert "anthropic_version" not in sent(forward)


@pytest.mark.parametrize("model", ["claude-9", "gpt"])
def test_the_body_names_no_other_model(model: str) -> None:
    _, forward = asked(f"{VERTEX}/{model}:rawPredict", {"model": "claude-100", **SAYS})
    assert sent(forward)["model"] == model


def test_tokens_are_counted_of_the_model_in_the_body() -> None:
    body = {"anthropic_version": "2023-06-01", "model": "claude-9", "messages": SAYS["messages"]}
    made, forward = asked(f"/v1{VERTEX}/count-tokens:rawPredict", body)
    assert (made.request.endpoint.kind, forward.outgoing.headers[":path"]) == ("count", "/v1/messages/count_tokens")
    assert sent(forward) == {"model": "claude-9", "messages": SAYS["messages"]}


BETAS = {**SAYS, "anthropic_beta": ["a-1", " b-2", "", "a-1"]}


@pytest.mark.parametrize(
    ("headers", "betas"), [({}, "a-1,b-2"), ({"anthropic_beta": "c-3"}, "c-3,a-1,b-2"), ({"anthropic_beta": "b-2, c-3"}, "b-2, c-3,a-1")]
)
@pytest.mark.parametrize("model", ["claude-9", "count-tokens"])
def test_betas_of_the_body_become_a_header(model: str, headers: dict[str, str], betas: str) -> None:
    made, forward = asked(f"{VERTEX}/{model}:rawPredict", {**BETAS, "model": "claude-9"}, **headers)
    assert forward.outgoing.headers["anthropic-beta"] == made.request.betas == betas
    assert "anthropic_beta" not in sent(forward)


def test_betas_go_to_anthropic_alone_and_are_named_elsewhere() -> None:
    _, forward = asked(f"{VERTEX}/gpt:rawPredict", BETAS)
    assert not [name for name in forward.outgoing.headers if "beta" in name]
    made, forward = asked(f"{VERTEX}/both:rawPredict", BETAS)
    call, snapshot = forward.call, made.snapshot
    assert len(call.targets) == 2 and call.rules == {}
    seen: dict[str, str] = {**made.request.headers, **forward.outgoing.headers}
    for target in (*call.targets, *call.targets):
        attempt = Attempt(call, target, snapshot.upstreams[target.provider], 0)
        outgoing = attempt.outgoing(seen, made.request.body)
        assert attempt.dropped == ([] if target.provider == "anthropic" else ["anthropic_beta"])
        seen = {name: value for name, value in seen.items() if name not in outgoing.remove} | outgoing.headers
        assert seen.get("anthropic-beta") == ("a-1,b-2" if target.provider == "anthropic" else None)


def test_who_wants_nothing_lost_is_refused_with_betas_elsewhere() -> None:
    with pytest.raises(Reject, match="anthropic_beta"):
        asked(f"{VERTEX}/gpt:rawPredict", BETAS, x_headgate_strict="true")
    asked(f"{VERTEX}/claude-9:rawPredict", BETAS, x_headgate_strict="true")


def test_the_operator_has_the_last_word_on_betas() -> None:
    made = Scene(CLOUDS).exchange(head(f"{VERTEX}/claude-9:rawPredict"))
    assert run(made.intake.begin()) is None and run(made.intake.proceed(msgspec.json.encode(BETAS))) is None
    made.request.set_headers["anthropic-beta"] = "ruled"
    assert made.intake.forward().outgoing.headers["anthropic-beta"] == "ruled"
    made, forward = asked(f"{VERTEX}/claude-9:rawPredict", BETAS)
    upstream = replace(made.snapshot.upstreams["anthropic"], request=HeaderEdits(remove=("anthropic-beta",)))
    attempt = Attempt(forward.call, forward.call.targets[0], upstream, 0)
    assert "anthropic-beta" not in attempt.outgoing(made.request.headers, made.request.body).headers


@pytest.mark.parametrize("wrong", ["a", 5, [5], [["a"]], ["a b"], ["a\r\nx-evil: 1"], ["é"], ["a,b"], ["a" * 5000], [""] * 5000, b"\xff"])
def test_betas_that_no_header_could_hold_are_refused(wrong: Any) -> None:
    body = b'{"anthropic_beta":["\xff"]}' if wrong == b"\xff" else msgspec.json.encode({**SAYS, "anthropic_beta": wrong})
    for path in (f"{VERTEX}/claude-9:rawPredict", f"{VERTEX}/count-tokens:rawPredict"):
        made = Scene(CLOUDS).exchange(head(path))
        assert run(made.intake.begin()) is None
        answered = run(made.intake.proceed(body))
        assert answered is not None and answered.status == 400 and b"anthropic_beta" in answered.body


@pytest.mark.parametrize("null", [None, [], [""]])
def test_no_betas_are_none(null: Any) -> None:
    _, forward = asked(f"{VERTEX}/claude-9:rawPredict", {**SAYS, "anthropic_beta": null})
    assert "anthropic-beta" not in forward.outgoing.headers


NO_REQUESTS = [
    b"{nope", b"[]", b"", b'{"anthropic_version": "x"', b'{"stream": 5}', b'{"model": "a", "model": "b"}',
]  # fmt: skip


@pytest.mark.parametrize("body", NO_REQUESTS)
@pytest.mark.parametrize("path", [f"{VERTEX}/claude-9:rawPredict", f"{GOOGLE}/text:predict", "/model/gpt/invoke"])
def test_what_is_no_request_is_refused(path: str, body: bytes) -> None:
    made = Scene(CLOUDS).exchange(head(path))
    assert run(made.intake.begin()) is None
    answered = run(made.intake.proceed(body))
    assert answered is not None and answered.status == 400


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/model/gpt/invoke", b'{"anthropic_version":["\xff"],"messages":[]}', "invoke_messages"),
        (f"{GOOGLE}/text:predict", b'{"instances":[{"content":["\xff"]}]}', "predict"),
        (f"{GOOGLE}/text:predict", b'{"instances":[{"content":"Hi"},"\xff",{"content":5}]}', "predict"),
    ],
)
def test_nothing_is_decoded_to_tell(path: str, body: bytes, kind: str) -> None:
    """What is no UTF-8 could not be. A body may be large, and its reader is the one to work on it, aside."""
    made = Scene(CLOUDS).exchange(head(path))
    assert run(made.intake.begin()) is None
    made.request.body = body
    settle_meaning(made.request)
    assert made.request.endpoint.kind == kind


# Google's `predict`.


def test_instances_with_contents_want_vectors() -> None:
    made, forward = asked(f"{GOOGLE}/gpt:predict", {"instances": [{"content": "Hi"}], "parameters": {"outputDimensionality": 3}})
    assert made.request.endpoint.operation == "embeddings"
    assert forward.outgoing.headers[":path"] == "/v1/embeddings"
    assert sent(forward) | {"encoding_format": ""} == {"model": "gpt", "input": ["Hi"], "dimensions": 3, "encoding_format": ""}
    own, forward = asked(f"{GOOGLE}/text:predict", {"instances": [{"content": "Hi"}]})
    assert own.request.endpoint.operation == "embeddings"
    assert forward.outgoing.headers[":path"].endswith("/models/text-embedding-005:predict")
    assert forward.outgoing.body is None


@pytest.mark.parametrize("others", [[], [{"content": "Hi"}], ["odd", 5]])
@pytest.mark.parametrize("first", [{"prompt": "A cat"}, {"content": None}, {}])
def test_other_instances_are_googles_alone(first: dict[str, Any], others: list[Any]) -> None:
    made, forward = asked(f"{GOOGLE}/text:predict", {"instances": [first, *others]})
    assert made.request.endpoint.kind == "json"
    assert forward.outgoing.headers[":path"].endswith("/models/text-embedding-005:predict")


# Bedrock's InvokeModel.

INVOKED = {"anthropic_version": "bedrock-2023-05-31", **SAYS}


@pytest.mark.parametrize(("end", "stream"), [("invoke", False), ("invoke-with-response-stream", True)])
@pytest.mark.parametrize("model", ["gpt", "claude-9", "nova", "both"])
def test_claude_at_bedrock_reaches_others(model: str, end: str, stream: bool) -> None:
    made, forward = asked(f"/model/{model}/{end}", {**INVOKED, "anthropic_beta": ["x"]})
    assert made.request.endpoint.converses
    assert (forward.call.stream, made.request.record.dialect, forward.call.model) == (stream, "bedrock", model)
    if model == "both":
        return
    ways = {
        "gpt": "/v1/chat/completions",
        "claude-9": "/v1/messages",
        "nova": "/model/amazon.nova-pro-v1%3A0/converse" + "-stream" * stream,
    }
    assert forward.outgoing.headers[":path"] == ways[model]
    body = sent(forward)
    assert not {"anthropic_version", "anthropic_beta"} & set(body)
    assert "Hi" in str(body)
    assert forward.outgoing.headers.get("anthropic-beta") == ("x" if model == "claude-9" else None)


def written(dialect: str, model: str, **body: Any) -> tuple[dict[str, Any], Conversation]:
    read: Conversation = heard("bedrock", "", INVOKE_MESSAGES).operations["invoke_messages"].read_request({"model": "m", **INVOKED, **body})
    return DIALECTS[dialect].write_request(read, model), read


@pytest.mark.parametrize("dialect", DIALECTS)
def test_betas_of_an_invocation_are_told_or_named(dialect: str) -> None:
    body, question = written(dialect, "m", anthropic_beta=["a-1", " b-2"])
    there = dialect == "anthropic"
    assert question.headers == ({"anthropic-beta": "a-1,b-2"} if there else {})
    assert question.dropped == ([] if there else ["anthropic_beta"])
    assert "anthropic_beta" not in str(body)
    body, question = written(dialect, "m", anthropic_beta=None)
    assert (question.headers, question.dropped) == ({}, [])


def test_betas_for_claude_at_bedrock_stand_among_what_only_it_has() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body, question = written("bedrock", "eu.anthropic.claude-sonnet-4-5-v1:0", anthropic_beta=["a-1"], thinking=thinking, max_tokens=5000)
    assert body["additionalModelRequestFields"] == {"thinking": thinking, "anthropic_beta": ["a-1"]}
    assert question.dropped == []
    body, question = written("bedrock", "eu.anthropic.claude-sonnet-4-5-v1:0", anthropic_beta=[""])
    assert ("additionalModelRequestFields" in body, question.dropped) == (False, [])


def test_what_is_no_beta_is_refused() -> None:
    made, forward = asked("/model/both/invoke", {**INVOKED, "anthropic_beta": ["a\r\nx-evil: 1"]})
    for target in forward.call.targets:
        attempt = Attempt(forward.call, target, made.snapshot.upstreams[target.provider], 0)
        with pytest.raises(Reject, match="anthropic_beta"):
            attempt.outgoing(made.request.headers, made.request.body)


@pytest.mark.parametrize("end", ["invoke", "invoke-with-response-stream"])
@pytest.mark.parametrize(("model", "there"), [("at-aws", "eu.anthropic.claude-x"), ("profile", "arn%3Aaws%3Abedrock%3Aeu%3A1%3A")])
def test_claude_at_bedrock_passes_to_bedrock_as_it_is(model: str, there: str, end: str) -> None:
    made, forward = asked(f"/model/{model}/{end}", INVOKED)
    assert forward.outgoing.body is None
    path = forward.outgoing.headers[":path"]
    assert path.startswith(f"/model/{there}") and path.endswith(f"/{end}")
    # A conversation is no vector: it is not answered twice the same unless it asks for that.
    assert made.request.endpoint.operation == "chat"
    assert made.request.record.cache == ""


ARN = "arn:aws:bedrock:eu-west-1:123456789012"


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("anthropic.claude-x", True),
        ("eu.anthropic.claude-x", True),
        ("arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-x", True),
        (f"{ARN}:inference-profile/eu.anthropic.claude-x", True),
        (f"{ARN}:application-inference-profile/abcdefghijkl", True),
        (f"{ARN.replace('aws', 'aws-us-gov', 1)}:provisioned-model/abcdefghijkl", True),
        ("amazon.nova-pro-v1:0", False),
        ("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-pro-v1:0", False),
        (f"{ARN}:inference-profile/eu.amazon.nova-pro-v1:0", False),
        (f"{ARN}:imported-model/abcdefghijkl", False),
    ],
)
def test_which_models_take_anthropics_bodies(model: str, takes: bool) -> None:
    assert takes_messages(model) == takes


def test_what_is_invoked_otherwise_is_as_it_was() -> None:
    assert asked("/model/gpt/invoke", {"inputText": "Hi"})[0].request.endpoint.kind == "invoke"
    assert asked("/model/gpt/invoke", {"inputText": "Hi", "anthropic_version": None})[0].request.endpoint.kind == "invoke"
    for end, body in (("invoke-with-response-stream", {"prompt": "Hi"}), ("invoke", {"inputText": "Hi", "textGenerationConfig": {}})):
        made, forward = asked(f"/model/nova/{end}", body)
        assert (made.request.endpoint.kind, forward.outgoing.body) == ("json", None)
        assert forward.outgoing.headers[":path"].endswith(f"/{end}")


def refused(path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    made = Scene(CLOUDS).exchange(head(path))
    assert run(made.intake.begin()) is None
    answered = run(made.intake.proceed(body))
    assert answered is not None
    return answered.status, msgspec.json.decode(answered.body)


@pytest.mark.parametrize("model", ["gpt", "claude-9"])
@pytest.mark.parametrize("end", ["invoke", "invoke-with-response-stream"])
def test_what_is_wrong_with_an_invocation_is_told_in_amazons_form(model: str, end: str) -> None:
    for wrong in (b"{nope", b"[]", b""):
        status, told = refused(f"/model/{model}/{end}", wrong)
        assert (status, told["__type"]) == (400, "ValidationException")
        assert "JSON" in told["message"]
    for other in (
        {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
        {"prompt": "Hi"},
        {"inputText": "Hi", "textGenerationConfig": {}},
    ):
        status, told = refused(f"/model/{model}/{end}", msgspec.json.encode(other))
        assert (status, told["__type"]) == (400, "ValidationException")
        assert "embeddings" not in told["message"] and "converse" in told["message"]


def counting(body: Any) -> dict[str, Any]:
    raw = body if type(body) is bytes else msgspec.json.encode(body)
    return {"input": {"invokeModel": {"body": b64encode(raw).decode()}}}


@pytest.mark.parametrize(
    ("model", "path"), [("claude-9", "/v1/messages/count_tokens"), ("nova", "/model/amazon.nova-pro-v1%3A0/count-tokens")]
)
def test_an_invocation_is_counted_by_others(model: str, path: str) -> None:
    made, forward = asked(f"/model/{model}/count-tokens", counting({**INVOKED, "system": "Be kind."}))
    assert (made.request.endpoint.operation, forward.outgoing.headers[":path"]) == ("count", path)
    body = sent(forward)
    given = body if model == "claude-9" else body["input"]["converse"]
    assert "Be kind." in str(given["system"]) and "Hi" in str(given["messages"])
    assert not {"anthropic_version", "max_tokens", "inferenceConfig"} & set(given)


def test_an_invocation_that_is_bulky_is_so_in_base64() -> None:
    many = {**INVOKED, "messages": [{"role": "user", "content": "Hi"}] * 2500}
    made = Scene(CLOUDS).exchange(head("/model/claude-9/count-tokens"))
    assert run(made.intake.begin()) is None and run(made.intake.proceed(msgspec.json.encode(counting(many)))) is None
    assert made.request.bulky
    assert not asked("/model/claude-9/count-tokens", counting(INVOKED))[0].request.bulky


def test_an_invocation_is_estimated_where_nobody_counts() -> None:
    whole = {"converse": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}}
    plain = refused("/model/gpt/count-tokens", msgspec.json.encode({"input": whole}))
    told = refused("/model/gpt/count-tokens", msgspec.json.encode(counting(INVOKED)))
    assert told == plain
    assert told[0] == 200 and told[1]["inputTokens"] > 0


def test_an_invocation_is_counted_as_it_is_at_bedrock() -> None:
    for model, body in (("at-aws", INVOKED), ("at-aws", {"prompt": "Hi"}), ("nova", {"inputText": "Hi"})):
        _, forward = asked(f"/model/{model}/count-tokens", counting(body))
        assert forward.outgoing.body is None
        assert forward.outgoing.headers[":path"].endswith("/count-tokens")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (counting({"prompt": "Hi"}), "anthropic_version"),
        ({"input": {"invokeModel": {"body": "%"}}}, "anthropic_version"),
        ({"input": {"invokeModel": {}}}, "anthropic_version"),
        ({"input": {}}, "input.converse"),
        ({}, "input"),
        (counting({**INVOKED, "messages": 5}), "messages"),
        (counting(b'{"anthropic_version":"x","messages":[}'), "anthropic_version"),
    ],
)
def test_what_is_no_count(body: dict[str, Any], says: str) -> None:
    status, told = refused("/model/gpt/count-tokens", msgspec.json.encode(body))
    assert (status, told["__type"]) == (400, "ValidationException")
    assert says in told["message"]


@pytest.mark.parametrize("given", [None, 5, "%", "", b64encode(b"[]").decode(), b64encode(b"{nope").decode()])
def test_what_is_no_invocation_to_count(given: Any) -> None:
    operation = heard("bedrock", "", INVOKE_COUNT).operations[INVOKE_COUNT]
    with pytest.raises(Reject, match=r"input\.invokeModel\.body"):
        operation.read_request({"model": "m", "input": {"invokeModel": {"body": given}}})


TOLD: list[StreamEvent] = [
    Start(dialect="openai", id="x", model="m"),
    BlockStart(index=0, block=Text(text="")),
    TextDelta(index=0, text="Hello"),
    BlockStop(index=0),
    Stop(reason=StopReason.END, raw="stop", dialect="openai"),
    Used(usage=Usage(input=5, output=2)),
    Finish(),
]


def chunks(stream: bytes) -> list[dict[str, Any]]:
    read = [EVENT_STREAM.parse(raw) for raw in split(EVENT_STREAM, stream)]
    assert all(event is not None and event.event == "chunk" for event in read)
    return [msgspec.json.decode(b64decode(msgspec.json.decode(event.data)["bytes"])) for event in read if event]


def test_a_stream_of_amazons_messages() -> None:
    writer = heard("bedrock", "/model/m/invoke-with-response-stream", INVOKE_MESSAGES).stream_writer(include_usage=False)
    events = chunks(b"".join(map(writer.write, TOLD)) + writer.end())
    assert [event["type"] for event in events] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert events[2]["delta"] == {"type": "text_delta", "text": "Hello"}
    assert events[-1]["amazon-bedrock-invocationMetrics"] == {"inputTokenCount": 5, "outputTokenCount": 2}
    assert writer.end() == b""


def test_a_stream_that_breaks_ends_with_an_exception() -> None:
    dialect = heard("bedrock", "", INVOKE_MESSAGES)
    writer = dialect.stream_writer(include_usage=False)
    told = [writer.write(event) for event in (*TOLD[:3], Error(fault=Fault(503, "overloaded", "Busy")), TOLD[3])]
    last = EVENT_STREAM.parse(told[3])
    assert last is not None and last.event == "error:serviceUnavailableException" and b"Busy" in last.data
    assert told[4] == b"" == writer.end()
    assert dialect.write_error(Fault(429, "rate_limit_exceeded", "Slow"), "r")["__type"] == "ThrottlingException"
    assert b"throttlingException" in dialect.stream_error(Fault(429, "rate_limit_exceeded", "Slow"), "r")


def chunk(told: dict[str, Any]) -> bytes:
    return event("chunk", msgspec.json.encode({"bytes": b64encode(msgspec.json.encode(told)).decode(), "p": "abc"}))


def test_what_bedrock_streams_of_it_is_counted() -> None:
    watch = DIALECTS["bedrock"].stream_usage()
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
    assert not watch.feed(chunk({"type": "message_start", "message": {"usage": {"input_tokens": 3}}}))
    assert not watch.feed(chunk(delta))
    assert (watch.text, watch.finished, watch.usage) == (5, False, None)
    metrics = {"inputTokenCount": 3, "outputTokenCount": 2, "cacheReadInputTokenCount": 4, "invocationLatency": 1}
    assert watch.feed(chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}))
    assert (watch.finished, watch.usage) == (True, Usage(input=7, output=2, cache_read=4))


@pytest.mark.parametrize("payload", [b"{", b'{"bytes":5}', b'{"bytes":"!"}', b"{}", b'{"bytes":"e30="}'])
def test_a_chunk_that_is_none_counts_nothing(payload: bytes) -> None:
    watch = DIALECTS["bedrock"].stream_usage()
    assert not watch.feed(event("chunk", payload))
    assert (watch.finished, watch.usage) == (False, None)
