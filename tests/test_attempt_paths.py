"""Models and streams that are asked for by the path or by a dialect's habit, as Gemini's and Ollama's clients do."""

from typing import Any

import msgspec
import pytest

from extproc.endpoints import endpoint
from tests.scene import CHAT, head
from tests.test_attempt import attempt, encoded, sent

GEMINI = "/v1beta/models/gpt"


@pytest.mark.parametrize(
    ("provider", "path", "asked"),
    [
        ("gemini", f"{GEMINI}:generateContent?key=hg-callers", "/v1beta/models/m:generateContent"),
        ("gemini", f"{GEMINI}:streamGenerateContent?alt=sse&key=hg-callers", "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ("gemini", f"{GEMINI}:streamGenerateContent?x=0&alt=sse", "/v1beta/models/m:streamGenerateContent?alt=sse&x=0"),
        ("gemini", f"{GEMINI}:streamGenerateContent", "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ("gemini", f"{GEMINI}:countTokens", "/v1beta/models/m:countTokens"),
        ("gemini", f"{GEMINI}:predict?x=1", "/v1beta/models/m:predict?x=1"),
        ("gemini", "/v1beta1/projects/a/locations/b/publishers/google/models/gpt:predict", "/v1beta/models/m:predict"),
        ("gemini", "/v1beta/cachedContents?key=hg-callers&pageSize=2", "/v1beta/cachedContents?pageSize=2"),
        ("vertex", f"{GEMINI}:generateContent", "/v1beta1/projects/p/locations/l/publishers/google/models/m:generateContent"),
        ("vertex", f"{GEMINI}:predict", "/v1beta1/projects/p/locations/l/publishers/google/models/m:predict"),
        ("openai", f"{GEMINI}:streamGenerateContent?alt=sse&key=hg-callers", "/v1/chat/completions"),
    ],
)  # fmt: skip
def test_where_geminis_clients_are_taken(provider: str, path: str, asked: str) -> None:
    seen = head(path, x_goog_api_key="hg-callers", x_goog_user_project="theirs")
    meant = endpoint("POST", path, {"content-type": "application/json"})
    if path.startswith("/v1beta/cached"):
        changes: dict[str, Any] = {"kind": "raw"}
    else:
        changes = {"kind": meant.kind, "stream": bool(meant.stream), "named": True, "rest": meant.rest}
    body = encoded({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]})
    made = attempt(provider, "" if changes["kind"] == "raw" else "m", seen, dialect="gemini", **changes)
    headers, out = sent(seen, body, made.outgoing(seen, body))
    assert headers[":path"] == asked
    assert "hg-callers" not in str(headers) and "theirs" not in str(headers)
    if provider != "openai" and "streamGenerateContent" not in path:
        assert out == body, "the path names the model"
    else:
        assert b"Hi" in out


def test_a_stream_for_a_client_that_reads_an_array() -> None:
    path = f"{GEMINI}:streamGenerateContent"
    made = attempt("gemini", "gpt", head(path), dialect="gemini", stream=True, named=True, rest=":streamGenerateContent")
    answering = made.answering(200, {"content-type": "text/event-stream"})
    assert answering.headers["content-type"].startswith("application/json")
    first = {"candidates": [{"content": {"parts": [{"text": "He"}], "role": "model"}, "index": 0}], "modelVersion": "g", "responseId": "r"}
    pieces = answering.feed(b"data: " + encoded(first) + b"\n\n", False)
    assert pieces == [b"[" + encoded(first)]
    last = {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 1}}
    pieces += answering.feed(b"data: " + encoded(last) + b"\n\n", False) + answering.feed(b"", True)
    elements = msgspec.json.decode(b"".join(pieces))
    assert elements[0] == first
    assert elements[-1]["candidates"][0]["finishReason"] == "STOP"
    assert answering.finished and answering.usage is not None and answering.usage.input == 2


def test_the_models_name_is_in_the_path_of_what_is_not_translated() -> None:
    """A name may be written in many ways; what follows it is told by the path's own rule."""
    path = "/v1beta/models/a%2Fb%3Ac:predict"
    meant = endpoint("POST", path, {"content-type": "application/json"})
    assert (meant.model, meant.rest) == ("a/b:c", ":predict")
    seen = head(path)
    made = attempt("gemini", "x/y", seen, dialect="gemini", kind="json", named=True, rest=meant.rest)
    assert sent(seen, b"{}", made.outgoing(seen, b"{}"))[0][":path"] == "/v1beta/models/x%2Fy:predict"


OLLAMA: dict[str, Any] = {"dialect": "ollama"}


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_goes_to_a_provider_of_its_dialect_as_it_is(stream: bool) -> None:
    seen, body = head("/api/generate"), encoded({"model": "gpt", "prompt": "Hi", "raw": True})
    outgoing = attempt("ollama", "gpt", seen, kind="generate", path="/api/generate", stream=stream, **OLLAMA).outgoing(seen, body)
    assert sent(seen, body, outgoing)[0][":path"] == "/api/generate"
    assert outgoing.body is None


def test_a_prompt_is_a_conversation_to_others() -> None:
    seen, body = head("/api/generate"), encoded({"model": "m", "prompt": "Hi"})
    asked = attempt("openai", "gpt", seen, kind="generate", path="/api/generate", stream=True, **OLLAMA)
    headers, out = sent(seen, body, asked.outgoing(seen, body))
    assert headers[":path"] == "/v1/chat/completions"
    document = msgspec.json.decode(out)
    assert document["messages"] == [{"role": "user", "content": "Hi"}]
    assert document["stream"] is True, "what Ollama does without a word"


@pytest.mark.parametrize(("said", "streamed"), [({}, True), ({"stream": None}, True), ({"stream": False}, False), ({"stream": True}, True)])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_stream_by_habit(provider: str, said: dict[str, Any], streamed: bool) -> None:
    seen, body = head("/api/chat"), encoded({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **said})
    asked = attempt(provider, "gpt", seen, path="/api/chat", stream=streamed, **OLLAMA)
    assert msgspec.json.decode(sent(seen, body, asked.outgoing(seen, body))[1])["stream"] is streamed


@pytest.mark.parametrize("stream", [True, False])
def test_a_provider_whose_habit_is_to_stream(stream: bool) -> None:
    seen, body = head(), encoded({**CHAT, "stream": stream})
    headers, out = sent(seen, body, attempt("ollama", "m", seen, stream=stream).outgoing(seen, body))
    assert (headers[":path"], headers[":authority"]) == ("/api/chat", "ollama.test:11434")
    assert msgspec.json.decode(out)["stream"] is stream
