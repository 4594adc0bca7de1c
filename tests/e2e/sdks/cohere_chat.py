"""Cohere's SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cohere
import httpx

from tests.e2e.said import Said
from tests.e2e.said import cohere as said
from tests.e2e.sdks import QUESTION, SECONDS, Sdk


class _Client:
    def __init__(self, client: cohere.AsyncClientV2) -> None:
        self._client = client

    async def whole(self, model: str, *, ours: bool) -> Said:
        answer = (await self._client.chat(model=model, messages=QUESTION)).model_dump(exclude_unset=True, warnings=False)
        if ours:
            cohere.V2ChatResponse.model_validate(answer)
        return said.whole(answer)

    async def streamed(self, model: str, *, ours: bool) -> Said:
        events = []
        async for event in self._client.chat_stream(model=model, messages=QUESTION):
            events.append(event.model_dump(exclude_unset=True, warnings=False))
            if ours:
                type(event).model_validate(events[-1])
        return said.streamed(events)


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`."""
    async with httpx.AsyncClient(verify=False, timeout=SECONDS) as http:
        yield _Client(cohere.AsyncClientV2("none", base_url=url, httpx_client=http, max_retries=0))
