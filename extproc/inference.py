"""Whether a provider may take a path for inference, however it is written and below whatever prefix.

What passes unread (`raw`) must be none: a caller would have models that are not configured, and nobody would count them. A client's path
may be without the root that the provider's `base_url` has already (`/chat/completions`), so paths are compared from their ends.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from extproc.dialects import DIALECTS
from extproc.errors import Reject

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")
"""A server may take their value for the method."""

_ROOTS = frozenset({"v1", "v1beta", "v1beta1", "v2", "api", "openai"})
"""What a `base_url` may have already of a dialect's paths."""
_OURS = ("models", "model", "fixed")
"""Kinds of place that no provider is asked for."""
_MODELS = "models/"

_OTHERS = frozenset({
    "async-invoke", "chatcompletion_v2", "complete", "completion", "generate_stream", "infill", "invoke-with-bidirectional-stream",
    "pooling",
})  # fmt: skip
"""Ends of paths that are inference at some provider, and no dialect's: older forms, and those of local servers."""
_OTHER_VERBS = frozenset({
    "asyncbatchembedcontent", "batchgeneratecontent", "batchpredict", "directpredict", "directrawpredict", "fetchpredictoperation",
    "predict", "predictlongrunning", "rawpredict", "serverstreamingpredict", "streamrawpredict", "streamdirectpredict",
})  # fmt: skip
"""The same for Google's custom methods: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints"""
_HARMLESS = frozenset({("threads", "messages"), ("uploads", "complete")})
"""What a path ends with that is no inference, before and after an id: of assistants and uploads."""


def _ends() -> tuple[frozenset[str], frozenset[str]]:
    """The last segments of the dialects' paths, and their custom methods."""
    ends, verbs = set(_OTHERS), set(_OTHER_VERBS)
    for place in (place for dialect in DIALECTS.values() for place in dialect.places):
        if place.method != "POST" or place.kind in _OURS:
            continue
        path = place.path.partition("?")[0].lower()
        _, named, after = path.rpartition("}")
        if named and after[:1] == ":":
            verbs.add(after[1:])
        elif named and after:
            ends.add(after[1:])
        elif not named:
            segments = path[1:].split("/")
            while segments[0] in _ROOTS:
                del segments[0]
            # Of longer ones the last two tell enough.
            ends.add("/".join(segments[-2:]))
    return frozenset(ends), frozenset(verbs)


_ENDS, _VERBS = _ends()


def plain(path: str) -> str:
    """A path without its query as a lenient server may read it: unescaped, in lower case, no parameters, no slashes doubled or last."""
    segments = unquote(path).lower().split("/")
    return "/" + "/".join(name for segment in segments if (name := segment.partition(";")[0].strip()))


def may_ask(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request may ask for inference at all: it has a body, or is a WebSocket, or says that it is meant otherwise."""
    return method not in _BODILESS or "upgrade" in headers or any(name in headers for name in _OVERRIDES)


def infers(path: str) -> bool:
    """Whether some provider may take a plain path for inference."""
    before, _, verb = path.rpartition(":")
    if verb in _VERBS or _MODELS in before:
        return True
    *_, first, second, third = "", "", *path.rsplit("/", 3)
    if (first, third) in _HARMLESS:
        return False
    return third in _ENDS or f"{second}/{third}" in _ENDS


def infers_live(path: str) -> bool:
    """The same for a WebSocket."""
    return any(segment == "realtime" or "bidigeneratecontent" in segment for segment in path.split("/"))


def whole(paths: Iterable[str]) -> frozenset[tuple[str, str]]:
    """A provider's own paths of inference, plain: what stands before the model's name and after it."""
    halves = (path.partition("?")[0].partition("{model}") for path in paths)
    cut = (
        (plain(before) + "/" * (found != "" and before.endswith("/")), after.lower().rstrip("/"), found) for before, found, after in halves
    )
    return frozenset((before, after if found else "=") for before, after, found in cut if not found or after or len(before) > 1)


def among(path: str, own: frozenset[tuple[str, str]]) -> bool:
    """Whether a plain path is one of those that `whole` gave."""
    return (path, "=") in own or any(
        after != "=" and path.startswith(before) and path.endswith(after) and len(path) > len(before) + len(after) for before, after in own
    )


def misplaced() -> Reject:
    """The refusal of what is asked otherwise than in the one way that is read."""
    message = (
        "This endpoint takes a POST with `content-type: application/json` (or a form, where it takes files), at its exact path; "
        "a WebSocket, where it has one, with one `model`."
    )
    return Reject(404, "misplaced_request", message)
