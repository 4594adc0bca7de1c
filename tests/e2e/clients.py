"""Clients of a gateway: the official SDKs, in plain text. They read no certificates: that would take longer than most requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import cohere
import httpx
import ollama
import openai


def openai_sdk(url: str, key: str = "none", **more: Any) -> openai.OpenAI:
    """OpenAI's, at a gateway's URL. To be closed; nothing is tried twice, so that what fails is seen."""
    client = openai.DefaultHttpxClient(verify=False)
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=client, **more)


def anthropic_sdk(url: str, key: str | None = "none", **more: Any) -> anthropic.Anthropic:
    """Anthropic's, likewise."""
    client = anthropic.DefaultHttpxClient(verify=False)
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=client, **more)


@contextmanager
def ollama_sdk(url: str) -> Iterator[ollama.Client]:
    """Ollama's, likewise, and closed at the end."""
    client = ollama.Client(url, verify=False)
    with client._client:
        yield client


@contextmanager
def cohere_sdk(url: str) -> Iterator[cohere.ClientV2]:
    """Cohere's, likewise, and closed at the end."""
    with httpx.Client(verify=False) as client:
        yield cohere.ClientV2("none", base_url=url, httpx_client=client, max_retries=0)
