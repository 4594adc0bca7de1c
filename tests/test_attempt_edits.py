"""Header rules of an operator, on the way to a provider."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.attempt import Attempt
from extproc.call import Call
from extproc.config.model import HeaderEdits, HeaderRules, Provider
from extproc.crossing import CREDENTIALS, may_remove, to_provider
from extproc.dialects import DIALECTS
from extproc.upstream import compile_upstream
from extproc.values import Target
from tests.examples import examples
from tests.scene import CHAT, head
from tests.test_attempt import MOST, PROVIDERS, attempt, encoded, sent


def edited(rules: HeaderRules, **changes: Any) -> Attempt:
    provider = Provider(dialect="openai", base_url="https://openai.test/v1", key="sk-openai", headers=rules)
    plain = attempt(**changes)
    return Attempt(plain.call, plain.target, compile_upstream("openai", provider), MOST)


def test_a_providers_own_edits() -> None:
    rules = HeaderRules(
        request=HeaderEdits(set={"x-team": "blue", "x-title": "ours"}, remove=("user-agent", "x-title")),
        response=HeaderEdits(set={"x-served": "yes"}, remove=("x-ratelimit-limit",)),
    )
    seen = head(x_title="app")
    one = edited(rules, seen=seen)
    headers, _ = sent(seen, b"{}", one.outgoing(seen, b"{}"))
    assert (headers["x-team"], headers["x-title"], "user-agent" in headers) == ("blue", "ours", False)
    answer = {
        ":status": "200",
        "content-type": "application/json",
        "x-ratelimit-limit": "5",
        "set-cookie": "a=b",
        "server": "cloudflare",
        "date": "now",
    }
    assert one.response_headers(answer) == ({"x-served": "yes"}, ("set-cookie", "server", "x-ratelimit-limit"))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_a_rule_sets_crosses_on_purpose(provider: str) -> None:
    seen = head()
    one = attempt(provider, "m", seen, rules={"x-team-token": "t", "user-agent": "ours"})
    headers, _ = sent(seen, encoded(CHAT), one.outgoing(seen, encoded(CHAT)))
    assert (headers["x-team-token"], headers["user-agent"]) == ("t", "ours")


NAMES = st.sampled_from([
    *CREDENTIALS[:3], ":method", ":path", ":authority", "accept", "accept-encoding", "anthropic-version", "content-length", "content-type",
    "user-agent", "x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-rule", "x-title",
])  # fmt: skip


EDITS = st.builds(HeaderEdits, set=st.dictionaries(NAMES, st.just("edited"), max_size=2), remove=st.lists(NAMES, max_size=3).map(tuple))


def plainly(made: Attempt, seen: dict[str, str], body: bytes, new: bytes | None) -> dict[str, str]:
    """The headers that a provider of the client's dialect is to get, one after the other."""
    call, upstream = made.call, made.upstream
    wanted = {**call.headers, **call.rules, "x-request-id": call.id}
    wanted.pop("accept-encoding", None)
    wanted = {**dict(upstream.headers), **wanted}
    for name in upstream.request.remove:
        wanted.pop(name, None)
    wanted |= upstream.request.set
    wanted |= {
        ":path": upstream.path(call.path, DIALECTS["openai"]),
        ":authority": upstream.authority,
        "content-length": str(len(new or body)),
    }
    if new is not None:
        wanted["content-type"] = "application/json"
    kept = {name: value for name, value in seen.items() if name[0] == ":" or name == "x-forwarded-proto"}
    return kept | wanted


@given(
    st.dictionaries(NAMES, st.sampled_from(["a", "b"])), st.dictionaries(NAMES.filter(may_remove), st.just("left"), max_size=4), EDITS,
    st.dictionaries(NAMES, st.just("ruled"), max_size=2), st.booleans(),
)  # fmt: skip
@settings(max_examples=examples(200), deadline=None)
def test_what_a_provider_gets_whatever_was_sent_and_whatever_is_left_of_an_attempt_before(
    sent_by_client: dict[str, str], left: dict[str, str], edits: HeaderEdits, rules: dict[str, str], renamed: bool,
) -> None:  # fmt: skip
    seen = head() | sent_by_client
    provider = msgspec.structs.replace(PROVIDERS["openai"], headers=HeaderRules(request=edits))
    crossing = {name: value for name, value in seen.items() if to_provider(name) and name not in rules}
    call = Call("r-1", "g", "openai", "chat", "/v1/chat/completions", crossing, (Target("openai", "gpt"),), rules, "gpt")
    target = Target("openai", "other" if renamed else "gpt")
    made = Attempt(call, target, compile_upstream("openai", provider), MOST)
    body = encoded(CHAT)
    # Told in either way what may cross.
    alone = Attempt(msgspec.structs.replace(call, headers={}), target, made.upstream, MOST)
    fresh = alone.outgoing(seen, body, ruled=tuple(rules))
    assert alone.outgoing(seen, body, ruled=tuple(rules)) == fresh
    assert sent(seen, body, made.outgoing(seen, body))[0] == sent(seen, body, fresh)[0]
    wanted = plainly(made, seen, body, fresh.body)
    assert sent(seen, body, fresh)[0] == wanted
    before = {**seen, **left}
    assert sent(before, body, made.outgoing(before, body))[0] == wanted
