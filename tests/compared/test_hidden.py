import pytest

from extproc.compared.hidden import Marks, fragment_hidden, is_reference, url_hidden


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@proxy.test:3128", "http://(secret)@proxy.test:3128"),
        ("http://user:p@ss@proxy.test:3128", "http://(secret)@proxy.test:3128"),
        ("redis://h:6379/0?password=abc&db=1", "redis://h:6379/0?password=(secret)&db=1"),
        ("https://one.test/v1/a@b", "https://one.test/v1/a@b"),
    ],
)
def test_urls(text: str, shown: str) -> None:
    assert url_hidden(text) == shown


@pytest.mark.parametrize(("text", "only"), [("env:A", True), ("file:a/b", True), ("${A}", True), ("${A:-sk}", False), ("${A}sk", False)])
def test_references(text: str, *, only: bool) -> None:
    assert is_reference(text) is only


def test_one_secret_has_one_mark() -> None:
    marks: Marks = {}
    before = fragment_hidden({"header": {"key": "Authorization", "value": "sk-1"}, "password": "sk-1"}, marks)
    assert before == {"header": {"key": "Authorization", "value": "not-shown-1"}, "password": "not-shown-1"}
    assert fragment_hidden({"privateKey": {"inlineString": "sk-2"}}, marks) == {"privateKey": {"inlineString": "not-shown-2"}}


def test_what_is_none_is_shown() -> None:
    shown = {
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": "x/Token",
            "token_secret": {"name": "token", "sds_config": {"ads": {}}},
            "token_bucket": {"max_tokens": 5},
        },
        "header": {"key": "x-team", "value": "a"},
    }
    assert fragment_hidden(shown, {}) == shown
