"""Access tokens of providers, as a worker has them."""

import time

import msgspec
import pytest

from extproc.attempt import Attempt
from extproc.call import Call
from extproc.config.model import Google, Provider
from extproc.errors import Reject
from extproc.tokens import Purse, Token, encode_tokens, veiled
from extproc.upstream import compile_upstream
from extproc.values import Target
from tests.scene import head


def test_what_is_pushed_counts_until_it_ends() -> None:
    purse = Purse()
    soon = time.time() + 60
    purse.take(encode_tokens({"a": Token("one", soon), "b": Token("old", time.time() - 1)}))
    assert purse.bearer("a", "one") == "Bearer one"
    assert (purse.has("a"), purse.has("b"), purse.has("nobody")) == (True, False, False)
    purse.take(encode_tokens({"c": Token("three", soon)}))
    assert (purse.bearer("a", "one"), purse.bearer("c", "three")) == ("Bearer one", "Bearer three")
    purse.take(encode_tokens({"a": Token("two", soon)}))
    assert purse.bearer("a", "one") == "Bearer two"
    for name in ("b", "nobody"):
        with pytest.raises(Reject) as caught:
            purse.bearer(name, name)
        assert (caught.value.fault.status, caught.value.fault.code) == (503, "provider_authentication")
        assert name in caught.value.fault.message


def test_a_token_is_for_one_place_and_one_set_of_credentials() -> None:
    """After a reload the one before may be at hand still."""
    purse, until = Purse(), time.time() + 60
    here = Provider(dialect="gemini", base_url="https://here.test/v1", google=veiled(Google(credentials="mine")))
    purse.take(encode_tokens({compile_upstream("v", here).token: Token("one", until)}))
    changed = [
        ("v", msgspec.structs.replace(here, base_url="https://there.test/v1")),
        ("v", msgspec.structs.replace(here, google=veiled(Google(credentials="yours")))),
        ("v", msgspec.structs.replace(here, google=veiled(Google(credentials="mine", scope="https://scope.test")))),
        ("w", here),
    ]
    assert compile_upstream("v", here, purse=purse).ready
    assert not any(compile_upstream(name, provider, purse=purse).ready for name, provider in changed)


def test_a_request_carries_the_token_of_the_moment() -> None:
    purse = Purse()
    provider = Provider(dialect="openai", also=("responses",), base_url="https://vertex.test/v1", google=Google())
    upstream = compile_upstream("vertex", provider, purse=purse)
    for dialect, path in (("openai", "/v1/chat/completions"), ("responses", "/v1/responses")):
        call = Call(id="r", generation="g", dialect=dialect, kind="chat", path=path, headers={}, targets=(), model="m")
        for token in ("one", "two"):
            purse.take(encode_tokens({upstream.token: Token(token, time.time() + 60)}))
            seen = head(path, authorization="Bearer hg-callers", x_api_key="hg-callers")
            outgoing = Attempt(call, Target("vertex", "m"), upstream, 1 << 20).outgoing(seen, b'{"model":"m"}', ruled=())
            assert outgoing.headers["authorization"] == f"Bearer {token}"
            assert "x-api-key" in outgoing.remove
    without = compile_upstream("vertex", provider)
    with pytest.raises(Reject):
        Attempt(call, Target("vertex", "m"), without, 1 << 20).outgoing(seen, b'{"model":"m"}', ruled=())
