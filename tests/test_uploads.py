"""Where an upload goes on: at this gateway, for whoever began it."""

import pytest

from extproc.config.model import Provider
from extproc.ledger.record import Record
from extproc.uploads import through_us
from extproc.upstream import compile_upstream
from extproc.values import Endpoint, Identity, Request

GOOGLE = "https://generativelanguage.googleapis.com"


def told(url: str, base_url: str = f"{GOOGLE}/v1beta", key: str = "name", **headers: str) -> str:
    given = {":authority": "gateway.test:8443", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = Request("POST", "/upload/v1beta/files", given, Endpoint("gemini", "raw"), Record(id="1", time=0))
    request.identity = Identity("tenant", key)
    return through_us(url, compile_upstream("g", Provider(dialect="gemini", base_url=base_url)), "/v1beta", request)


@pytest.mark.parametrize(
    ("base_url", "url", "expected"),
    [
        (f"{GOOGLE}/v1beta", f"{GOOGLE}/upload/v1beta/files?upload_id=A%2Bb", "/providers/g/upload/v1beta/files?upload_id=A%2Bb"),
        (f"{GOOGLE}/x/v1beta", f"{GOOGLE}/x/upload/v1beta/files", "/providers/g/upload/v1beta/files"),
        # A provider's URL must not hold our key for it; a client's own follows.
        (f"{GOOGLE}/v1beta", f"{GOOGLE}/upload/v1beta/files?key=ours&upload_id=1", "/providers/g/upload/v1beta/files?upload_id=1"),
    ],
)
def test_the_providers_url(base_url: str, url: str, expected: str) -> None:
    assert told(url, base_url, key="") == f"http://gateway.test:8443{expected}"
    assert told(url, base_url, x_forwarded_proto="https") == f"https://gateway.test:8443{expected}"


@pytest.mark.parametrize(
    "headers", [{"x_goog_api_key": "k&1", "authorization": "Bearer other"}, {"authorization": "bearer k&1"}, {"x_api_key": "k&1"}]
)
def test_the_clients_key_goes_along(headers: dict[str, str]) -> None:
    url = f"{GOOGLE}/upload/v1beta/files?upload_id=1"
    assert told(url, **headers) == "http://gateway.test:8443/providers/g/upload/v1beta/files?upload_id=1&key=k%261"
    assert "key=" not in told(url, key="", **headers), "it was none of ours"


@pytest.mark.parametrize("url", ["https://elsewhere.test/upload?upload_id=1", "https://[", "", "/upload"])
def test_any_other_url(url: str) -> None:
    assert told(url) == url
