"""`headgate explain` says what a gateway does: who is asked, in which order, at which path, or with what the request is refused."""

import json
import re
from typing import Any

import httpx
import pytest

from extproc.cli import main
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo

FAILS = "Hello [demo: status=503]"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CHAT, MESSAGES, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"


@pytest.fixture(scope="module")
def config(config: dict[str, Any]) -> dict[str, Any]:
    chosen = [
        {"name": "gpt-4*", "targets": ["a/other"]},
        {
            "name": "staged",
            "aliases": ["gpt-staged"],
            "targets": [{"to": "a/last", "tier": 2}, {"to": "o/near", "when": {"headers": {"x-region": "eu-*"}}}],
        },
        {"name": "able", "targets": [{"to": "o/blind", "lacks": ["tools"]}, {"to": "a/tagged", "when": {"tags": ["slow"]}}]},
        {"name": "again", "targets": ["o/one", "a/two"], "retries": {"again": 1, "pause": 0, "budget": 1}},
        {"name": "vectors", "targets": ["a/none", "o/vectors"]},
    ]
    return {**config, "models": [*config["models"], *chosen]}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "one": (CHAT, chat(FAILS, "demo"), {}),
    "a pattern": (CHAT, chat(FAILS, "gpt-5"), {}),
    "the longer pattern": (CHAT, chat(FAILS, "gpt-4o"), {}),
    "two": (CHAT, chat(FAILS, "o-then-a"), {}),
    "two, the other way round": (MESSAGES, message(FAILS, "a-then-o"), {}),
    "streamed": (CHAT, chat(FAILS, "o-then-a", stream=True), {}),
    "for nobody here": (CHAT, chat(FAILS, "staged"), {}),
    "by header": (CHAT, chat(FAILS, "gpt-staged"), {"x-region": "eu-west"}),
    "with tools": (CHAT, {**chat(FAILS, "able"), "tools": [TOOL]}, {"x-headgate-tags": "slow"}),
    "for no target": (CHAT, {**chat(FAILS, "able"), "tools": [TOOL]}, {}),
    "asked again": (CHAT, chat(FAILS, "again"), {}),
    "by its provider": (CHAT, chat(FAILS, "o-then-a"), {"x-headgate-provider": "a"}),
    "by its provider's path": (f"/providers/a{CHAT}", chat(FAILS, "o-then-a"), {}),
    "responses": (RESPONSES, {"model": "o-then-a", "input": FAILS}, {}),
    "vectors": (EMBEDDINGS, {"model": "vectors", "input": FAILS}, {}),
    "no such model": (CHAT, chat(FAILS, "demmo"), {}),
    "no model": (CHAT, {"messages": []}, {}),
    "a foreign host": (CHAT, chat(FAILS, "demo"), {"host": "evil.test"}),
    "another method": (f"{CHAT}/", chat(FAILS, "demo"), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_explained_as_it_is(
    case: str, gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    path, document, headers = CASES[case]
    body = gateway.folder / "body.json"
    body.write_text(json.dumps(document))
    given = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    code = main(["explain", "POST", path, str(gateway.path), "--body", str(body), "--json", *given])
    told = json.loads(capsys.readouterr().out)
    assert code == (1 if told["outcome"] == "refused" else 0)
    answer = httpx.post(f"{gateway.url}{path}", json=document, headers=headers, timeout=20)
    seen = [
        (name, one["path"], one["body"]) for name, demo in (("o", openai_provider), ("a", anthropic_provider)) for one in demo.requests()
    ]
    if told["outcome"] == "refused":
        assert not seen
        assert (answer.status_code, _code(answer.json())) == (told["answer"]["status"], _code(json.loads(told["answer"]["body"])))
        return
    targets = [one["target"] for one in told["targets"]]
    if (attempts := answer.headers.get("x-headgate-attempts")) is not None:
        assert re.findall(r"(?:^|, )([^;,]+);", attempts) == targets
    else:
        assert len(targets) == 1
    assert sorted(seen_name for seen_name, _, _ in seen) == sorted(target.partition("/")[0] for target in targets)
    for name, asked_path, asked_body in seen:
        there = [one for one in told["targets"] if one["target"].startswith(f"{name}/") and one["url"].endswith(asked_path)]
        assert any(f'"{one["target"].partition("/")[2]}"' in asked_body for one in there)


def _code(document: dict[str, Any]) -> Any:
    return document["error"].get("code") or document["error"]["type"]
