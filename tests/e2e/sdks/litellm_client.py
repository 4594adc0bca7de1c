"""LiteLLM's client, which is told that there is an OpenAI."""

import importlib
import os
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.said import Said
from tests.e2e.said import openai as said
from tests.e2e.sdks import QUESTION, SECONDS, Sdk

_ALONE = {
    "LITELLM_MODE": "PRODUCTION",  # else it reads a .env of the developer's
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
}
"""What keeps it from asking its makers for lists."""


class _Client:
    def __init__(self, litellm: Any, url: str) -> None:
        self._ask = litellm.acompletion
        self._to = {
            "api_base": f"{url}/v1", "api_key": "none", "messages": QUESTION, "max_retries": 0, "num_retries": 0, "timeout": SECONDS,
        }  # fmt: skip

    async def whole(self, model: str, *, ours: bool) -> Said:
        return said.whole((await self._ask(model=f"openai/{model}", **self._to)).model_dump(warnings=False))

    async def streamed(self, model: str, *, ours: bool) -> Said:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        stream = await self._ask(model=f"openai/{model}", **options, **self._to)
        return said.streamed([chunk.model_dump(warnings=False) async for chunk in stream])


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Sdk]:
    """A client of the gateway at `url`. The first one takes seconds, which it takes to be imported."""
    os.environ |= _ALONE
    with warnings.catch_warnings(action="ignore"):
        # Here, and by name: it takes ten seconds, which nobody else and no type checker is to wait.
        litellm: Any = importlib.import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    yield _Client(litellm, url)
    await litellm.close_litellm_async_clients()
