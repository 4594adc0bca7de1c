"""Against whom a failure counts."""

import pytest

from extproc.standing.verdict import meaning
from extproc.tried import LATE, NO_SOCKET, OURS


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (200, "", None),
        (101, "", None),
        (304, "", None),
        (0, "connect", "connect"),
        (0, "timeout", "timeout"),
        (0, "no_answer", "reset"),
        (0, "upstream_reset_before_response_started", "reset"),
        (0, "upstream_per_try_timeout", "timeout"),
        (0, "no_address", "connect"),
        (0, "provider_authentication", "credential"),
        (0, "ext_proc_error_gRPC_error_14", "nothing"),
        (0, "unsupported_fields", "nothing"),
        (0, "invalid_request", "nothing"),
        (0, "", "nothing"),
        (0, LATE, "nothing"),
        (0, NO_SOCKET, "nothing"),
        (200, OURS, "nothing"),
        (503, OURS, "nothing"),
        (200, "broken_off", "reset"),
        (200, "stream_interrupted", "reset"),
        (200, "reset", "reset"),
        (200, "overloaded", "overloaded"),
        (200, "bad_provider_answer", "bad_answer"),
        (200, "some_word", "bad_answer"),
        (500, "internal_error", "server_error"),
        (500, "context_length_exceeded", "request"),
        (501, "provider_error", "request"),
        (502, "bad_gateway", "server_error"),
        (503, "", "overloaded"),
        (529, "overloaded", "overloaded"),
        (408, "timeout", "timeout"),
        (429, "rate_limit_exceeded", "limited"),
        (429, "insufficient_quota", "credential"),
        (400, "invalid_api_key", "credential"),
        (401, "invalid_api_key", "credential"),
        (402, "", "credential"),
        (403, "permission_denied", "credential"),
        (403, "content_filter", "request"),
        (400, "invalid_request", "request"),
        (404, "model_not_found", "request"),
        (404, "", "request"),
        (413, "", "request"),
        (422, "", "request"),
        (424, "provider_error", "server_error"),
        (424, "invalid_request", "request"),
        (498, "overloaded", "request"),
        (405, "invalid_request", "request"),
        (410, "model_not_found", "request"),
        (498, "invalid_api_key", "credential"),
        (498, "content_filter", "request"),
        (499, "", "request"),
    ],
)
def test_meaning(status: int, reason: str, expected: str | None) -> None:
    assert meaning(status, reason) == expected
