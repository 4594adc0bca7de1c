"""A provider made ready."""

import pytest

from extproc.config.model import Provider
from extproc.upstream import compile_upstream


@pytest.mark.parametrize(
    ("base_url", "authority", "path"),
    [
        ("https://api.test/v1", "api.test", "/v1/files?x=1"),
        ("https://api.test", "api.test", "/v1/files?x=1"),
        ("http://api.test:8000/openai/v1/", "api.test:8000", "/openai/v1/files?x=1"),
        ("https://[::1]:8443/v1", "[::1]:8443", "/v1/files?x=1"),
        ("demo:", "demo", "/v1/files?x=1"),
    ],
)
def test_where(base_url: str, authority: str, path: str) -> None:
    upstream = compile_upstream("p", Provider(dialect="openai", base_url=base_url))
    assert (upstream.authority, upstream.path("/v1/files?x=1", "/v1"), upstream.cluster) == (authority, path, "provider_p")


def test_credentials() -> None:
    def headers(dialect: str, key: str | None) -> tuple[tuple[str, str], ...]:
        return compile_upstream("p", Provider(dialect=dialect, base_url="demo:", key=key)).headers  # type: ignore[arg-type]

    assert headers("openai", "k") == (("authorization", "Bearer k"),)
    assert headers("openai", None) == ()
    assert headers("anthropic", "k") == (("x-api-key", "k"), ("anthropic-version", "2023-06-01"))
    assert headers("anthropic", None) == (("anthropic-version", "2023-06-01"),)
