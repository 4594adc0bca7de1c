"""What clients of Azure OpenAI ask for, and where."""

import msgspec
import pytest

from extproc.deployments import at_openai
from extproc.endpoints import endpoint
from extproc.exchange import Exchange
from extproc.intake import Forward
from tests.scene import CHAT, Scene, head, run


@pytest.mark.parametrize(
    ("path", "expected", "deployment"),
    [
        ("/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", "/v1/chat/completions", "my-gpt"),
        ("/openai/deployments/my%2Fgpt/embeddings", "/v1/embeddings", "my/gpt"),
        ("/openai/deployments/x/images/generations?a=1&api-version=preview&b=2", "/v1/images/generations?a=1&b=2", "x"),
        ("/openai/v1/responses?api-version=preview", "/v1/responses", ""),
        ("/openai/v1/chat/completions", "/v1/chat/completions", ""),
        ("/openai/responses/resp_1?api-version=2025-04-01-preview&include=x", "/v1/responses/resp_1?include=x", ""),
        ("/openai/models?api-version=1", "/v1/models", ""),
        ("/openai/", "/v1/", ""),
    ],
)
def test_paths(path: str, expected: str, deployment: str) -> None:
    assert at_openai(path) == (expected, deployment)


@pytest.mark.parametrize(
    "path",
    [
        "/deployments/gpt/chat/completions",
        "/v1/deployments/gpt/chat/completions",
        "/OpenAI/deployments/gpt/chat/completions",
        "//openai//deployments/gpt/chat/completions",
        "/openai%2Fdeployments/gpt/chat/completions",
    ],
)
def test_no_deployment_is_reached_past_the_models(path: str) -> None:
    assert endpoint("POST", path, head(path)).kind == "misplaced"


def asked(path: str, body: bytes) -> tuple[Exchange, Forward | None]:
    """A client's request, and what goes on; None if it is refused."""
    made = Scene().exchange(head(path))
    if run(made.intake.begin()) is not None or run(made.intake.proceed(body)) is not None:
        return made, None
    return made, made.intake.forward()


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"model":"gpt", "messages":[]}', None),
        (b'{"messages":[ ], "seed":1.0}', b'{"messages":[ ], "seed":1.0,"model":"gpt"}'),
        (b'{"model":"a-model-of-openai", "messages":[]}', b'{"model":"gpt", "messages":[]}'),
    ],
)
@pytest.mark.parametrize("model", ["gpt", "both"])
def test_the_deployment_is_the_model(body: bytes, sent: bytes | None, model: str) -> None:
    """For one target and for several, whose attempts get the body from Envoy."""
    body = body.replace(b'"gpt"', f'"{model}"'.encode())
    made, forward = asked(f"/openai/deployments/{model}/chat/completions?api-version=2024-10-21", body)
    assert forward is not None
    assert made.request.record.model == model
    assert forward.call.path == "/v1/chat/completions"
    expected = sent.replace(b'"gpt"', f'"{model}"'.encode()) if sent else None
    assert forward.outgoing.body == expected
    if model == "gpt":
        assert forward.outgoing.headers[":path"] == "/v1/chat/completions"
    assert forward.outgoing.headers["content-length"] == str(len(expected or body))


@pytest.mark.parametrize("stream", [True, False])
def test_the_body_says_whether_it_streams(stream: bool) -> None:
    _, forward = asked("/openai/deployments/claude-9/chat/completions", msgspec.json.encode({**CHAT, "stream": stream}))
    assert forward is not None and forward.outgoing.body is not None
    assert forward.call.stream == stream
    written = msgspec.json.decode(forward.outgoing.body)
    assert (written["model"], bool(written.get("stream"))) == ("claude-9", stream)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/openai/deployments/nobody/chat/completions", b"{}", 404),
        ("/openai/deployments/gpt/chat/completions", b"[1]", 400),
        ("/openai/deployments/gpt/chat/completions", b"", 400),
        ("/openai/deployments/gpt/extensions/chat/completions", b"{}", 404),
        ("/openai/deployments/gpt", b"{}", 404),
    ],
)
def test_what_is_refused(path: str, body: bytes, status: int) -> None:
    made, forward = asked(path, body)
    assert forward is None
    assert made.delivery.response is not None and made.delivery.response.status == status
