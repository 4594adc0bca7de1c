"""Access tokens of providers, as a worker has them."""

import time

import pytest

from extproc.attempt import Attempt, Call
from extproc.config.model import Google, Provider
from extproc.errors import Reject
from extproc.tokens import Purse, Token, encode_tokens
from extproc.upstream import compile_upstream
from extproc.values import Target
from tests.scene import head


def test_what_is_pushed_counts_until_it_ends() -> None:
    purse = Purse()
    soon = time.time() + 60
    purse.take(encode_tokens({"a": Token("one", soon), "b": Token("old", time.time() - 1)}))
    assert purse.bearer("a") == "Bearer one"
    assert (purse.has("a"), purse.has("b"), purse.has("nobody")) == (True, False, False)
    purse.take(encode_tokens({"c": Token("three", soon)}))
    assert (purse.bearer("a"), purse.bearer("c")) == ("Bearer one", "Bearer three")
    purse.take(encode_tokens({"a": Token("two", soon)}))
    assert purse.bearer("a") == "Bearer two"
    for name in ("b", "nobody"):
        with pytest.raises(Reject) as caught:
            purse.bearer(name)
        assert (caught.value.fault.status, caught.value.fault.code) == (503, "provider_authentication")
        assert name in caught.value.fault.message


def test_a_request_carries_the_token_of_the_moment() -> None:
    purse = Purse()
    provider = Provider(dialect="openai", also=("responses",), base_url="https://vertex.test/v1", google=Google())
    upstream = compile_upstream("vertex", provider, purse=purse)
    for dialect, path in (("openai", "/v1/chat/completions"), ("responses", "/v1/responses")):
        call = Call(id="r", generation="g", dialect=dialect, kind="chat", path=path, headers={}, targets=(), model="m")
        for token in ("one", "two"):
            purse.take(encode_tokens({"vertex": Token(token, time.time() + 60)}))
            seen = head(path, authorization="Bearer hg-callers", x_api_key="hg-callers")
            outgoing = Attempt(call, Target("vertex", "m"), upstream, 1 << 20).outgoing(seen, b'{"model":"m"}', ruled=())
            assert outgoing.headers["authorization"] == f"Bearer {token}"
            assert "x-api-key" in outgoing.remove
    without = compile_upstream("vertex", provider)
    with pytest.raises(Reject):
        Attempt(call, Target("vertex", "m"), without, 1 << 20).outgoing(seen, b'{"model":"m"}', ruled=())
