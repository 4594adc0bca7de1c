"""Ollama's SDK: chats, and prompts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import ollama

from tests.e2e.said import Said
from tests.e2e.said import ollama as said
from tests.e2e.sdks import QUESTION, SECONDS, Sdk


class _Chat:
    def __init__(self, client: ollama.AsyncClient) -> None:
        self._client = client

    async def whole(self, model: str, *, ours: bool) -> Said:
        return said.whole((await self._client.chat(model, QUESTION)).model_dump(warnings=False))

    async def streamed(self, model: str, *, ours: bool) -> Said:
        return said.streamed([line.model_dump(warnings=False) async for line in await self._client.chat(model, QUESTION, stream=True)])


class _Generate:
    def __init__(self, client: ollama.AsyncClient) -> None:
        self._client = client

    async def whole(self, model: str, *, ours: bool) -> Said:
        return said.whole((await self._client.generate(model, "Hi")).model_dump(warnings=False))

    async def streamed(self, model: str, *, ours: bool) -> Said:
        return said.streamed([line.model_dump(warnings=False) async for line in await self._client.generate(model, "Hi", stream=True)])


@asynccontextmanager
async def connect_chat(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url` that holds a conversation."""
    client = ollama.AsyncClient(url, verify=False, timeout=SECONDS)
    async with client._client:
        yield _Chat(client)


@asynccontextmanager
async def connect_generate(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url` that has a prompt continued."""
    client = ollama.AsyncClient(url, verify=False, timeout=SECONDS)
    async with client._client:
        yield _Generate(client)
