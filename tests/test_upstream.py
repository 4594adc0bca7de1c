"""A provider made ready."""

import pytest

from extproc.config.forms import Auth, DialectName
from extproc.config.model import Paths, Provider
from extproc.dialects import DIALECTS
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
    assert (upstream.authority, upstream.path("/v1/files?x=1", DIALECTS["openai"]), upstream.cluster) == (authority, path, "provider_p")


def test_credentials() -> None:
    def headers(dialect: str, key: str | None) -> tuple[tuple[str, str], ...]:
        return compile_upstream("p", Provider(dialect=dialect, base_url="demo:", key=key)).headers  # type: ignore[arg-type]

    assert headers("openai", "k") == (("authorization", "Bearer k"),)
    assert headers("openai", None) == ()
    assert headers("anthropic", "k") == (("x-api-key", "k"), ("anthropic-version", "2023-06-01"))
    assert headers("anthropic", None) == (("anthropic-version", "2023-06-01"),)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (None, ("x-api-key", "k")),
        ("bearer", ("authorization", "Bearer k")),
        ("google", ("authorization", "Bearer k")),
        ("x-api-key", ("x-api-key", "k")),
        ("api-key", ("api-key", "k")),
        ("x-goog-api-key", ("x-goog-api-key", "k")),
        ("x-portkey-api-key", ("x-portkey-api-key", "k")),
        ("cf-aig-authorization", ("cf-aig-authorization", "Bearer k")),
        ("none", None),
    ],
)
def test_a_providers_own_way_of_authentication(auth: Auth | None, expected: tuple[str, str] | None) -> None:
    version = ("anthropic-version", "2023-06-01")
    with_key = Provider(dialect="anthropic", base_url="demo:", key="k", auth=auth)
    assert compile_upstream("p", with_key).headers == ((expected, version) if expected else (version,))
    assert compile_upstream("p", Provider(dialect="anthropic", base_url="demo:", auth=auth)).headers == (version,)


@pytest.mark.parametrize(
    ("base_url", "paths", "stream", "sent"),
    [
        ("https://h", Paths(), False, "/v1/chat/completions"),
        ("https://h/openai", Paths(chat="/d/{model}/chat?v=1"), False, "/openai/d/gpt-5%2Fx/chat?v=1"),
        ("https://h/openai", Paths(chat="/d/{model}/chat?v=1"), True, "/openai/d/gpt-5%2Fx/chat?v=1"),
        ("https://h", Paths(chat="/chat/completions"), False, "/chat/completions"),
        ("https://h/v1", Paths(chat="/a", stream="/b"), False, "/v1/a"),
        ("https://h/v1", Paths(chat="/a", stream="/b"), True, "/v1/b"),
        ("https://h/v1", Paths(stream="/b"), False, "/v1/chat/completions"),
        ("https://h/v1", Paths(responses="/b"), False, "/v1/chat/completions"),
    ],
)
def test_where_a_conversation_is_held(base_url: str, paths: Paths, stream: bool, sent: str) -> None:
    upstream = compile_upstream("p", Provider(dialect="openai", base_url=base_url, paths=paths))
    assert upstream.place("chat", "gpt-5/x", stream=stream) == sent
    assert upstream.names_model("chat") == ("{model}" in (paths.chat or ""))


@pytest.mark.parametrize(("kind", "sent"), [("chat", "/v1/chat/completions"), ("embeddings", "/e/m"), ("rerank", "/r"), ("count", None)])
def test_where_other_operations_are(kind: str, sent: str | None) -> None:
    paths = Paths(embeddings="/e/{model}", rerank="/r", count="/c")
    upstream = compile_upstream("p", Provider(dialect="openai", base_url="https://h", paths=paths))
    assert upstream.place(kind, "m", stream=False) == sent


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/v1/moderations", "/openai/answers"),
        ("/v1/moderations?x=2", "/openai/answers?x=2"),
        ("/v1/moderations/1", "/openai/moderations/1"),
        ("/v1/images/generations?x=2", "/openai/d/gpt-5%2Fx/images?v=1&x=2"),
        ("/v1/files", "/openai/files"),
    ],
)
def test_what_is_elsewhere(asked: str, sent: str) -> None:
    paths = Paths(moderations="/answers", images="/d/{model}/images?v=1")
    upstream = compile_upstream("p", Provider(dialect="openai", base_url="https://h/openai", paths=paths))
    assert upstream.path(asked, DIALECTS["openai"], "gpt-5/x") == sent


@pytest.mark.parametrize(
    ("first", "also", "spoken", "sent"),
    [
        ("openai", "responses", "openai", "/c"),
        ("openai", "responses", "responses", "/answers"),
        ("responses", "openai", "responses", "/answers"),
        ("responses", "openai", "openai", "/chat/completions"),
        ("openai", "anthropic", "anthropic", "/messages"),
    ],
)
def test_where_a_conversation_is_held_in_each_dialect(first: DialectName, also: DialectName, spoken: DialectName, sent: str) -> None:
    paths = Paths(chat="/c", responses="/answers")
    upstream = compile_upstream("p", Provider(dialect=first, also=(also,), base_url="https://h/v1", paths=paths))
    assert upstream.speaking(spoken, "chat").place("chat", "m", stream=True) == f"/v1{sent}"
    assert [dialect.name for dialect in upstream.dialects] == [first, also]


@pytest.mark.parametrize("auth", [None, "api-key", "none"])
def test_a_key_is_sent_in_one_way_whatever_is_spoken(auth: Auth | None) -> None:
    provider = Provider(dialect="openai", also=("anthropic",), base_url="https://h/v1", key="k", auth=auth)
    headers = dict(compile_upstream("p", provider).speaking("anthropic", "chat").headers)
    keys = {None: {"authorization": "Bearer k"}, "api-key": {"api-key": "k"}, "none": {}}[auth]
    assert headers == {**keys, "anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("base_url", "asked", "sent"),
    [
        ("https://h/v1beta", "/upload/v1beta/files?x=1", "/upload/v1beta/files?x=1"),
        ("https://h/google/v1beta", "/upload/v1beta/files", "/google/upload/v1beta/files"),
        ("https://h/v1beta", "/ws/google.ai.generativelanguage.v1beta.S.M", "/ws/google.ai.generativelanguage.v1beta.S.M"),
        ("https://h/v1beta", "/upload/v1/files", "/upload/v1/files"),
        ("https://h/v1beta", "/v1/files", "/v1/files"),
        ("https://h/v1beta", "/v1beta/files", "/v1beta/files"),
        ("https://h/v1beta", "/shutdown", "/v1beta/shutdown"),
        ("https://h/other", "/upload/v1beta/files", "/other/upload/v1beta/files"),
    ],
)
def test_what_is_beside_the_root(base_url: str, asked: str, sent: str) -> None:
    upstream = compile_upstream("p", Provider(dialect="gemini", base_url=base_url))
    assert upstream.path(asked, DIALECTS["gemini"]) == sent
