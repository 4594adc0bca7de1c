"""What a path means: which dialect its client speaks, and whether its body is read. Data, not code: one row a path."""

from extproc.values import Endpoint

_OPENAI_JSON = (
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/audio/speech",
)

_POST: dict[str, Endpoint] = {
    "/v1/chat/completions": Endpoint("openai", "chat"),
    "/v1/messages": Endpoint("anthropic", "chat"),
    "/v1/messages/count_tokens": Endpoint("anthropic", "json"),
    **{path: Endpoint("openai", "json") for path in _OPENAI_JSON},
}
CHAT_PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
"""Where each dialect takes a conversation."""

STREAM_OPTIONS = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Paths whose streams tell their usage only when `stream_options.include_usage` asks for it."""

_RAW = {name: Endpoint(name, "raw") for name in ("openai", "anthropic")}
_MODELS = {name: Endpoint(name, "models") for name in ("openai", "anthropic")}


def endpoint(method: str, path: str, headers: dict[str, str]) -> Endpoint:
    """The endpoint that a request is for. Unknown paths are `raw`: they pass through to a provider of the client's dialect."""
    bare = path.partition("?")[0]
    if method == "POST" and (known := _POST.get(bare)) is not None:
        if "upgrade" not in headers and not headers.get("content-type", "").lower().startswith("multipart/"):
            return known
        return _RAW[known.dialect]
    # Every Anthropic client sends `anthropic-version`; no other client does.
    dialect = "anthropic" if "anthropic-version" in headers or bare.startswith("/v1/messages") else "openai"
    if method in ("GET", "HEAD") and (bare == "/v1/models" or bare.startswith("/v1/models/")):
        return _MODELS[dialect]
    return _RAW[dialect]
