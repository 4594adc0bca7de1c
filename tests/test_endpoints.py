"""What a path means."""

import pytest

from extproc.dialects.dialect import common
from extproc.endpoints import check_path, endpoint, named_provider
from extproc.errors import Reject
from extproc.values import Endpoint
from tests.cases import cases

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=x"}

TABLE = [
    ("POST", "/v1/chat/completions", JSON, "openai", "chat"),
    ("POST", "/v1/chat/completions?beta=true", JSON, "openai", "chat"),
    ("POST", "/v1/messages", JSON, "anthropic", "chat"),
    ("POST", "/v1/messages?beta=true", JSON, "anthropic", "chat"),
    ("POST", "/v1/messages/count_tokens", JSON, "anthropic", "count"),
    ("POST", "/v1/embeddings", JSON, "openai", "embeddings"),
    ("POST", "/v1/rerank", JSON, "openai", "rerank"),
    ("POST", "/v1/responses", JSON, "responses", "chat"),
    ("POST", "/v1/responses/input_tokens", JSON, "responses", "count"),
    ("POST", "/v1/responses/resp_1/cancel", {}, "responses", "raw"),
    ("POST", "/v1/responses/compact", JSON, "responses", "json"),
    ("GET", "/v1/responses/resp_1?stream=true", {}, "responses", "raw"),
    ("GET", "/v1/responses/resp_1/input_items", {}, "responses", "raw"),
    ("DELETE", "/v1/responses/resp_1", {}, "responses", "raw"),
    ("POST", "/v1/conversations", JSON, "responses", "raw"),
    ("GET", "/v1/conversations/conv_1/items", {}, "responses", "raw"),
    ("POST", "/v1/completions", {}, "openai", "completions"),
    ("POST", "/v1/images/generations", JSON, "openai", "json"),
    # The path says the dialect, whatever else the client says.
    ("POST", "/v1/chat/completions", {**JSON, "anthropic-version": "2023-06-01"}, "openai", "chat"),
    ("POST", "/v1/audio/transcriptions", FORM, "openai", "form"),
    ("POST", "/v1/audio/translations", FORM, "openai", "form"),
    ("POST", "/v1/images/edits?x=1", FORM, "openai", "form"),
    ("POST", "/v1/images/variations", FORM, "openai", "form"),
    ("POST", "/v1/images/edits", JSON, "openai", "json"),
    ("POST", "/providers/o/v1/chat/completions", JSON, "openai", "misplaced"),
    ("POST", "/%70roviders//o/v1/chat/completions", JSON, "openai", "misplaced"),
    ("GET", "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", {"upgrade": "websocket"}, "gemini", "live"),
    ("GET", "/ws/google.ai.generativelanguage.v9.Other", {"upgrade": "websocket"}, "gemini", "raw"),
    ("POST", "/upload/v1/files", {"content-type": "image/png"}, "gemini", "raw"),
    ("GET", "/download/v1beta/files/f-1:download?alt=media", {}, "gemini", "raw"),
    ("POST", "/v1/audio/transcriptions/", FORM, "openai", "misplaced"),
    ("POST", "/V1/Audio/Transcriptions", FORM, "openai", "misplaced"),
    ("PUT", "/v1/audio/transcriptions", FORM, "openai", "other_method"),
    ("POST", "/v1/audio/transcriptions", {**FORM, "upgrade": "websocket"}, "openai", "misplaced"),
    # What a lenient provider might take for inference is not let through unread.
    ("POST", "/v1/images/generations", {"content-type": "multipart/form-data; boundary=x"}, "openai", "misplaced"),
    ("POST", "/v1/chat/completions", {"upgrade": "websocket"}, "openai", "misplaced"),
    ("POST", "/v1/chat/completions/", JSON, "openai", "misplaced"),
    ("POST", "//v1//chat/completions", JSON, "openai", "misplaced"),
    ("POST", "/V1/Chat/Completions", JSON, "openai", "misplaced"),
    ("POST", "/v1/chat/completions;a=b?c=d", JSON, "openai", "misplaced"),
    ("POST", "/v1;x/chat/completions", JSON, "openai", "misplaced"),
    ("POST", "/v1/chat%2Fcompletions", JSON, "openai", "misplaced"),
    ("POST", "/v1/messages/", JSON, "anthropic", "misplaced"),
    ("PUT", "/v1/responses", JSON, "responses", "other_method"),
    ("BREW", "/v1/embeddings", JSON, "openai", "other_method"),
    ("GET", "/v1/chat/completions", {}, "openai", "raw"),
    ("GET", "/v1/models", {}, "openai", "models"),
    ("HEAD", "/v1/models", {}, "openai", "models"),
    ("GET", "/v1/models/gpt-4o", {}, "openai", "models"),
    ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, "anthropic", "models"),
    ("GET", "/v1/models?limit=2", {"anthropic-version": "2023-06-01"}, "anthropic", "models"),
    ("DELETE", "/v1/models/ft-1", {}, "openai", "raw"),
    ("GET", "/v1/modelsx", {}, "openai", "raw"),
    ("GET", "/v1/realtime", {"upgrade": "websocket"}, "openai", "live"),
    ("GET", "/v1/realtime?model=a%2Fb", {"upgrade": "websocket"}, "openai", "live"),
    ("GET", "/v1/realtime?model=a&model=b", {"upgrade": "websocket"}, "openai", "misplaced"),
    ("GET", "/v1/realtime?model=", {"upgrade": "websocket"}, "openai", "misplaced"),
    ("GET", "/v1//Realtime?model=a", {"upgrade": "websocket"}, "openai", "misplaced"),
    ("GET", "/v1/realtime?model=a", {}, "openai", "raw"),
    ("GET", "/v1/other", {"upgrade": "websocket"}, "openai", "raw"),
    ("POST", "/v1/files", {"content-type": "multipart/form-data"}, "openai", "raw"),
    ("GET", "/v1/files", {"anthropic-version": "2023-06-01"}, "anthropic", "raw"),
    ("POST", "/v1/messages/batches", JSON, "anthropic", "raw"),
    ("POST", "/v1beta/models/gemini-3:generateContent", JSON, "gemini", "chat"),
    ("POST", "/v1beta/models/gemini-3:generateContent?key=k", JSON, "gemini", "chat"),
    ("POST", "/v1beta/models/gemini-3:streamGenerateContent?alt=sse", JSON, "gemini", "chat"),
    ("POST", "/v1/models/gemini-3:generateContent", JSON, "gemini", "chat"),
    ("POST", "/v1beta/models/gemini-3:countTokens", JSON, "gemini", "count"),
    ("POST", "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-3:streamGenerateContent", JSON, "gemini", "chat"),
    ("POST", "/v1/projects/p/locations/eu/publishers/google/models/gemini-3:countTokens", JSON, "gemini", "count"),
    ("POST", "/v1beta/models/imagen-4:predict", JSON, "gemini", "json"),
    ("POST", "/v1beta/tunedModels/mine:generateContent", JSON, "gemini", "json"),
    ("POST", "/v1beta1/projects/p/locations/l/publishers/google/models/x:rawPredict", JSON, "gemini", "json"),
    ("POST", "/v1beta1/publishers/google/models/gemini-3:streamGenerateContent?alt=sse", JSON, "gemini", "chat"),
    ("POST", "/v1beta1/publishers/google/models/gemini-3:embedContent", JSON, "gemini", "embed_content"),
    ("POST", "/v1beta1/publishers/google/models/x:predict", JSON, "gemini", "json"),
    ("POST", "/v1beta1/publishers/google/models/x:predictLongRunning", JSON, "gemini", "json"),
    ("POST", "/v1/publishers//google/models/gemini-3:generateContent", JSON, "gemini", "misplaced"),
    ("GET", "/v1beta1/publishers/google/models", {}, "gemini", "models"),
    ("GET", "/v1beta1/publishers/google/models/gemini-3", {}, "gemini", "models"),
    ("GET", "/v1/publishers/google/models", {}, "gemini", "models"),
    ("GET", "/v1/publishers/google/models/gemini-3", {}, "gemini", "models"),
    ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/claude-9@1:rawPredict", JSON, "anthropic", "chat"),
    ("POST", "/projects/p/locations/l/publishers/anthropic/models/claude-9:streamRawPredict", JSON, "anthropic", "chat"),
    ("PUT", "/projects/p/locations/l/publishers/anthropic/models/claude-9:rawPredict", JSON, "anthropic", "other_method"),
    ("POST", "/projects/p/locations/l//publishers/anthropic/models/claude-9:rawPredict", JSON, "anthropic", "misplaced"),
    ("POST", "/projects/p/locations/l/publishers/other/models/x:rawPredict", JSON, "openai", "misplaced"),
    ("POST", "/v1beta/models/gemini-3%3AgenerateContent", JSON, "gemini", "misplaced"),
    ("POST", "/v1beta/models/gemini-3:generateContent/", JSON, "gemini", "misplaced"),
    ("POST", "/V1beta//models/gemini-3:generateContent", JSON, "gemini", "misplaced"),
    ("PUT", "/v1beta/models/gemini-3:generateContent", JSON, "gemini", "other_method"),
    ("PUT", "/v1/models", JSON, "openai", "other_method"),
    ("POST", "/v1/models/", JSON, "openai", "other_method"),
    ("DELETE", "/v1/models", {"anthropic-version": "2023-06-01"}, "anthropic", "other_method"),
    ("DELETE", "/v1/models/ft:gpt", {}, "openai", "raw"),
    ("OPTIONS", "/v1/models", {}, "openai", "raw"),
    ("GET", "/v1beta/models", {}, "gemini", "models"),
    ("GET", "/v1beta/models/gemini-3", {}, "gemini", "models"),
    ("GET", "/v1/models", {"x-goog-api-client": "google-genai-sdk/1"}, "gemini", "models"),
    # What Google serves in OpenAI's words must not pass for something that nobody counts.
    ("POST", "/v1beta/openai/chat/completions", JSON, "openai", "chat"),
    ("POST", "/v1beta/openai/embeddings", JSON, "openai", "embeddings"),
    ("POST", "/v1beta/cachedContents", JSON, "gemini", "raw"),
    ("POST", "/upload/v1beta/files", {"content-type": "image/png"}, "gemini", "raw"),
    ("POST", "/api/chat", JSON, "ollama", "chat"),
    ("POST", "/api/generate", JSON, "ollama", "generate"),
    ("POST", "/api/embed", JSON, "ollama", "embeddings"),
    ("POST", "/api/show", JSON, "ollama", "model"),
    ("POST", "/api/show/", JSON, "ollama", "misplaced"),
    ("GET", "/api/tags", {}, "ollama", "models"),
    ("HEAD", "/api/version", {}, "ollama", "fixed"),
    ("GET", "/v1/providers/status?x=1", {}, "openai", "status"),
    ("GET", "/v1/teams", {}, "openai", "teams"),
    ("POST", "/v1/teams", {}, "openai", "other_method"),
    ("GET", "/v1/providers/status", {"anthropic-version": "2023-06-01"}, "anthropic", "status"),
    ("POST", "/v1/providers/status", {}, "openai", "other_method"),
    ("GET", "/api/ps", {}, "ollama", "raw"),
    ("POST", "/api/pull", JSON, "ollama", "raw"),
    ("POST", "/api/v1/chat/completions", JSON, "openai", "chat"),
    ("POST", "/api/v1/chat/completions/ml", JSON, "openai", "chat"),
    ("GET", "/api/v1/models", {}, "openai", "models"),
    ("GET", "/api/v1/credits", {}, "openai", "raw"),
    ("POST", "/v2/chat", JSON, "cohere", "chat"),
    ("POST", "/v2/rerank", JSON, "cohere", "rerank"),
    ("GET", "/v2/unknown", {}, "cohere", "raw"),
    ("GET", "/v1/models", {"x-fern-sdk-name": "cohere"}, "cohere", "models"),
    ("GET", "/v1/models/command-a", {"x-fern-sdk-name": "cohere"}, "cohere", "models"),
    ("GET", "/", {}, "openai", "raw"),
    ("", "", {}, "openai", "raw"),
]


@cases(("method", "path", "headers", "dialect", "kind"), TABLE)
def test_endpoint(method: str, path: str, headers: dict[str, str], dialect: str, kind: str) -> None:
    found = endpoint(method, path, headers)
    assert (found.dialect, found.kind) == (dialect, kind)
    assert found.buffered == (kind not in ("models", "fixed", "status", "teams", "raw", "live", "misplaced", "other_method"))
    assert found.json == (found.buffered and kind != "form")
    assert found.converses == (common(kind) == "chat")


MISTRAL = {**JSON, "user-agent": "mistral-client-python/3.7.0"}


@pytest.mark.parametrize(
    ("path", "headers", "sdk"),
    [
        ("/v1/chat/completions", MISTRAL, "mistral"),
        ("/v1/chat/completions", {**JSON, "user-agent": "speakeasy-sdk/python 3.7.0 2.935.1 1.0.0 mistralai"}, "mistral"),
        ("/v1/chat/completions", {**JSON, "user-agent": "mistral-proxy/1"}, ""),
        ("/v1/chat/completions", {**JSON, "user-agent": "OpenAI/Python 2.1.0"}, ""),
        ("/v1/chat/completions", JSON, ""),
        ("/v1/embeddings", MISTRAL, "mistral"),
        ("/v1/embeddings", {**JSON, "user-agent": "OpenAI/Python 2.1.0"}, ""),
        ("/v1/embeddings", {**JSON, "user-agent": "mistral-proxy/1"}, ""),
        ("/api/embed", MISTRAL, ""),
        ("/v1/completions", MISTRAL, ""),
        ("/v1/messages", MISTRAL, ""),
    ],
)
def test_an_sdk_that_reads_a_form_of_its_own(path: str, headers: dict[str, str], sdk: str) -> None:
    assert endpoint("POST", path, headers).sdk == sdk


@pytest.mark.parametrize(
    ("path", "headers", "sdk"),
    [
        ("/v1/models", MISTRAL, "mistral"),
        ("/v1/models/gpt", MISTRAL, "mistral"),
        ("/v1/models", JSON, ""),
        ("/v1/models", {**MISTRAL, "anthropic-version": "2023-06-01"}, ""),
        ("/v1beta/models", {}, ""),
    ],
)
def test_a_list_in_a_form_of_its_own(path: str, headers: dict[str, str], sdk: str) -> None:
    assert endpoint("GET", path, headers).sdk == sdk


def test_multipart_in_any_case() -> None:
    assert endpoint("POST", "/v1/images/generations", {"content-type": "Multipart/Form-Data; boundary=x"}) == Endpoint(
        "openai", "misplaced"
    )


@pytest.mark.parametrize("path", ["/v1/../x", "/v1/%2e%2e/x", "/v1/..%2Fx", "/v1/a/./b", "/v1/..", "/v1/a\\b", "/v1/%5C..%5Cx", "/.?x"])
def test_a_path_that_leads_elsewhere(path: str) -> None:
    with pytest.raises(Reject) as caught:
        check_path(path)
    assert caught.value.fault.status == 400


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/a..b", "/v1/models/gpt-4.1", "/v1/x?redirect=../y", "/", "", "/v1/.well-known"])
def test_a_path_that_does_not(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "provider", "rest"),
    [
        ("/providers/openai/v1/files?limit=1", "openai", "/v1/files?limit=1"),
        ("/providers/a%20b/v1", "a b", "/v1"),
        ("/providers/openai", "openai", ""),
        ("/providers/a/providers/b/v1/files", "a", "/providers/b/v1/files"),
        ("/v1/providers/openai", "", "/v1/providers/openai"),
        ("/providers", "", "/providers"),
        ("/providers//v1/files", "", "/providers//v1/files"),
        ("", "", ""),
    ],
)
def test_a_provider_in_the_path(path: str, provider: str, rest: str) -> None:
    assert named_provider(path) == (provider, rest)
