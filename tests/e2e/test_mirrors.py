"""Mirrors: a copy of a conversation is asked of somebody else, and nothing of that reaches the client."""

import json
import re
import time
from typing import Any

import httpx
import pytest

from extproc.mirrored import Mirrored
from extproc.values import Identity, Target
from tests.e2e.books import Entry, when
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo

KEYS = {"authorization": "Bearer caller-secret"}


@pytest.fixture(scope="module")
def config(config: dict[str, Any]) -> dict[str, Any]:
    """With models that are mirrored: one target, several, and none of the requests."""
    watched = [
        {"name": "watched", "targets": ["o/primary"], "mirror": {"to": "a/shadow"}},
        {"name": "several", "targets": ["o/first", "o/second"], "mirror": {"to": "a"}},
        {"name": "never", "targets": ["o/primary"], "mirror": {"to": "a/shadow", "share": 0}},
    ]
    return {**config, "models": watched, "workers": 2}


def ask(gateway: Gateway, body: dict[str, Any], path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}{path}", json=body, headers=KEYS | headers, verify=False, timeout=20)


def asked(gateway: Gateway, demo: Demo, count: int = 1) -> list[dict[str, Any]]:
    """What a provider was asked, as soon as that is so much."""
    gateway.until(lambda: len(demo.requests()) >= count, f"{count} requests are there")
    found = demo.requests()
    assert len(found) == count
    return found


def copies(gateway: Gateway, ids: set[str]) -> list[Entry]:
    """The entries of the copies of these requests, as soon as all are there."""

    def of(found: dict[str, Entry]) -> list[Entry]:
        return [one for one in found.values() if one["mirror_of"] in ids]

    return of(when(gateway, lambda found: len(of(found)) == len(ids) and ids <= found.keys(), "copies and requests are in the ledger"))


def test_a_copy_goes_to_the_mirror(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    answer = ask(gateway, chat("Hello", "watched", temperature=0.5), **{"x-headgate-tags": "mine"})
    answer.raise_for_status()
    assert answer.json()["model"] == "primary"
    assert not [name for name in answer.headers if "mirror" in name]
    (primary,), (mirror,) = asked(gateway, openai_provider), asked(gateway, anthropic_provider)
    given = dict(mirror["headers"])
    assert (primary["path"], mirror["path"]) == ("/v1/chat/completions", "/v1/messages")
    assert (given["x-api-key"], given["host"]) == ("sk-provider-a", anthropic_provider.url.removeprefix("http://"))
    body = json.loads(mirror["body"])
    assert (body["model"], body["temperature"], "Hello" in str(body["messages"])) == ("shadow", 0.5, True)
    for request in (primary, mirror):
        assert "caller-secret" not in str(request)
        assert not [name for name, _ in dict(request["headers"]).items() if name.startswith(("x-envoy", "x-headgate", "x-forwarded"))]
    (copy,) = copies(gateway, {answer.headers["x-request-id"]})
    assert (copy["provider"], copy["target"], copy["model"], copy["route"]) == ("a", "shadow", "watched", "watched")
    assert (copy["outcome"], copy["cache"], copy["attempts"]) == ("complete", "", 1)
    assert copy["input"] > 0
    assert copy["output"] > 0


def test_whatever_the_mirror_does(gateway: Gateway, openai_provider: Demo) -> None:
    told = set()
    for failure in ("status=500", "delay=30", "reset", "malformed", "break", "tokens=60 gap=0.5"):
        stream = failure not in ("malformed", "reset")
        began = time.monotonic()
        answer = ask(gateway, chat(f"Hello [demo@anthropic: {failure}]", "watched", stream=stream))
        # The one that is silent, and the one that takes its time, are still asked: for half a minute.
        assert time.monotonic() - began < 20, failure
        assert answer.status_code == 200
        assert "Hello" in answer.text
        assert ("data: [DONE]" in answer.text) is stream
        if failure in ("status=500", "malformed", "break"):
            told.add(answer.headers["x-request-id"])
    asked(gateway, openai_provider, 6)
    assert {copy["outcome"] for copy in copies(gateway, told)} <= {"error", "provider_broke"}

    def said(what: str) -> bool:
        return re.search(rf"request \S+ \(a copy of \S+ for a mirror\): {what}", gateway.log.read_text()) is not None

    gateway.until(lambda: said("no answer from a: ") and said("the provider a sent no answer "), "the log says that these are copies")


def test_several_targets_and_another_dialect(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    answer = ask(gateway, message("Hello [demo@openai: status=503]", "several"), "/v1/messages")
    assert answer.status_code == 503
    asked(gateway, openai_provider, 2)
    (mirror,) = asked(gateway, anthropic_provider)
    assert (json.loads(mirror["body"])["model"], mirror["path"]) == ("several", "/v1/messages")
    (copy,) = copies(gateway, {answer.headers["x-request-id"]})
    assert copy["outcome"] == "complete"


def test_none_is_mirrored_of_a_share_of_nothing_nor_because_a_client_says_so(
    gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo
) -> None:
    forged = Mirrored("of-whom", "", Target("a", "shadow"), Identity("somebody", "else"), "watched", "watched").encode()
    answers = [
        ask(gateway, chat("Hello", "never")),
        ask(gateway, chat("Hello", "never"), **{"x-headgate-mirror": forged}),
        ask(gateway, chat("Hello", "never"), **{"x-headgate-mirror": "?"}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    asked(gateway, openai_provider, 3)
    ids = {answer.headers["x-request-id"] for answer in answers}
    found = when(gateway, lambda found: ids <= found.keys(), "they are in the ledger")
    assert {(found[id]["mirror_of"], found[id]["provider"], found[id]["tenant"]) for id in ids} == {("", "o", "")}
    assert not [one for one in found.values() if one["mirror_of"] in ids or one["mirror_of"] == "of-whom"]
    assert anthropic_provider.requests() == []


def test_bills_are_without_mirrors(gateway: Gateway) -> None:
    def reported(*more: str) -> dict[str, Any]:
        total: dict[str, Any] = json.loads(gateway.run("usage", "--json", "--by", "provider", *more).stdout)
        return {row["provider"]: row["requests"] for row in total["rows"]}

    ids = {ask(gateway, chat("Hello", "watched")).headers["x-request-id"] for _ in range(2)}
    copies(gateway, ids)
    asked_for, mirrored = reported(), reported("--mirrors")
    assert set(asked_for) == {"o"}
    assert set(mirrored) == {"a"}
    assert mirrored["a"] >= 2
    series = gateway.metrics()
    assert series['ai_proxy_mirrored_requests_total{model="watched",outcome="complete",provider="a"}'] >= 2
    assert not [name for name in series if name.startswith("ai_proxy_requests_total") and 'provider="a"' in name]
