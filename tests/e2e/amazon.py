"""A provider that answers as Bedrock does, and only who has signed the request."""

import json

from aiohttp import web

from extproc.dialects.eventstream import event
from tests.e2e.sigv4 import signature_fault
from tests.e2e.upstream import Scripted

PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/mi1da"
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
SECRETS = {"AKIDONE": "secret/one+", "AKIDTWO": "secret two".replace(" ", "_")}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    "metrics": {"latencyMs": 7},
}
STREAM = event("messageStart", b'{"role":"assistant"}') + b"".join(
    event("contentBlockDelta", json.dumps({"contentBlockIndex": 0, "delta": {"text": text}}).encode()) for text in ("Hel", "lo")
)
END = (
    event("contentBlockStop", b'{"contentBlockIndex":0}')
    + event("messageStop", b'{"stopReason":"end_turn"}')
    + event("metadata", json.dumps({"usage": ANSWER["usage"], "metrics": {"latencyMs": 7}}).encode())
)


class Amazon(Scripted):
    """Answers who has signed, as Bedrock does."""

    def __init__(self) -> None:
        super().__init__(self.converse)
        self.faults: list[str] = []
        self.busy = 0
        """Requests that are answered with 503 first."""

    async def converse(self, request: web.Request) -> web.StreamResponse:
        fault = signature_fault(request.method, request.raw_path, self.headers[-1], self.bodies[-1], SECRETS)
        self.faults.append(fault)
        if "authorization" not in self.headers[-1]:
            told = {"message": "Missing Authentication Token"}
            return web.json_response(told, status=403, headers={"x-amzn-errortype": "MissingAuthenticationTokenException"})
        if fault:
            return web.json_response({"message": fault}, status=403, headers={"x-amzn-errortype": "InvalidSignatureException"})
        if self.busy:
            self.busy -= 1
            return web.json_response({"message": "Too busy"}, status=503, headers={"x-amzn-errortype": "ServiceUnavailableException"})
        if not request.path.endswith("-stream"):
            return web.json_response(ANSWER)
        response = web.StreamResponse(headers={"content-type": "application/vnd.amazon.eventstream"})
        await response.prepare(request)
        for piece in (STREAM[:50], STREAM[50:] + END[:9], END[9:]):
            await response.write(piece)
        return response

    def seen(self) -> list[tuple[str, str]]:
        """Path and access key of each request."""
        keys = [headers["authorization"].partition("Credential=")[2].partition("/")[0] for headers in self.headers]
        return list(zip(self.paths, keys, strict=True))

    def reset(self) -> None:
        """Forgets what it was asked."""
        for told in (self.faults, self.headers, self.bodies, self.paths):
            told.clear()
        self.busy = 0
