"""What is looked at more closely, since it may be an error that came with the status of an answer."""

import msgspec
import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.framing import split
from extproc.dialects.trouble import in_answer, is_suspect, may_be
from extproc.errors import Fault


@pytest.mark.parametrize(
    ("body", "suspect"),
    [
        (b'{"id":"r","error":null,"status":"completed"}', False),
        (b'{"id":"r","error": null,"status":"completed"}', False),
        (b'{"id":"r","error":null,"status":"failed"}', True),
        (b'{"error":null,"output":[{"error":{"message":"no"}}]}', True),
        (b'{"error":null,"type":"error"}', True),
        (b'{"error":nullify}', False),
        (b'{"error":"no"}', True),
        (b'{"error" : ["no"]}', True),
        (b'{"text":"the \\"error\\":null"}', False),
        (b'{"finish_reason":"ERROR"}', True),
        (b'{"said":"no error","more":1}', False),
    ],
)
def test_what_may_be_an_error(body: bytes, suspect: bool) -> None:
    assert is_suspect(body) is suspect


BODIES = (
    b'{"error":"no","type":"error"}',
    b'{"error":{"message":"no"}}',
    b'[{"error":{"message":"no","code":500}}]',
    b'{"type":"error","error":null}',
    b'{"type":"error","error":{"type":"api_error","message":"no"}}',
    b'{"type":"response.failed","response":{"status":"failed","error":{"message":"no"}}}',
    b'{"type":"message-end","delta":{"finish_reason":"ERROR"}}',
    b'{"message":"no","status":"failed"}',
    b'{"id":"r","status":"failed","error":{"message":"no"}}',
    *(
        msgspec.json.encode(dialect.write_error(Fault(status, "server_error", "no"), "r"))
        for dialect in DIALECTS.values()
        for status in (429, 500)
    ),
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_an_error_is_known_decoded(dialect: str) -> None:
    provider = DIALECTS[dialect]
    own = [event.data for raw in split(provider.framing, provider.stream_error(Fault(500, "server_error", "no"), "r"))
           if (event := provider.framing.parse(raw)) is not None and event.data.startswith(b"{")]  # fmt: skip
    found = [body for body in (*BODIES, *own) if in_answer(body, provider)]
    assert (found or dialect == "bedrock") and all(may_be(msgspec.json.decode(body)) for body in found)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "r", "error": None, "output": [{"error": {"message": "no"}}], "status": "completed"},
        {"type": "message", "content": [{"type": "text", "text": '"error": {}'}]},
        {"message": {"role": "assistant", "content": "ERROR"}, "finish_reason": "COMPLETE"},
    ],
)
def test_what_says_error_is_none(body: dict[str, object]) -> None:
    assert not may_be(body)
