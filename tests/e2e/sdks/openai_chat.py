"""OpenAI's SDK, and its chat completions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e.said import Said
from tests.e2e.said import openai as said
from tests.e2e.sdks import QUESTION, SECONDS, Sdk


class _Client:
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._ask = client.chat.completions.create

    async def whole(self, model: str, *, ours: bool) -> Said:
        answer = (await self._ask(model=model, messages=QUESTION)).to_dict(warnings=False)
        if ours:
            ChatCompletion.model_validate(answer)
        return said.whole(answer)

    async def streamed(self, model: str, *, ours: bool) -> Said:
        stream = await self._ask(model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True})
        chunks = [chunk.to_dict(warnings=False) async for chunk in stream]
        for chunk in chunks if ours else ():
            ChatCompletionChunk.model_validate(chunk)
        return said.streamed(chunks)


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`."""
    http = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=SECONDS, http_client=http) as client:
        yield _Client(client)
