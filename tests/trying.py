"""Attempts as the adapter makes them, and Envoy asks it to."""

from typing import Any

import msgspec

from extproc.adapter import AdapterSession
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.use import USE_KEY, Use
from tests.playbook import Reply, one, request_body, request_headers, response_body, response_headers, say
from tests.scene import CHAT, Scene, head

JSON = {":status": "200", "content-type": "application/json"}
SSE = {":status": "200", "content-type": "text/event-stream"}
PASSED = Reply("response_body")
CLEARED = Reply("response_body", body=b"")
KIB = 1024
PATH = "/v1/chat/completions"


def gated(scene: Scene, body: Any = CHAT, path: str = PATH, **headers: str) -> tuple[dict[str, str], bytes, dict[str, Any]]:
    """What the gate makes of a request for two targets: its headers, its body, its metadata."""
    session = GateSession(scene.engine)
    sent = head(path, authorization="Bearer hg-callers", **headers)
    one(session, request_headers(sent))
    reply = one(
        session,
        request_body(msgspec.json.encode({**body, "model": body.get("model") if "model" in body and body["model"] != "gpt" else "both"})),
    )
    assert reply.part == "request_body", reply.body
    after = {name: value for name, value in sent.items() if name not in reply.remove} | reply.headers
    return after, reply.body or msgspec.json.encode({**body, "model": "both"}), reply.metadata


class Try:
    """One attempt, as Envoy makes it."""

    def __init__(self, scene: Scene, gated: tuple[dict[str, str], bytes, dict[str, Any]], number: int, cluster: str) -> None:
        self.session = AdapterSession(scene.engine)
        self.headers, self.body, metadata = gated
        self.number, self.cluster = number, cluster
        attributes = {names.CLUSTER_ATTRIBUTE: cluster, names.ATTEMPT_ATTRIBUTE: number}
        self.first = one(self.session, request_headers(self.headers, attributes=attributes, metadata=metadata))
        self.second = one(self.session, request_body(self.body)) if self.first.part == "request_headers" else self.first

    def sent(self) -> tuple[dict[str, str], Any]:
        """What the provider gets."""
        headers = {name: value for name, value in self.headers.items() if name not in self.second.remove} | self.second.headers
        return headers, msgspec.json.decode(self.body if self.second.body is None else self.second.body)

    def answer(self, headers: dict[str, str], *, end: bool = False) -> list[Reply]:
        return say(self.session, response_headers(headers, end=end, cluster=self.cluster, attempt=self.number))

    def piece(self, body: bytes, *, end: bool = False) -> list[Reply]:
        return say(self.session, response_body(body, end=end))


def attempt(body: Any = CHAT, scene: Scene | None = None, *, second: bool = False, path: str = PATH, **headers: str) -> Try:
    scene = scene or Scene()
    return Try(scene, gated(scene, body, path, **headers), 2 if second else 1, "provider_anthropic" if second else "provider_openai")


def use_of(reply: Reply) -> Use:
    return msgspec.json.decode(reply.metadata[names.USE_NAMESPACE][USE_KEY], type=Use)
