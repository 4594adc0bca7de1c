"""A provider of OpenAI's endpoints for audio, images and moderation, which reads forms with a parser that is not ours."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import BodyPartReader, web

from tests.e2e.upstream import Upstream

TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    "output_tokens": 5,
    "total_tokens": 19,
}
IMAGE_TOKENS = {
    "input_tokens": 50,
    "output_tokens": 4160,
    "total_tokens": 4210,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens_details": {"text_tokens": 0, "image_tokens": 4160},
}
IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()


class Asked(NamedTuple):
    """A request, as the provider's own parser reads it."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str]
    """Of files their SHA-256."""


class Media(Upstream):
    """Answers by the model's name; `broken` ones are 503."""

    def __init__(self) -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_post("/v1/audio/translations", self._transcribe)
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_post("/v1/images/{what}", self._draw)
        app.router.add_post("/v1/moderations", self._judge)
        super().__init__(app)
        self.asked: list[Asked] = []
        self.go_on = asyncio.Event()
        self.broken = False

    async def _read(self, request: web.Request) -> dict[str, str]:
        fields: dict[str, str] = {}
        if request.content_type == "application/json":
            fields = {name: str(value) for name, value in (await request.json()).items()}
        else:
            async for part in await request.multipart():
                assert isinstance(part, BodyPartReader)
                content = bytes(await part.read())
                fields[part.name or ""] = hashlib.sha256(content).hexdigest() if part.filename else content.decode()
        self.asked.append(Asked(request.path_qs, {name.lower(): value for name, value in request.headers.items()}, fields))
        if self.broken:
            raise web.HTTPServiceUnavailable(text='{"error":{"message":"busy"}}', content_type="application/json")
        return fields

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        fields = await self._read(request)
        if fields.get("stream") == "true":
            events = [{"type": "transcript.text.delta", "delta": "Hel"}, {"type": "transcript.text.delta", "delta": "lo"}]
            return await _stream(request, [*events, {"type": "transcript.text.done", "text": "Hello", "usage": TOKENS}])
        if fields.get("response_format") == "text":
            return web.Response(text="Hello\n")
        usage = {"type": "duration", "seconds": 9} if fields["model"].startswith("whisper") else TOKENS
        return web.json_response({"text": "Hello", "usage": usage})

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        fields = await self._read(request)
        if fields.get("stream_format") == "sse":
            usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
            return await _stream(request, [{"type": "speech.audio.delta", "audio": "AAAA"}, {"type": "speech.audio.done", "usage": usage}])
        response = web.StreamResponse(headers={"content-type": "audio/mpeg"})
        await response.prepare(request)
        await response.write(b"first")
        # The rest waits until the client has the beginning.
        await asyncio.wait_for(self.go_on.wait(), 10)
        await response.write(b"second")
        await response.write_eof()
        return response

    async def _draw(self, request: web.Request) -> web.StreamResponse:
        fields = await self._read(request)
        if fields.get("stream", "").lower() == "true":
            kind = "image_edit" if request.path.endswith("edits") else "image_generation"
            more = {"created_at": 1, "size": "1024x1024", "quality": "high", "background": "opaque", "output_format": "png"}
            partial = {"type": f"{kind}.partial_image", "b64_json": IMAGE, "partial_image_index": 0, **more}
            return await _stream(request, [partial, {"type": f"{kind}.completed", "b64_json": IMAGE, "usage": IMAGE_TOKENS, **more}])
        images = [{"b64_json": IMAGE}] * int(fields.get("n", "1"))
        usage = {"usage": IMAGE_TOKENS} if fields["model"].startswith("gpt") else {}
        return web.json_response({"created": 1, "data": images, **usage})

    async def _judge(self, request: web.Request) -> web.StreamResponse:
        fields = await self._read(request)
        result = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
        return web.json_response({"id": "modr-1", "model": fields["model"], "results": [result]})


async def _stream(request: web.Request, events: list[Mapping[str, Any]]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    await response.write_eof()
    return response
