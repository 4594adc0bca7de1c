"""What a path means: which dialect its client speaks, and whether its body is read. Data, not code: one row a path."""

from urllib.parse import unquote

from extproc.errors import Reject
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
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


def endpoint(method: str, path: str, headers: dict[str, str]) -> Endpoint:
    """The endpoint that a request is for. Unknown paths are `raw`: they pass through to a provider of the client's dialect.

    A provider may be lenient about how its paths are written. What it might take for inference must not pass as `raw`, or a caller
    would have models that are not configured, and nobody would count them.
    """
    bare = path.partition("?")[0]
    if method not in _BODILESS and (known := _POST.get(_plain(bare))) is not None:
        as_json = "upgrade" not in headers and not headers.get("content-type", "").lower().startswith("multipart/")
        return known if method == "POST" and bare in _POST and as_json else Endpoint(known.dialect, "misplaced")
    # Every Anthropic client sends `anthropic-version`; no other client does.
    dialect = "anthropic" if "anthropic-version" in headers or bare.startswith("/v1/messages") else "openai"
    if method in ("GET", "HEAD") and (bare == "/v1/models" or bare.startswith("/v1/models/")):
        return _MODELS[dialect]
    return _RAW[dialect]


def _plain(path: str) -> str:
    """A path as a lenient server may read it: unescaped, without parameters, doubled or trailing slashes, in any case."""
    if path in _POST:
        return path
    segments = unquote(path).lower().split("/")
    return "/" + "/".join(name for segment in segments if (name := segment.partition(";")[0].strip()))


def check_path(path: str) -> None:
    """Raises `Reject` 400 for a path that would lead out of a provider's prefix."""
    bare = path.partition("?")[0]
    if bare in _POST:
        return
    bare = unquote(bare)
    if "\\" in bare or any(segment in (".", "..") for segment in bare.split("/")):
        raise Reject(400, "invalid_path", "The path holds `.`, `..` or a backslash, escaped or not; write it without.")


def check_head(meant: Endpoint, path: str, headers: dict[str, str], most: int) -> None:
    """What can be told of a request from its head alone. `most`: bytes of a body that is to be read whole. Raises `Reject`."""
    check_path(path)
    if meant.kind == "misplaced":
        message = "This endpoint takes a POST with `content-type: application/json`, at its exact path, and nothing else."
        raise Reject(404, "misplaced_request", message)
    if not meant.buffered:
        return
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        check_size(int(length), most)
    if encoding := headers.get("content-encoding"):
        raise Reject(415, "unsupported_encoding", f"The request body is compressed ({encoding}); send it as it is.")
    # Envoy buffers JSON only, so that a big upload is not held up; a body that it does not buffer cannot be read here.
    told = headers.get("content-type", "none")
    if not told.lower().startswith("application/json"):
        raise Reject(415, "unsupported_media_type", f"The content-type is {told}; send `content-type: application/json`.")


def check_size(size: int, most: int) -> None:
    """Raises `Reject` 413 for a body of more than `most` bytes."""
    if size > most:
        raise Reject(413, "request_too_large", f"The request body has {size} bytes; at most {most} are taken.")
