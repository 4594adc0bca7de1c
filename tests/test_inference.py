"""What a provider may take for inference never passes unread, however it is asked for."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import Reject
from extproc.attempt import Attempt
from extproc.call import Call
from extproc.config.model import Paths, Provider
from extproc.dialects import DIALECTS
from extproc.endpoints import endpoint
from extproc.inference import may_ask
from extproc.upstream import compile_upstream
from extproc.values import Target
from tests.cases import cases
from tests.scene import head
from tests.test_attempt import PROVIDERS

ODD = {
    "prefixed": Provider(dialect="openai", base_url="https://h.test/openai/v1", key="k"),
    "at-deployment": Provider(dialect="openai", base_url="https://h.test/openai/deployments/gpt", key="k"),
    "deep": Provider(dialect="openai", base_url="https://h.test/v1/chat", key="k"),
    "images": Provider(dialect="openai", base_url="https://h.test/v1/images", key="k"),
    "own-path": Provider(
        dialect="openai", also=("anthropic",), base_url="https://h.test/x", paths=Paths(chat="/talk", images="/paint"), key="k"
    ),
    "google-openai": Provider(dialect="openai", base_url="https://h.test/v1beta/openai", key="k"),
}
ALL = {name: compile_upstream(name, provider) for name, provider in (PROVIDERS | ODD).items()}
ASKED = [
    place.path.partition("?")[0].replace("{model}", "o3-pro").replace("{}", "generateContent" if place.path.endswith(":{}") else "p")
    for dialect in DIALECTS.values()
    for place in dialect.places
    if place.method == "POST" and place.kind not in ("models", "model", "fixed")
]


def outcome(provider: str, seen: dict[str, str]) -> str:
    """`passes` with the path at the provider, or the kind of endpoint, or `refused`."""
    path = seen[":path"]
    meant = endpoint(seen[":method"], path, seen)
    if meant.kind != "raw":
        return meant.kind
    upstream = ALL[provider]
    call = Call(id="r", generation="g", dialect=meant.dialect, kind="raw", path=path, headers={}, targets=())
    try:
        return "passes " + Attempt(call, Target(provider, ""), upstream, 1).outgoing(seen, b"", ruled=()).headers.get(":path", path)
    except Reject as reject:
        return f"refused: {reject.fault.status} {reject.fault.code}"


def reaches_inference(provider: str, path: str) -> bool:
    """Whether a path at a provider, put plainly, is one where this provider is asked, or ends as one."""
    upstream = ALL[provider]
    places = {place.partition("?")[0].replace("{model}", "o3-pro").lower() for one in (upstream, *upstream.also.values())
              for place in one.paths.values()}  # fmt: skip
    return path.partition("?")[0].lower().replace("//", "/").rstrip("/") in places


REFUSED = "refused: 404 misplaced_request"

written = st.sampled_from([str, str.upper, str.title, lambda path: path.replace("/", "//"), lambda path: path + "/",
                           lambda path: "/" + path,
                           lambda path: path[:2] + f"%{ord(path[2]):02x}" + path[3:], lambda path: path + ";a=b"])  # fmt: skip


@given(st.sampled_from(ASKED), st.integers(0, 8), st.sampled_from(sorted(ALL)), st.sampled_from(["", "/v1", "/v1/v1"]), written)
def test_no_cut_of_a_row_passes(row: str, cut: int, provider: str, before: str, way: Callable[[str], str]) -> None:
    segments = row[1:].split("/")
    rest = "/" + "/".join(segments[min(cut, len(segments) - 1) :])
    told = outcome(provider, head(way(before + rest)))
    if told.startswith("passes "):
        assert not reaches_inference(provider, told.removeprefix("passes "))
    # Up to the operation's own name nothing may be left out.
    if len(segments) - cut >= 2 or row.count("/") == 1:
        assert not told.startswith("passes ") or segments[-2] in ("images", "audio", "responses", "messages")


@cases(
    "path",
    [
        "/chat/completions", "/embeddings", "/audio/speech", "/messages", "/responses", "/Chat/Completions", "//chat/completions",
        "/models/ANY:generateContent", "/openai/chat/completions", "/v1/v1/chat/completions", "/v1alpha/models/x:generateContent",
        "/publishers/anthropic/models/x:rawPredict", "/v1/projects/p/locations/l/endpoints/1:generateContent", "/chat", "/completions",
        "/v1/engines/x/completions", "/inference/v1/chat/completions", "/model/x/invoke-with-bidirectional-stream", "/model/x/converse/",
        "/images/generations", "/responses/compact", "/messages/count_tokens", "/infill", "/v1/chat%2fcompletions%20",
    ],
)  # fmt: skip
def test_inference_by_another_path_is_refused(path: str) -> None:
    for provider in sorted(ALL):
        assert not outcome(provider, head(path)).startswith("passes "), provider
        assert not outcome(provider, head(path, "GET", upgrade="websocket")).startswith("passes "), provider
        assert not outcome(provider, head(path, "GET", x_http_method_override="POST")).startswith("passes "), provider


@pytest.mark.parametrize(
    ("provider", "path"),
    [("deep", "/completions"), ("images", "/generations"), ("images", "/v1/edits"), ("own-path", "/talk"), ("own-path", "/paint"),
     ("own-path", "/Talk/"), ("own-path", "/v1/talk")],
)  # fmt: skip
def test_what_joins_to_inference_is_refused(provider: str, path: str) -> None:
    assert outcome(provider, head(path)) in (REFUSED, "misplaced")
    with_version = head(path, anthropic_version="2023-06-01")
    assert outcome(provider, with_version) in (REFUSED, "misplaced")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files", "/files", "/v1/batches", "/v1/messages/batches", "/v1/uploads/u/complete", "/v1/uploads/u/parts",
        "/v1/threads/t/messages", "/v1/vector_stores/v/search", "/v1/responses/r/cancel", "/v1/conversations", "/v1beta/cachedContents",
        "/v1beta/batches/b:cancel", "/upload/v1beta/files", "/v1/chat/completions/c-1", "/v1/fine_tuning/jobs", "/v1/containers",
    ],
)  # fmt: skip
def test_what_is_no_inference_passes(path: str) -> None:
    assert [provider for provider in sorted(ALL) if not outcome(provider, head(path)).startswith("passes ")] == []


@pytest.mark.parametrize(
    "path",
    ["/v1/responses", "/v1/chat/completions", "/realtime?model=x", "/v1/realtime/translations?model=x", "/Realtime", "/v1/other?Model=x",
     "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent", "/v1/realtime?model=a&Model=b", "/v1/other?deployment=x"],
)  # fmt: skip
def test_a_websocket_to_inference_is_misplaced(path: str) -> None:
    assert endpoint("GET", path, {"upgrade": "websocket"}).kind == "misplaced"


def test_a_long_path_is_looked_at_once() -> None:
    assert endpoint("POST", "/models" * 8000, {}).kind == "raw"


@pytest.mark.parametrize(("method", "asks"), [("GET", False), ("DELETE", False), ("POST", True), ("BREW", True)])
def test_who_may_ask(method: str, asks: bool) -> None:
    assert may_ask(method, {}) is asks
