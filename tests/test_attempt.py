"""What an attempt makes of a request for a provider, and of the provider's headers for a client."""

from typing import Any

import msgspec
import pytest

from extproc import Reject
from extproc import attempt as attempt_module
from extproc.answering import WholeTranslated
from extproc.attempt import Attempt, Outgoing
from extproc.call import Call
from extproc.config.model import Paths, Provider
from extproc.crossing import CREDENTIALS, to_provider, without_credential
from extproc.dialects import seals
from extproc.dialects.quirks import Quirks
from extproc.endpoints import endpoint
from extproc.upstream import compile_upstream
from extproc.values import Target
from tests.scene import CHAT, head

MOST = 1 << 20
PROVIDERS = {
    "openai": Provider(dialect="openai", base_url="https://openai.test/v1", key="sk-openai"),
    "azure": Provider(dialect="openai", base_url="https://azure.test:8443/openai/v1", key="sk-azure"),
    "anthropic": Provider(dialect="anthropic", base_url="https://anthropic.test", key="sk-anthropic"),
    "deployments": Provider(
        dialect="openai",
        base_url="https://azure.test/openai",
        key="sk-azure",
        auth="api-key",
        paths=Paths(chat="/deployments/{model}/chat/completions?api-version=1"),
        quirks=Quirks(refuses=("stop",), max_tokens_field="max_completion_tokens"),
    ),
    "gemini": Provider(dialect="gemini", base_url="https://gemini.test/v1beta", key="AIza-gemini"),
    "vertex": Provider(
        dialect="gemini", base_url="https://vertex.test/v1beta1/projects/p/locations/l/publishers/google", auth="google", key="t"
    ),
    "local": Provider(dialect="openai", base_url="http://local.test/v1"),
    "responses": Provider(dialect="responses", base_url="https://openai.test/v1", key="sk-openai"),
    "several": Provider(dialect="openai", also=("responses", "anthropic"), base_url="https://several.test/api/v1", key="sk-several"),
    "ollama": Provider(dialect="ollama", base_url="http://ollama.test:11434"),
    "bedrock": Provider(dialect="bedrock", base_url="https://bedrock.test", key="b-key"),
    "mistral": Provider(
        dialect="openai",
        base_url="https://mistral.test/v1",
        quirks=Quirks(refuses=("user", "n"), rename={"seed": "random_seed"}, max_tokens_field="max_tokens", stream_usage=False),
    ),
    "claude": Provider(dialect="anthropic", base_url="https://mistral.test/v1", quirks=Quirks(sdk="mistral")),
    "magistral": Provider(dialect="openai", base_url="https://mistral.test/v1", quirks=Quirks(sdk="mistral", stream_usage=False)),
}


def attempt(provider: str = "openai", model: str = "gpt", seen: dict[str, str] | None = None, **changes: Any) -> Attempt:
    seen = seen or head(authorization="Bearer hg-callers", x_title="app", anthropic_version="2024-01-01")
    usual = {
        "id": "r-1",
        "generation": "g",
        "dialect": "openai",
        "kind": "chat",
        "path": without_credential(seen[":path"]),
        "model": "" if changes.get("kind") == "raw" else "gpt",
    }
    crossing = {name: value for name, value in seen.items() if to_provider(name)}
    call = Call(**{"headers": crossing, "targets": (Target(provider, model),), **usual, **changes})
    return Attempt(call, Target(provider, model), compile_upstream(provider, PROVIDERS[provider]), MOST)


def sent(seen: dict[str, str], body: bytes, outgoing: Outgoing) -> tuple[dict[str, str], bytes]:
    """The request as it stands after an attempt's changes."""
    headers = {name: value for name, value in seen.items() if name not in outgoing.remove} | outgoing.headers
    return headers, body if outgoing.body is None else outgoing.body


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


@pytest.mark.parametrize(
    ("body", "expected", "dropped"),
    [
        (b'{"model": "gpt", "x": [1.50]}', None, []),
        (b'{"model":"gpt","messages":[{"user":1}]}', None, []),
        (b'{"model":"gpt", "max_completion_tokens": 5 }', b'{"model":"gpt", "max_tokens": 5 }', []),
        (b'{"model":"gpt","user":"u","n":1,"x":1.50}', b'{"model":"gpt","x":1.50}', ["user"]),
        (b'{"model":"gpt","n":2,"seed":7}', b'{"model":"gpt","random_seed":7}', ["n"]),
        (b'{"model":"gpt","stream_options":{"include_usage":true}}', b'{"model":"gpt"}', []),
        (b'{"model":"gpt","max_tokens":4,"max_completion_tokens":5}', b'{"model":"gpt","max_tokens":4}', ["max_completion_tokens"]),
    ],
)
def test_what_a_provider_of_the_same_dialect_refuses_is_cut_out_alone(body: bytes, expected: bytes | None, dropped: list[str]) -> None:
    made = attempt("mistral")
    outgoing = made.outgoing(head(), body)
    assert outgoing.body == expected
    assert made.dropped == dropped
    assert outgoing.headers["content-length"] == str(len(body if outgoing.body is None else outgoing.body))
    strict = attempt("mistral", strict=True)
    if not dropped:
        strict.outgoing(head(), body)
        return
    with pytest.raises(Reject) as caught:
        strict.outgoing(head(), body)
    assert (caught.value.fault.status, caught.value.fault.code) == (400, "unsupported_fields")


def test_headers_that_go_with_what_was_written() -> None:
    search = {"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.test/mcp"}
    seen = head("/v1/responses")
    for tools, beta in (([search], "mcp-client-2025-11-20"), ([], None), ([search], "mcp-client-2025-11-20")):
        made = attempt("anthropic", "claude-sonnet-4-5", seen, dialect="responses")
        outgoing = made.outgoing(seen, encoded({"model": "gpt", "input": "Hi", "tools": tools}))
        assert outgoing.headers.get("anthropic-beta") == beta


def test_a_legacy_completion_is_a_conversation_elsewhere() -> None:
    seen = head("/v1/completions")
    body = b'{"model":"gpt","prompt":"Once","max_tokens":5}'
    at_home = attempt("openai", seen=seen, kind="completions").outgoing(seen, body)
    assert (at_home.headers.get(":path"), at_home.body) == (None, None)
    made = attempt("anthropic", "claude-sonnet-4-5", seen, kind="completions")
    outgoing = made.outgoing(seen, body)
    assert outgoing.headers[":path"] == "/v1/messages"
    assert msgspec.json.decode(outgoing.body or b"")["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Once"}]}]
    with pytest.raises(Reject):
        made.outgoing(seen, b'{"model":"gpt","prompt":["a","b"]}')


def test_usage_is_not_asked_for_where_it_is_told_anyway() -> None:
    made = attempt("mistral", stream=True, asks_usage=True)
    assert made.outgoing(head(), b'{"model":"gpt","stream":true}').body is None


ANSWERED = {
    "id": "c-1", "object": "chat.completion", "created": 1, "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi", "reasoning": "Hm"}, "finish_reason": "stop"}],
}  # fmt: skip


def test_the_form_of_an_sdk_is_one_of_its_dialect() -> None:
    content = [{"type": "thinking", "thinking": "Hm", "signature": "s"}]
    answer = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn", "usage": {}}
    (told,) = attempt("claude", sdk="mistral").answering(200, {"content-type": "application/json"}).feed(encoded(answer), True)
    assert b'"type":"thinking"' in told


@pytest.mark.parametrize(("provider", "sdk"), [("magistral", "mistral"), ("magistral", ""), ("openai", "")])
def test_who_speaks_the_same_form_is_not_translated(provider: str, sdk: str) -> None:
    made = attempt(provider, sdk=sdk)
    assert made.same
    assert made.outgoing(head(), encoded(CHAT)).body is None
    assert made.answering(200, {"content-type": "application/json"}).feed(encoded(ANSWERED), True) == [encoded(ANSWERED)]


def test_mistrals_sdk_gets_answers_of_others_in_its_form() -> None:
    made = attempt("openai", "gpt-5", sdk="mistral", stream=True, asks_usage=True)
    assert not made.same
    sent = msgspec.json.decode(made.outgoing(head(), encoded({**CHAT, "stream": True, "random_seed": 1})).body or b"")
    assert (sent["seed"], sent["stream_options"]) == (1, {"include_usage": True})
    (told,) = made.answering(200, {"content-type": "application/json"}).feed(encoded(ANSWERED), True)
    body = msgspec.json.decode(told)
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    assert body["choices"][0]["message"] == {"role": "assistant", "content": [thought, {"type": "text", "text": "Hi"}]}
    assert [body["usage"][kind] for kind in ("prompt_tokens", "completion_tokens", "total_tokens")] == [0, 0, 0]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_is_bulky_is_made_aside_in_the_same_form(provider: str) -> None:
    made = attempt(provider, sdk="mistral")
    body = encoded({**CHAT, "random_seed": 1, "messages": [{"role": "user", "content": "x" * 100_000}]})
    job = made.job(body)
    assert job is not None
    assert job.work(body).body == made.rewrite(body)
    one = attempt("openai", sdk="mistral")
    here, aside = (one.answering(200, {"content-type": "application/json"}) for _ in range(2))
    whole = encoded({**ANSWERED, "more": [{}] * 30_000})
    assert isinstance(aside, WholeTranslated)
    retell = aside.job(whole)
    assert retell is not None
    aside.take(retell[0].work(retell[1]))
    (told,) = aside.feed(whole, True)
    assert [told] == here.feed(whole, True)
    assert b'"thinking"' in told


def test_what_is_no_chat_passes_though_its_provider_has_quirks() -> None:
    seen = head("/v1/embeddings")
    assert attempt("mistral", seen=seen, kind="embeddings").outgoing(seen, b'{"model":"gpt","user":"u"}').body is None


@pytest.mark.parametrize("body", [b"[1]", b'{"user":', b'"user"'])
def test_no_object_is_refused_though_only_a_quirk_has_to_read_it(body: bytes) -> None:
    with pytest.raises(Reject):
        attempt("mistral").outgoing(head(), body + b' "user"')


def test_a_provider_s_own_path_credential_and_quirks() -> None:
    body = encoded({"model": "gpt", "max_tokens": 9, "stop_sequences": ["a"], "messages": [{"role": "user", "content": "x"}]})
    seen = head("/v1/messages?beta=true", x_api_key="hg-callers")
    made = attempt("deployments", "my/gpt", seen, dialect="anthropic")
    outgoing = made.outgoing(seen, body)
    assert outgoing.headers[":path"] == "/openai/deployments/my%2Fgpt/chat/completions?api-version=1"
    assert outgoing.headers["api-key"] == "sk-azure"
    assert "x-api-key" in outgoing.remove
    assert made.dropped == ["stop_sequences"]
    assert msgspec.json.decode(outgoing.body or b"") == {
        "model": "my/gpt",
        "messages": [{"role": "user", "content": "x"}],
        "max_completion_tokens": 9,
    }
    seen = head("/v1/chat/completions?x=1")
    passed = attempt("deployments", "my/gpt", seen).outgoing(seen, b'{"model": "gpt"}')
    assert passed.headers[":path"] == "/openai/deployments/my%2Fgpt/chat/completions?api-version=1&x=1"
    assert passed.body is None


def test_same_dialect_same_name() -> None:
    seen = head(authorization="Bearer hg-callers", x_title="app", content_length="99", accept_encoding="gzip")
    body = b'{ "model": "gpt",  "messages": [] }'
    assert attempt(seen=seen).outgoing(seen, body) == Outgoing(
        {":authority": "openai.test", "authorization": "Bearer sk-openai", "content-length": str(len(body))},
        ("x-forwarded-for", "accept-encoding"),
        None,
    )


def test_rename_changes_the_name_alone() -> None:
    seen, body = head(), b'{ "model" : "gpt", "seed":1.0, "messages": [] }'
    outgoing = attempt("azure", "gpt-4o-2024").outgoing(seen, body)
    headers, out = sent(seen, body, outgoing)
    assert out == body.replace(b'"gpt"', b'"gpt-4o-2024"')
    assert headers["content-length"] == str(len(out))
    assert (headers[":path"], headers[":authority"]) == ("/openai/v1/chat/completions", "azure.test:8443")
    assert headers["authorization"] == "Bearer sk-azure"


@pytest.mark.parametrize(
    ("path", "stream", "asked", "forced"),
    [
        ("/v1/chat/completions", True, False, True),
        ("/v1/completions?x=1", True, False, True),
        ("/v1/chat/completions", True, True, False),
        ("/v1/chat/completions", False, False, False),
        ("/v1/responses", True, False, False),
    ],
)
def test_usage_is_asked_for_where_the_client_did_not(path: str, stream: bool, asked: bool, forced: bool) -> None:
    seen, body = head(path), encoded({**CHAT, "stream": stream})
    meant = endpoint("POST", path, seen)
    provider = "responses" if meant.dialect == "responses" else "openai"
    made = attempt(
        provider, "gpt", seen, dialect=meant.dialect, kind=meant.kind, asks_usage=meant.asks_usage, stream=stream, include_usage=asked
    )
    outgoing = made.outgoing(seen, body)
    if forced:
        assert outgoing.body is not None
        assert msgspec.json.decode(outgoing.body) == {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
        assert outgoing.headers["content-length"] == str(len(outgoing.body))
    else:
        assert outgoing.body is None


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/model/gpt/converse?x=1", "chat", "/model/arn%3Aa%2Fb/converse?x=1"),
        ("/model/gpt/invoke?x=1", "json", "/model/arn%3Aa%2Fb/invoke?x=1"),
    ],
)
def test_a_name_that_stands_in_the_path_is_changed_there(path: str, kind: str, expected: str) -> None:
    seen = head(path)
    one = attempt(
        "bedrock", "arn:a/b", seen, dialect="bedrock", kind=kind, named=True, rest=path.partition("?")[0].removeprefix("/model/gpt")
    )
    outgoing = one.outgoing(seen, b'{"max_tokens": 1}')
    assert outgoing.headers[":path"] == expected
    assert outgoing.headers["authorization"] == "Bearer b-key"
    assert outgoing.body is None, "not a byte of the body changes"


def test_a_path_names_the_model_and_the_stream() -> None:
    seen = head("/model/gpt/converse-stream")
    one = attempt("anthropic", "claude", seen, dialect="bedrock", named=True, stream=True)
    body = msgspec.json.decode(one.outgoing(seen, b'{"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}').body or b"")
    assert (body["model"], body["stream"]) == ("claude", True)
    back = attempt("bedrock", "a:0", stream=True)
    outgoing = back.outgoing(head(), encoded({"model": "gpt", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}))
    assert outgoing.headers[":path"] == "/model/a%3A0/converse-stream"
    assert msgspec.json.decode(outgoing.body or b"") == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_translation() -> None:
    seen = head("/v1/chat/completions?beta=1", x_title="app", openai_beta="x", accept="*/*", content_length="77")
    body = encoded({**CHAT, "max_tokens": 9})
    headers, out = sent(seen, body, attempt("anthropic", "claude", seen).outgoing(seen, body))
    assert msgspec.json.decode(out) == {
        "model": "claude",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }
    assert headers == {
        ":method": "POST", ":path": "/v1/messages", ":authority": "anthropic.test", ":scheme": "http", "x-request-id": "r-1",
        "x-forwarded-proto": "http", "content-type": "application/json", "accept": "application/json", "user-agent": "test/1",
        "x-api-key": "sk-anthropic", "anthropic-version": "2023-06-01", "content-length": str(len(out)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Bern"}}}, "unsupported_parameter", "prompt"),
        ({"input": [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_1"}]}, "not_found", "input[1]"),
        ({"input": [{"id": "msg_1"}]}, "not_found", "input[0]"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "unsupported_parameter", "input[0]"),
    ],
)
@pytest.mark.parametrize("kind", ["chat", "count"])
def test_nobody_is_answered_without_what_he_refers_to(kind: str, asked: dict[str, Any], code: str, param: str) -> None:
    seen = head("/v1/responses")
    body = encoded({"model": "gpt", "input": "hi", **asked})
    with pytest.raises(Reject) as caught:
        attempt("anthropic", "claude", seen, dialect="responses", kind=kind).outgoing(seen, body)
    fault = caught.value.fault
    assert (fault.status, fault.code, fault.param) == (400, code, param)


def test_the_clients_own_version_goes_before_our_default() -> None:
    seen = head("/v1/messages", anthropic_version="2024-01-01", x_api_key="hg-callers")
    headers, _ = sent(seen, b"{}", attempt("anthropic", "gpt", seen, dialect="anthropic").outgoing(seen, b"{}"))
    assert (headers["anthropic-version"], headers["x-api-key"]) == ("2024-01-01", "sk-anthropic")


@pytest.mark.parametrize(
    ("first", "second"), [("openai", "anthropic"), ("anthropic", "openai"), ("azure", "openai"), ("anthropic", "local")]
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_second_attempt_leaves_nothing_of_the_first(first: str, second: str, dialect: str) -> None:
    path = "/v1/chat/completions" if dialect == "openai" else "/v1/messages"
    seen = head(path, x_title="app", content_length="55")
    body = encoded({**CHAT, "max_tokens": 5})
    changes = {"dialect": dialect, "kind": "chat"}
    after_first, _ = sent(seen, body, attempt(first, "one", seen, **changes).outgoing(seen, body))
    fresh = sent(seen, body, attempt(second, "two", seen, **changes).outgoing(seen, body))
    # Envoy restores the body for a retry, but keeps the headers of the attempt before.
    retried = sent(after_first, body, attempt(second, "two", seen, **changes).outgoing(after_first, body))
    assert retried == fresh
    assert not any(first in value or "one" in value.split("/") for value in retried[0].values())


def test_a_provider_without_a_key_gets_none() -> None:
    seen = head(authorization="Bearer hg-callers", x_api_key="hg-callers")
    headers, _ = sent(seen, b"{}", attempt("local", "gpt", seen).outgoing(seen, b"{}"))
    assert not set(CREDENTIALS) & set(headers)


def test_raw() -> None:
    seen = head(
        "/v1/files?purpose=x", content_type="multipart/form-data; boundary=b", content_length="5000000", authorization="Bearer hg-callers"
    )
    outgoing = attempt("azure", "", seen, kind="raw").outgoing(seen, b"")
    assert outgoing.body is None
    headers, _ = sent(seen, b"", outgoing)
    assert (headers[":path"], headers["content-length"], headers["authorization"]) == (
        "/openai/v1/files?purpose=x",
        "5000000",
        "Bearer sk-azure",
    )
    assert headers["content-type"] == "multipart/form-data; boundary=b"
    chunked = head("/v1/files", content_type="text/plain")
    assert "content-length" not in sent(chunked, b"", attempt("azure", "", chunked, kind="raw").outgoing(chunked, b""))[0]


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        ("realtime, openai-insecure-api-key.hg-callers, openai-beta.realtime-v1", "realtime, openai-beta.realtime-v1"),
        ("openai-insecure-api-key.hg-callers", None),
        ("", None),
    ],
)
def test_upgrade(offered: str, wanted: str | None) -> None:
    seen = head("/v1/realtime?model=x", "GET", upgrade="websocket", connection="Upgrade", content_type="", sec_websocket_key="abc",
                sec_websocket_version="13", sec_websocket_protocol=offered)  # fmt: skip
    headers, _ = sent(seen, b"", attempt("openai", "", seen, kind="raw").outgoing(seen, b""))
    assert (headers["upgrade"], headers["connection"], headers["sec-websocket-key"]) == ("websocket", "upgrade", "abc")
    assert headers.get("sec-websocket-protocol") == wanted
    assert not any("hg-callers" in value for value in headers.values())


def test_a_key_in_a_protocol_does_not_cross_without_an_upgrade() -> None:
    seen = head("/v1/files", "GET", content_type="", sec_websocket_protocol="openai-insecure-api-key.hg-callers")
    headers, _ = sent(seen, b"", attempt("openai", "", seen, kind="raw").outgoing(seen, b""))
    assert "sec-websocket-protocol" not in headers


def test_what_is_dropped_is_named() -> None:
    body = encoded({**CHAT, "logit_bias": {"1": 1}, "seed": 4})
    one = attempt("anthropic", "claude")
    one.outgoing(head(), body)
    assert {"logit_bias", "seed"} <= set(one.dropped)
    headers, _ = one.response_headers({":status": "200"})
    assert headers == {"x-headgate-dropped": ", ".join(one.dropped)}


def test_names_of_dropped_fields_do_not_break_a_header() -> None:
    body = encoded({**CHAT, **{f"field-{index}": 1 for index in range(500)}, "a\r\nx-evil: 1": 1, "ünï": 1})
    one = attempt("anthropic", "claude")
    one.outgoing(head(), body)
    value = one.response_headers({})[0].get("x-headgate-dropped", "")
    assert len(value) <= 1024
    assert value.isascii() and value.isprintable()


def test_strict_refuses_what_would_be_lost() -> None:
    with pytest.raises(Reject, match="seed") as raised:
        attempt("anthropic", "claude", strict=True).outgoing(head(), encoded({**CHAT, "seed": 4}))
    assert (raised.value.fault.status, raised.value.fault.code) == (400, "unsupported_fields")
    attempt("anthropic", "claude", strict=True).outgoing(head(), encoded(CHAT))
    attempt("openai", "gpt", strict=True).outgoing(head(), encoded({**CHAT, "seed": 4}))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("body", [b'{"\xff":1,"model":"gpt"}', b'{"model":"gpt","a":"\xff"}', b'{"model":"gpt","messages":[{"role":7}]}'])
def test_what_cannot_be_read_is_the_callers_mistake(provider: str, body: bytes) -> None:
    try:
        attempt(provider, "renamed", stream=True).outgoing(head(), body)
    except Reject as reject:
        assert reject.fault.status == 400  # noqa: PT017 - the same dialect passes what it need not read


def test_headers_of_another_dialect_stay_behind() -> None:
    answer = {
        ":status": "200",
        "content-type": "application/json",
        "request-id": "q",
        "anthropic-ratelimit-tokens-limit": "5",
        "retry-after": "1",
    }
    assert attempt("anthropic", "claude").response_headers(answer)[1] == ("request-id", "anthropic-ratelimit-tokens-limit")


def test_a_call_survives_its_journey() -> None:
    call = attempt(rules={"x-a": "b"}, sdk="mistral").call
    assert msgspec.json.decode(msgspec.json.encode(call), type=Call) == call
    assert "hg-callers" not in msgspec.json.encode(call).decode()


def test_what_is_remembered_of_heads_is_bounded_and_holds_names_alone() -> None:
    for number in range(attempt_module._CUTS + 10):
        seen = head(authorization="Bearer hg-callers", **{f"x-{number}": "theirs"})
        headers, _ = sent(seen, b"{}", attempt(seen=seen).outgoing(seen, b"{}", ruled=()))
        assert (headers[f"x-{number}"], headers["authorization"]) == ("theirs", "Bearer sk-openai")
    kept = repr(attempt_module._cuts)
    assert 0 < len(attempt_module._cuts) <= attempt_module._CUTS
    assert not any(value in kept for value in ("theirs", "sk-openai", "hg-callers"))


@pytest.mark.parametrize(
    ("client", "path", "spoken"),
    [
        ("openai", "/v1/chat/completions", "/api/v1/chat/completions"),
        ("responses", "/v1/responses", "/api/v1/responses"),
        ("anthropic", "/v1/messages", "/api/v1/messages"),
    ],
)
def test_a_provider_that_speaks_the_clients_dialect_too(client: str, path: str, spoken: str) -> None:
    seen, body = head(path, authorization="Bearer hg-callers"), b'{"model":"gpt","anything":[]}'
    made = attempt("several", "gpt", seen, dialect=client)
    headers, out = sent(seen, body, made.outgoing(seen, body))
    assert (made.same, out, headers[":path"]) == (True, body, spoken)
    # One key, sent in one way, whatever is spoken.
    assert headers["authorization"] == "Bearer sk-several"
    assert "x-api-key" not in headers
    assert headers.get("anthropic-version") == ("2023-06-01" if client == "anthropic" else None)


def test_a_provider_that_does_not_is_spoken_to_in_its_first_dialect() -> None:
    made = attempt("anthropic", "claude", dialect="responses")
    assert (made.same, made.upstream.dialect.name) == (False, "anthropic")
    several = compile_upstream("several", PROVIDERS["several"])
    assert several.speaking("cohere", "chat").dialect.name == "openai"
    assert several.speaking("cohere", "nothing known").dialect.name == "openai"


def test_a_path_that_nobody_reads_goes_on_by_the_clients_dialect() -> None:
    seen = head("/v1/responses/resp_1?stream=true", "GET")
    made = attempt("several", "", seen, dialect="responses", kind="raw")
    assert made.outgoing(seen, b"").headers[":path"] == "/api/v1/responses/resp_1?stream=true"


def test_what_another_maker_sealed_is_not_passed_on_untouched() -> None:
    sealed = seals.pack("signature:s", "anthropic-claude-v1", "openai-responses-v1")
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    said = {"role": "assistant", "content": "Hello", "phase": "final_answer"}
    seen, body = head("/v1/responses"), encoded({"model": "gpt", "x_new": 1, "input": [thought, said]})
    made = attempt("responses", "gpt-5", seen, dialect="responses")
    headers, out = sent(seen, body, made.outgoing(seen, body))
    assert msgspec.json.decode(out) == {"model": "gpt-5", "x_new": 1, "input": [said]}
    assert headers["content-length"] == str(len(out))
    assert (made.same, made.dropped) == (True, ["input[].reasoning"])
