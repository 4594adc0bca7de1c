"""Mistral's SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mistralai.client import Mistral
from mistralai.client.utils import serializers
from pydantic import create_model

from tests.e2e.said import Said
from tests.e2e.said import openai as said
from tests.e2e.sdks import QUESTION, SECONDS, Sdk

_made: dict[Any, Any] = {}


def _once(name: str, **parts: Any) -> Any:
    """What `create_model` makes of a type, made when it is read first."""
    read, _ = parts["body"]
    if read not in _made:
        _made[read] = create_model(name, **parts)
    return _made[read]


# The SDK makes the same model anew for every answer and every event, which took it five times as long as reading them.
vars(serializers)["create_model"] = _once


class _Client:
    def __init__(self, client: Mistral) -> None:
        self._chat = client.chat

    async def whole(self, model: str, *, ours: bool) -> Said:
        return said.whole((await self._chat.complete_async(model=model, messages=QUESTION)).model_dump(mode="json", warnings=False))

    async def streamed(self, model: str, *, ours: bool) -> Said:
        async with await self._chat.stream_async(model=model, messages=QUESTION) as stream:
            return said.streamed([event.data.model_dump(mode="json", warnings=False) async for event in stream])


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`."""
    async with httpx2.AsyncClient(verify=False, timeout=SECONDS) as http:
        yield _Client(Mistral(api_key="none", server_url=url, async_client=http, client=httpx2.Client(verify=False)))
