"""Clients of a gateway: both SDKs, in plain text. They read no certificates: that would take longer than most requests."""

from typing import Any

import anthropic
import openai


def openai_sdk(url: str, key: str = "none", **more: Any) -> openai.OpenAI:
    """OpenAI's, at a gateway's URL. To be closed; nothing is tried twice, so that what fails is seen."""
    client = openai.DefaultHttpxClient(verify=False)
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=client, **more)


def anthropic_sdk(url: str, key: str | None = "none", **more: Any) -> anthropic.Anthropic:
    """Anthropic's, likewise."""
    client = anthropic.DefaultHttpxClient(verify=False)
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=client, **more)
