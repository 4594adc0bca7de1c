"""OpenAI's SDK, and its responses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.e2e.said import Said
from tests.e2e.said import responses as said
from tests.e2e.sdks import SECONDS, Sdk

_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


class _Client:
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._responses = client.responses

    async def whole(self, model: str, *, ours: bool) -> Said:
        answer = (await self._responses.create(model=model, input="Hi")).to_dict(warnings=False)
        if ours:
            Response.model_validate(answer)
        return said.whole(answer)

    async def streamed(self, model: str, *, ours: bool) -> Said:
        # The SDK's own helper insists on the order of events.
        async with self._responses.stream(model=model, input="Hi") as stream:
            events = [event.to_dict(warnings=False) async for event in stream]
        for event in events if ours else ():
            _EVENT.validate_python(event)
        told = said.streamed(events)
        if ours:
            # The pieces and the response at the end say the same.
            end = said.whole(events[-1]["response"])
            assert (told.text, told.reasoning, told.calls) == (end.text, end.reasoning, end.calls)
        return told


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`."""
    http = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=SECONDS, http_client=http) as client:
        yield _Client(client)
