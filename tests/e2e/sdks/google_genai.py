"""Google's SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from google import genai
from google.genai import types

from tests.e2e.said import Said
from tests.e2e.said import gemini as said
from tests.e2e.sdks import SECONDS, Sdk


class _Client:
    def __init__(self, models: Any) -> None:
        self._models = models

    async def whole(self, model: str, *, ours: bool) -> Said:
        return said.whole(_json(await self._models.generate_content(model=model, contents="Hi")))

    async def streamed(self, model: str, *, ours: bool) -> Said:
        stream = await self._models.generate_content_stream(model=model, contents="Hi")
        return said.streamed([_json(chunk) async for chunk in stream])


def _json(response: types.GenerateContentResponse) -> Any:
    """As it came, so far as the SDK has understood it."""
    return response.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response"})


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`."""
    async with httpx2.AsyncClient(verify=False, timeout=SECONDS) as http:
        options = types.HttpOptions(base_url=url, httpx_async_client=http, httpx_client=httpx2.Client(verify=False))
        async with genai.Client(api_key="none", http_options=options).aio as client:
            yield _Client(client.models)
