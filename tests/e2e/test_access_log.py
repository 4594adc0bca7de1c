"""The log for people: who asked for what, and what came of it; and no secret, wherever in a request it was."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.gateway import Gateway, chat
from tests.e2e.test_auth import FILE_KEY, filters, hashed
from tests.e2e.upstream import Demo

SECRET = "s3cr3t-"


@pytest.fixture(scope="module")
def logging(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    auth = filters(keys=[{"name": "ci", "hash": hashed(FILE_KEY), "tenant": "research"}])
    log = {"request_headers": ["x-team"], "response_headers": ["content-type"]}
    with Gateway(tmp_path_factory.mktemp("gateway"), {**config, "filters": auth, "access_log": log}) as running:
        yield running


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    """What Envoy has written to the standard output of the gateway."""
    return [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]


def line(gateway: Gateway, answer: httpx.Response) -> dict[str, Any]:
    id = answer.headers["x-request-id"]
    gateway.until(lambda: any(one["request_id"] == id for one in lines(gateway)), "the line has been written")
    (found,) = (one for one in lines(gateway) if one["request_id"] == id)
    return found


def ask(gateway: Gateway, model: str = "demo", path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}{path}", json=chat("Hello", model=model), headers=headers, timeout=20, verify=False)


def test_a_line_says_who_asked_for_what(logging: Gateway, openai_provider: Demo) -> None:
    found = line(logging, ask(logging, authorization=f"Bearer {FILE_KEY}", **{"x-team": "blue"}))
    told = {name: found[name] for name in ("method", "path", "status", "tenant", "key", "model", "provider", "client", "protocol")}
    assert told == {
        "method": "POST", "path": "/v1/chat/completions", "status": 200, "tenant": "research", "key": "ci", "model": "demo",
        "provider": "o", "client": "127.0.0.1", "protocol": "HTTP/1.1",
    }  # fmt: skip
    assert found["request_header_x-team"] == "blue" and found["response_header_content-type"] == "application/json"
    assert found["upstream"] == f"127.0.0.1:{openai_provider.port}" and found["bytes_out"] > 0 and found["duration_ms"] >= 0
    assert found["attempts"] == 1 and found["flags"] == "-" and found["details"] == "via_upstream"


def test_several_targets_and_answers_of_the_gateway_s_own(logging: Gateway) -> None:
    found = line(logging, ask(logging, "a-then-o", authorization=f"Bearer {FILE_KEY}"))
    assert (found["provider"], found["tenant"], found["model"]) == ("a", "research", "a-then-o")
    found = line(logging, ask(logging))
    assert (found["status"], found["key"], found["provider"]) == (401, "", None) and found["details"].startswith("headgate_")
    found = line(logging, ask(logging, "nothing-of-the-kind", authorization=f"Bearer {FILE_KEY}"))
    assert (found["status"], found["key"], found["model"]) == (404, "ci", "nothing-of-the-kind")


def test_no_secret_of_a_request_is_in_any_log(logging: Gateway) -> None:
    """Nor in what Envoy keeps for the ledger."""
    places = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization", "referer", "x-unknown")
    answers = [ask(logging, **{name: f"{SECRET}{at}"}) for at, name in enumerate(places)]
    good = {"authorization": f"Bearer {FILE_KEY}"}
    for path in ("/v1/chat/completions", "/v1beta/models/demo:generateContent", "/v1/files", "/nowhere"):
        answers.append(ask(logging, path=f"{path}?key={SECRET}q&access_token={SECRET}r#x", **good))
        answers.append(ask(logging, path=f"{path}?alt=sse&api_key={SECRET}s"))
    answers.append(httpx.post(f"{logging.url}/v1/chat/completions", json=chat(f"{SECRET}body"), headers=good, verify=False))
    for answer in answers:
        line(logging, answer)
    time.sleep(0.5)  # Envoy writes its logs four times a second
    for file in (logging.log, *logging.state.rglob("*")):
        if file.is_file() and "sqlite" not in file.name:
            text = file.read_text(errors="replace")
            assert SECRET not in text and FILE_KEY not in text, file


def test_where_it_is_a_file(tmp_path_factory: pytest.TempPathFactory, logging: Gateway) -> None:
    folder = tmp_path_factory.mktemp("check")
    path = folder / "gateway.yaml"
    text = logging.path.read_text()
    path.write_text(text.replace("access_log:", "access_log:\n  path: nowhere/access.log"))
    checked = logging.run("check", str(path), "--no-envoy")
    assert checked.returncode == 2 and "$.access_log.path: the folder" in checked.stderr
    path.write_text(text.replace("- x-team", "- x-auth-token"))
    checked = logging.run("check", str(path), "--no-envoy")
    assert checked.returncode == 2 and "may hold a credential" in checked.stderr
