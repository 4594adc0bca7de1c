import pytest

from extproc.config.model import Provider
from extproc.config.urls import ProviderUrl, address_fault, endpoint_of, is_loopback, parse_provider_url, provider_url, redis_url_fault
from extproc.dialects import DIALECTS


@pytest.mark.parametrize(
    ("text", "expected", "authority"),
    [
        ("https://api.openai.com/v1", ProviderUrl("https", "api.openai.com", 443, "/v1", "/v1"), "api.openai.com"),
        ("https://api.openai.com", ProviderUrl("https", "api.openai.com", 443, "/v1"), "api.openai.com"),
        ("https://api.openai.com/", ProviderUrl("https", "api.openai.com", 443, "/v1"), "api.openai.com"),
        ("https://H.example/openai/v1/", ProviderUrl("https", "h.example", 443, "/openai/v1", "/openai/v1"), "h.example"),
        ("http://127.0.0.1:8000/v1", ProviderUrl("http", "127.0.0.1", 8000, "/v1", "/v1"), "127.0.0.1:8000"),
        ("http://[::1]:80/v1", ProviderUrl("http", "::1", 80, "/v1", "/v1"), "[::1]"),
        ("http://vllm_1.ns.svc:1/x", ProviderUrl("http", "vllm_1.ns.svc", 1, "/x", "/x"), "vllm_1.ns.svc:1"),
        ("demo:", ProviderUrl("demo", "demo", 0, "/v1"), "demo"),
    ],
)
def test_provider_urls(text: str, expected: ProviderUrl, authority: str) -> None:
    url = provider_url(Provider(dialect="openai", base_url=text))
    assert url == expected
    assert url.authority == authority


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "begin with"),
        ("api.openai.com", "begin with"),
        ("ftp://h/v1", "begin with"),
        ("demo:x", "begin with"),
        ("https://", "no host"),
        ("https:///v1", "no host"),
        ("https://u:pw@h/v1", "belongs into `key`"),
        ("https://h/v1?a=b", "`?`"),
        ("https://h/v1?", "`?`"),
        ("https://h/v1#", "`#`"),
        ("https://h:0/v1", "port"),
        ("https://h:70000/v1", "port"),
        ("https://h:x/v1", "port"),
        ("https://h/a//b", "path"),
        ("https://h/a/../b", "path"),
        ("https://h/a b", "space"),
        ("https://h\n/v1", "space"),
        ("https://[::1/v1", "not a URL"),
        ("https://-h/v1", "host is not valid"),
        ("https://h\u00e9/v1", "no URL has"),
    ],
)
def test_wrong_provider_urls(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_provider_url(text)
    assert part in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/chat/completions", "/chat/completions"),
        ("/v1/completions/", "/completions"),
        ("/v1/responses", "/responses"),
        ("/v1/messages/count_tokens", "/messages/count_tokens"),
        ("/v1/images/edits", "/images/edits"),
        ("/v2/chat", "/v2/chat"),
        ("/api/generate", "/api/generate"),
        ("/v1beta/models/gemini-3-pro:streamGenerateContent", "/models/gemini-3-pro:streamGenerateContent"),
        ("/model/amazon.nova-pro-v1:0/converse", "/model/amazon.nova-pro-v1:0/converse"),
        ("/v1", ""),
        ("", ""),
        ("/models", ""),
        ("/openai/deployments/gpt-4o", ""),
        ("/some/chat", ""),
    ],
)
def test_a_base_url_that_is_an_endpoint(path: str, endpoint: str) -> None:
    assert endpoint_of(parse_provider_url(f"https://h{path}"), DIALECTS) == endpoint


@pytest.mark.parametrize("text", ["redis://h", "redis://:pw@h:6379/0", "rediss://u:pw@h/12", "unix:///run/redis.sock", "redis://[::1]:1/"])
def test_redis_urls(text: str) -> None:
    assert redis_url_fault(text) is None


@pytest.mark.parametrize("text", ["", "h:6379", "http://h", "redis://", "redis://h:x", "redis://h/db", "unix://relative", "redis://h /"])
def test_wrong_redis_urls(text: str) -> None:
    assert redis_url_fault(text)


def test_addresses() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "localhost", "::ffff:10.0.0.1", ""]))
    assert address_fault("0.0.0.0") is None
    assert address_fault("::1") is None
    assert address_fault("localhost") == "an IP address is needed here, such as 127.0.0.1"
    assert address_fault("fe80::1%eth0") == "an address with a zone (`%`) cannot be bound"
