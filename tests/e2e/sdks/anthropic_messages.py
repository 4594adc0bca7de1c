"""Anthropic's SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic
from anthropic.types import Message

from tests.e2e.said import Said
from tests.e2e.said import anthropic as said
from tests.e2e.sdks import QUESTION, SECONDS, Sdk


class _Client:
    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        self._messages = client.messages

    async def whole(self, model: str, *, ours: bool) -> Said:
        return self._told(await self._messages.create(model=model, messages=QUESTION, max_tokens=4096), ours)

    async def streamed(self, model: str, *, ours: bool) -> Said:
        # The SDK's own helper puts the message together.
        async with self._messages.stream(model=model, messages=QUESTION, max_tokens=4096) as stream:
            return self._told(await stream.get_final_message(), ours)

    def _told(self, message: Message, ours: bool) -> Said:
        answer = message.model_dump(exclude_unset=True, by_alias=True, warnings=False)
        if ours:
            Message.model_validate(answer)
        return said.whole(answer)


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`."""
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0, timeout=SECONDS, http_client=http) as client:
        yield _Client(client)
