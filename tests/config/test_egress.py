from pathlib import Path

import pytest

from extproc.config.egress import Egress, Proxy, is_among, parse_proxy, proxy_for
from extproc.config.load import load

BASE = "models: [{name: demo, targets: [o]}]\nproviders: {o: {dialect: openai, base_url: 'https://api.test/v1', key: 'env:K'%s}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.test", Proxy("http", "proxy.test", 3128)),
        ("https://proxy.test/", Proxy("https", "proxy.test", 443)),
        ("http://a:b%40c@[::1]:8080", Proxy("http", "::1", 8080, "a", "b@c")),
    ],
)
def test_a_proxy_is_a_url(text: str, expected: Proxy) -> None:
    assert parse_proxy(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://p r",
        "http://p:0",
        "http://*",
        "proxy.test:3128",
        "socks5://p",
        "http://",
        "http://p/path",
        "http://p:x",
        "http://p?q",
        "http://a:b%0ac@p",
    ],
)
def test_what_is_none_is_told_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match=r"proxy") as error:
        parse_proxy(text.replace("http://", "http://user:secret@") if text.startswith("http://p") else text)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("a.internal", True),
        ("A.Internal.", True),
        ("internal", False),
        ("ainternal", False),
        ("b.other", True),
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("vllm", True),
        ("x.vllm", False),
        ("fd00::1", True),
    ],
)
def test_who_is_reached_without_it(host: str, fits: bool) -> None:
    assert is_among(host, ["*.internal", ".other", "10.0.0.0/8", "vllm", "fd00::/8"]) is fits


def test_the_way() -> None:
    egress = Egress(proxy="http://p.test", direct=("a.test",))
    assert proxy_for("b.test", egress) == Proxy("http", "p.test", 3128)
    assert [proxy_for(host, egress) for host in ("a.test", "localhost", "127.0.0.1", "::1")] == [None] * 4
    assert proxy_for("b.test", egress, "off") is None and proxy_for("b.test", None) is None
    assert proxy_for("localhost", None, "http://own.test:1") == Proxy("http", "own.test", 1)


@pytest.mark.parametrize(
    ("more", "section", "where", "words"),
    [
        ("", "egress: {proxy: 'ftp://p'}", "$.egress.proxy", "begins with"),
        ("", "egress: {proxy: 'http://a:b@p'}", "$.egress.proxy", "plainly"),
        ("", "egress: {proxy: 'http://p', direct: [a, 10.0.0.1/8, 'host:8080']}", "$.egress.direct[2]", "without a port"),
        ("", "egress: {proxy: 'http://p', direct: ['*']}", "$.egress.direct[0]", "no host's name"),
        ("", "egress: {proxy: 'http://p', direct: [.a, 'a.*']}", "$.egress.direct[1]", "no host's name"),
        ("", "egress: {proxy: 'http://p', direct: [fd00::/8, 10.0.0.0/33]}", "$.egress.direct[1]", "no network"),
        (", proxy: p", "", "$.providers.o.proxy", "begins with"),
        (", client_key: a", "", "$.providers.o", "go together"),
        (", ca_file: '-----BEGIN'", "", "$.providers.o.ca_file", "the path of a PEM file"),
        (", base_url: 'http://a.test', ca_file: a", "", "$.providers.o.ca_file", "no effect"),
    ],
)
def test_what_is_wrong(tmp_path: Path, more: str, section: str, where: str, words: str) -> None:
    path = tmp_path / "gateway.yaml"
    text = BASE % more
    path.write_text((text.replace("base_url: 'https://api.test/v1', ", "") if "base_url" in more else text) + section)
    ((found, message),) = [(one.path, one.message) for one in load(path, {"K": "sk"}).problems]
    assert found == where and words in message


def test_paths_begin_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(BASE % ", ca_file: a, client_certificate: b, client_key: /c" + "egress: {proxy: 'env:P', ca_file: d}")
    loaded = load(path, {"K": "sk", "P": "http://a:b@p"})
    assert loaded.problems == [] and loaded.config is not None and loaded.config.egress is not None
    provider = loaded.config.providers["o"]
    assert (provider.ca_file, provider.client_certificate, provider.client_key) == (str(tmp_path / "a"), str(tmp_path / "b"), "/c")
    assert loaded.config.egress.ca_file == str(tmp_path / "d")
