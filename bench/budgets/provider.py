"""A provider that knows what it has given: OpenAI's chat completions, whole and streamed, slowly."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from typing import Any

_LEAST = 5
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n\r\n"


class Provider:
    """Serves on a port of loopback. An answer has up to as many tokens as it may have, and takes `seconds`."""

    def __init__(self, seconds: float, prompt: int) -> None:
        """`prompt`: tokens of each, as it says: no more than the request has bytes."""
        self._seconds = seconds
        self._prompt = prompt
        self._random = random.Random(6)  # noqa: S311 - the same answers each time
        self._server: asyncio.Server | None = None
        self.given: Counter[str] = Counter()
        """Tokens of prompts and answers, by model, also of those on whom somebody has hung up."""

    async def start(self) -> int:
        """Its port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Takes nobody any more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
                asked = json.loads(await reader.readexactly(int(length)))
                await (self._stream if asked.get("stream") else self._whole)(asked, writer)
        writer.close()

    def _tokens(self, asked: dict[str, Any]) -> int:
        self.given[asked["model"]] += self._prompt
        return self._random.randint(_LEAST, asked["max_tokens"])

    async def _whole(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        tokens = self._tokens(asked)
        await asyncio.sleep(self._seconds)
        self.given[asked["model"]] += tokens
        choice = {"index": 0, "message": {"role": "assistant", "content": "word " * tokens}, "finish_reason": "stop"}
        body = json.dumps({**_about(asked, "chat.completion"), "choices": [choice], "usage": self._usage(tokens)}).encode()
        writer.write(_HEAD % (b"application/json", b"content-length: %d" % len(body)) + body)
        await writer.drain()

    async def _stream(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        tokens = self._tokens(asked)
        about = _about(asked, "chat.completion.chunk")
        writer.write(_HEAD % (b"text/event-stream", b"transfer-encoding: chunked"))
        for _ in range(tokens):
            await asyncio.sleep(self._seconds / tokens)
            self.given[asked["model"]] += 1
            await _event(writer, json.dumps({**about, "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}))
        await _event(writer, json.dumps({**about, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        if (asked.get("stream_options") or {}).get("include_usage"):
            await _event(writer, json.dumps({**about, "choices": [], "usage": self._usage(tokens)}))
        await _event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")

    def _usage(self, tokens: int) -> dict[str, int]:
        return {"prompt_tokens": self._prompt, "completion_tokens": tokens, "total_tokens": self._prompt + tokens}


async def _event(writer: asyncio.StreamWriter, data: str) -> None:
    if writer.is_closing():
        raise ConnectionResetError
    event = f"data: {data}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
    await writer.drain()


def _about(asked: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "c-1", "object": kind, "created": 1, "model": asked["model"]}
