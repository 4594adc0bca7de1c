"""Which headers a log for people may have."""

from pathlib import Path

import pytest

from extproc.config.access_log import header_fault
from extproc.config.load import load
from extproc.crossing import CREDENTIALS


@pytest.mark.parametrize(
    "name",
    [
        *sorted(CREDENTIALS), "proxy-authorization", "cookie", "set-cookie", "set-cookie2", "x_api_keys", "x-bearer",
        "x-forwarded-client-cert", "x-amz-security-token", "cf-access-jwt-assertion", "mcp-session-id", "sec-websocket-protocol",
    ],
)  # fmt: skip
def test_what_may_hold_a_credential(name: str) -> None:
    assert "may hold a credential" in str(header_fault(name))


@pytest.mark.parametrize("name", ["referer", "location", "link", "x-original-uri", "x-original-url", "x-envoy-original-path"])
def test_what_may_hold_a_query(name: str) -> None:
    assert "holds a URL" in str(header_fault(name))


@pytest.mark.parametrize("name", ["user-agent", "content-type", "x-team", "x-ratelimit-remaining-tokens", "idempotency-key"])
def test_all_others(name: str) -> None:
    assert header_fault(name) is None


def test_it_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    base = "providers: {demo: {dialect: openai, base_url: 'demo:'}}\nmodels: [{name: demo, targets: [demo]}]\n"
    path.write_text(base + "access_log:\n  request_headers: [user-agent, cookie]\n  response_headers: [location]\n")
    told = [(one.path, one.line) for one in load(path, {}).problems]
    assert told == [("$.access_log.request_headers[1]", 4), ("$.access_log.response_headers[0]", 5)]
