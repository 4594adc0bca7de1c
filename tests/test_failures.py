"""Errors of providers as clients are told them: every provider dialect to every client dialect, with the meaning kept.

Bodies are recorded ones (`recordings`), or what the providers' references and their users' reports show.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from extproc.answering import Failure, Terms
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Dialect
from tests.cases import cases

RECORDINGS = Path(__file__).parent / "recordings"


class Case(NamedTuple):
    """What a provider says, and what is to become of it."""

    name: str
    provider: str
    status: int
    body: Any
    """JSON, or text."""
    expected: int
    """The status for a client of another dialect."""
    code: str
    part: str
    """Of the message."""
    headers: Mapping[str, str] = MappingProxyType({})
    retry: str | None = None
    """The `retry-after` that a client gets from us, where the provider sends none."""
    ours: bool = False
    """It is our trouble: 502, also for clients of the provider's own dialect."""


def openai(message: str, code: Any = None, kind: str | None = "invalid_request_error", **more: Any) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def anthropic(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(code: int, status: str, message: str, *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": status, **({"details": list(details)} if details else {})}}


def recorded(name: str, at: int = 0) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())[at]["response"]["json"]


_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.4s"}
_UNPAID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED", "domain": "googleapis.com"}
_RESETS = {
    "x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s",
}  # fmt: skip
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 150001 tokens."
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body></body></html>"
_GOOGLE_ROUTE = google(404, "NOT_FOUND", "Publisher Model `projects/p/locations/l/publishers/google/models/nope` was not found.")
_FLAGGED = {"code": 403, "message": "openai/gpt-4o requires moderation. Your input was flagged", "metadata": {"reasons": ["violence"]}}

CASES = [
    # Our credential.
    Case("a bad key at OpenAI", "openai", 401, openai("Incorrect API key provided: sk-x.", "invalid_api_key"), 502, "", "", ours=True),
    Case("a bad key at xAI", "openai", 400,
         {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***."}, 502, "", "", ours=True),
    Case("no permission at OpenAI", "openai", 403, openai("You have insufficient permissions for this operation."), 502, "", "", ours=True),
    Case("a bad key at Anthropic", "anthropic", 401, anthropic("authentication_error", "invalid x-api-key"), 502, "", "", ours=True),
    Case("no permission at Anthropic", "anthropic", 403, anthropic("permission_error", "Your API key does not have permission."), 502, "",
         "", ours=True),
    Case("a bad key at Google", "gemini", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", _KEY),
         502, "", "", ours=True),
    Case("a bad key at Google, as a list", "gemini", 400, [google(400, "INVALID_ARGUMENT", "API key not valid.", _KEY)], 502, "", "",
         ours=True),
    Case("a bad key at Google's OpenAI form", "openai", 400,
         [google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")], 502, "", "", ours=True),
    Case("an expired key at Google", "gemini", 400, google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), 502,
         "", "", ours=True),
    Case("a token that ended at Vertex", "gemini", 401, google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
         502, "", "", ours=True),
    Case("an API that is off at Vertex", "gemini", 403, google(403, "PERMISSION_DENIED", "Vertex AI API has not been used in project p."),
         502, "", "", ours=True),
    Case("no right to predict at Vertex", "gemini", 403,
         google(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied on resource 'x'."), 502, "", "", ours=True),
    Case("a role that may not at AWS", "bedrock", 403,
         {"Message": "User: arn:x is not authorized to perform: bedrock:InvokeModel"}, 502, "", "", ours=True),
    Case("forbidden, and nothing that says why", "openai", 403, openai("Forbidden"), 502, "", "", ours=True),
    Case("a bad token at Cohere", "cohere", 498, {"message": "invalid api token"}, 502, "", "", ours=True),
    Case("a bad signature at AWS", "bedrock", 403,
         {"__type": "InvalidSignatureException", "message": "The request signature does not match"}, 502, "", "", ours=True),
    Case("no key at Ollama's cloud", "ollama", 401, {"error": "unauthorized"}, 502, "", "", ours=True),
    # Our account, which nobody mends by trying again.
    Case("OpenAI's quota", "openai", 429, openai(_QUOTA, "insufficient_quota", "insufficient_quota"), 402, "insufficient_quota", "quota"),
    Case("DeepSeek's balance", "openai", 402, openai("Insufficient Balance", "invalid_request_error", "unknown_error"), 402,
         "insufficient_quota", "Balance"),
    Case("Anthropic's credit", "anthropic", 400,
         anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), 402, "insufficient_quota",
         "credit"),
    Case("Anthropic's billing", "anthropic", 402, anthropic("billing_error", "There is an issue with your billing."), 402,
         "insufficient_quota", "billing"),
    # Limits.
    Case("OpenAI's limit", "openai", 429, openai("Rate limit reached for gpt-5", "rate_limit_exceeded", "tokens"), 429,
         "rate_limit_exceeded", "gpt-5", _RESETS, "360"),
    Case("OpenAI's limit, of requests", "openai", 429, openai("Rate limit reached", "rate_limit_exceeded", "requests"), 429,
         "rate_limit_exceeded", "limit", {"x-ratelimit-reset-requests": "120ms"}, "1"),
    Case("a limit with seconds", "openai", 429, openai("slow down", "rate_limit_exceeded"), 429, "rate_limit_exceeded", "slow",
         {"retry-after": "7", **_RESETS}),
    Case("a limit with a date", "openai", 429, openai("slow down"), 429, "rate_limit_exceeded", "slow",
         {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    Case("Azure's limit", "openai", 429, openai("Please retry after 26 seconds.", "429", None), 429, "rate_limit_exceeded", "26",
         {"retry-after-ms": "25500"}),
    Case("OpenRouter's limit, recorded", "openai", 429, recorded("openrouter/test_openrouter_errors_raised"), 429, "rate_limit_exceeded",
         "Provider returned error"),
    Case("Google's limit", "gemini", 429, google(429, "RESOURCE_EXHAUSTED", _QUOTA, _RETRY), 429, "rate_limit_exceeded", "quota", {}, "27"),
    Case("Anthropic's limit", "anthropic", 429, anthropic("rate_limit_error", "This request would exceed your rate limit."), 429,
         "rate_limit_exceeded", "rate limit", {"retry-after": "12"}),
    Case("Bedrock's limit", "bedrock", 429,
         {"__type": "ThrottlingException", "message": "Too many tokens, please wait before trying again."}, 429, "rate_limit_exceeded",
         "wait"),
    Case("Cohere's limit", "cohere", 429, {"message": "You are using a Trial key, which is limited to 20 API calls / minute."}, 429,
         "rate_limit_exceeded", "Trial"),
    # A provider in trouble.
    Case("no room at Groq", "openai", 498, openai("Flex tier capacity exceeded", "capacity_exceeded"), 503, "overloaded", "capacity"),
    Case("no room at Groq, and no word for it", "openai", 498, openai("Flex tier capacity exceeded"), 503, "overloaded", "capacity"),
    Case("a failed server of tools at Groq", "openai", 424, openai("Failed to connect to the server"), 424, "invalid_request", "connect"),
    Case("a model that failed at AWS", "bedrock", 424, {"__type": "ModelErrorException", "message": "The model failed."}, 424,
         "provider_error", "failed"),
    # The request.
    Case("what Cohere does not want to say", "cohere", 498, {"message": "blocked output"}, 400, "content_filter", "blocked"),
    Case("OpenAI's context", "openai", 400, openai(_LONG, "context_length_exceeded"), 400, "context_length_exceeded", "128000"),
    Case("vLLM's context", "openai", 400, {"object": "error", "message": _LONG, "type": "BadRequestError", "param": None, "code": 400},
         400, "context_length_exceeded", "128000"),
    Case("llama.cpp's context", "openai", 400,
         {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error"}}, 400,
         "context_length_exceeded", "context size"),
    Case("Anthropic's context", "anthropic", 400,
         anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), 400, "context_length_exceeded",
         "210000"),
    Case("Google's context", "gemini", 400,
         google(400, "INVALID_ARGUMENT", "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."), 400,
         "context_length_exceeded", "1100000"),
    Case("Bedrock's context", "bedrock", 400, {"message": "Input is too long for requested model."}, 400, "context_length_exceeded",
         "too long"),
    Case("Ollama's context", "ollama", 400, {"error": "the input length exceeds the context length"}, 400, "context_length_exceeded",
         "context length"),
    Case("Cohere's context", "cohere", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 128000"},
         400, "context_length_exceeded", "128000"),
    Case("Azure's filter", "openai", 400,
         openai("The response was filtered due to Azure OpenAI's content management policy.", "content_filter", None), 400,
         "content_filter", "policy"),
    Case("a filter with a code of its own", "openai", 403,
         openai("The request was blocked by the content policy", "forbidden"), 403, "forbidden", "content policy"),
    Case("a quota that is used up", "openai", 403,
         openai("Free quota exhausted, RPM limit exceeded", "AllocationQuota.FreeTierOnly"), 403, "permission_denied", "quota"),
    Case("OpenRouter's filter", "openai", 403, {"error": _FLAGGED}, 403, "content_filter", "flagged"),
    Case("OpenRouter's filter, by its reasons", "openai", 403,
         {"error": {"code": 403, "message": "Forbidden", "metadata": {"reasons": ["violence"], "flagged_input": "..."}}}, 403,
         "content_filter", "Forbidden"),
    Case("a region at OpenAI", "openai", 403,
         openai("Country, region, or territory not supported", "unsupported_country_region_territory", "request_forbidden"), 403,
         "unsupported_country_region_territory", "region"),
    Case("somebody else's file at Google", "gemini", 403,
         google(403, "PERMISSION_DENIED", "You do not have permission to access the File x or it may not exist."), 403, "permission_denied",
         "File"),
    Case("Bedrock's filter", "bedrock", 400, {"message": "The generated text has been blocked by our content filters."}, 400,
         "content_filter", "blocked"),
    Case("too large at Anthropic", "anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), 413,
         "request_too_large", "size"),
    Case("Groq's tools, recorded", "openai", 400, recorded("groq/test_tool_use_failed_error"), 400, "tool_use_failed",
         "Tool call validation failed"),
    Case("OpenAI's roles, recorded", "openai", 400, recorded("openai/test_openai_o1_mini_system_role[developer]"), 400,
         "unsupported_value", "developer"),
    Case("OpenAI's items, recorded", "responses", 400,
         recorded("openai-responses/test_openai_responses_thinking_with_modified_history", 1), 400, "invalid_request", "reasoning"),
    # The model.
    Case("no model at OpenAI, recorded", "openai", 404, recorded("embeddings/TestOpenAI.test_embed_error"), 404, "model_not_found",
         "nonexistent"),
    Case("no model for the project at OpenAI", "openai", 403,
         openai("Project `proj_x` does not have access to model `gpt-x`", "model_not_found"), 403, "model_not_found", "gpt-x"),
    Case("no deployment at Azure", "openai", 404,
         {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}, 404,
         "model_not_found", "deployment"),
    Case("no model at vLLM", "openai", 404,
         {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}, 404, "model_not_found",
         "`x`"),
    Case("no model at Anthropic", "anthropic", 404, anthropic("not_found_error", "model: claude-nope"), 404, "model_not_found",
         "claude-nope"),
    Case("no model at Google, recorded", "gemini", 404, recorded("embeddings/TestGoogle.test_embed_error"), 404, "model_not_found",
         "nonexistent-model"),
    Case("no model at Vertex", "gemini", 404, _GOOGLE_ROUTE, 404, "model_not_found", "nope"),
    Case("no Claude at Vertex", "anthropic", 404, [_GOOGLE_ROUTE], 404, "model_not_found", "nope"),
    Case("no model at Bedrock, recorded", "bedrock", 400, recorded("bedrock/test_bedrock_error"), 400, "model_not_found", "identifier"),
    Case("no model at Cohere, recorded", "cohere", 404, recorded("embeddings/TestCohere.test_embed_error"), 404, "model_not_found",
         "nonexistent"),
    Case("no model at Ollama", "ollama", 404, {"error": "model 'x' not found"}, 404, "model_not_found", "'x'"),
    # The provider.
    Case("Anthropic overloaded", "anthropic", 529, anthropic("overloaded_error", "Overloaded"), 529, "overloaded", "Overloaded"),
    Case("Google overloaded", "gemini", 503, google(503, "UNAVAILABLE", "The model is overloaded.", _RETRY), 503, "overloaded",
         "overloaded", {}, "27"),
    Case("OpenAI overloaded", "openai", 503, openai("The engine is currently overloaded.", None, "service_unavailable_error"), 503,
         "overloaded", "engine"),
    Case("Ollama busy", "ollama", 503, {"error": "server busy, please try again. maximum pending requests exceeded"}, 503, "overloaded",
         "busy"),
    Case("OpenAI failed", "responses", 500, openai("The server had an error.", None, "server_error"), 500, "internal_error", "server"),
    *(Case(f"a page before {name}", name, 502, _PAGE, 502, "bad_gateway", "502 Bad Gateway") for name in DIALECTS),
    *(Case(f"nothing from {name}", name, 500, "", 500, "internal_error", "nothing that says why") for name in DIALECTS),
    *(Case(f"a text from {name}", name, 429, "rate limited", 429, "rate_limit_exceeded", "rate limited",
         {"retry-after": "3"}) for name in DIALECTS),
]  # fmt: skip


def terms(client: Dialect, provider: Dialect) -> Terms:
    return Terms(
        client=client, provider=provider, kind="chat", form="chat", provider_name="there", request_id="r-1", same=client is provider,
        raw=False, include_usage=False, hide_usage=False, asked={}, most=1 << 20,
    )  # fmt: skip


def _told(case: Case, client: Dialect) -> tuple[Failure, bytes]:
    raw = case.body.encode() if isinstance(case.body, str) else msgspec.json.encode(case.body)
    failure = Failure(case.status, terms(client, DIALECTS[case.provider]), case.headers, json=not isinstance(case.body, str))
    half = len(raw) // 2
    return failure, b"".join([*failure.feed(raw[:half], False), *failure.feed(raw[half:], True)])


@cases("client", DIALECTS)
@cases("case", CASES, ids=lambda case: case.name)
def test_an_error_keeps_its_meaning(case: Case, client: str) -> None:
    failure, body = _told(case, DIALECTS[client])
    if case.ours:
        assert (failure.status, failure.error) == (502, "provider_authentication")
        assert b"refused the gateway's credential" in body
        return
    assert failure.error == case.code
    assert failure.headers.get("retry-after") == case.retry
    assert failure.headers.get("x-should-retry") == ("false" if case.code == "insufficient_quota" else None)
    if client == case.provider and not isinstance(case.body, str):
        assert (failure.status, msgspec.json.decode(body)) == (case.status, case.body)
        return
    assert failure.status == case.expected
    assert failure.headers["content-type"] == "application/json"
    again = DIALECTS[client].read_error(failure.status, body)
    assert case.part in again.message
    if client in ("openai", "responses"):
        error = msgspec.json.decode(body)["error"]
        assert (error["code"], error["request_id"]) == (case.code, "r-1")
