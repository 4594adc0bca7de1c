"""Azure OpenAI's paths, for its clients: what OpenAI has below `/v1`, they ask for below `/openai/deployments/NAME`, `/openai/v1` or
`/openai`.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference
https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle

A deployment is what Azure calls a model that somebody has given a name: to us it is the model's name.
"""

import re
from urllib.parse import quote, unquote, unquote_plus

ROOT = "/openai/"
"""Begins all of them."""

MODEL_PARAMETERS = ("model", "deployment")
"""Where the query of a WebSocket names the model: at OpenAI, and in Azure's older form."""

_PATH = re.compile(r"/openai/(?:v1/|deployments/([^/?]+)/)?([^?]*)(?:\?(.*))?", re.DOTALL)
_VERSION = "api-version"
_DEPLOYMENTS = re.compile(r"/(openai/|v1/)*deployments/")


def at_openai(path: str) -> tuple[str, str]:
    """A client's path below `ROOT` as OpenAI has it, and the deployment that it names, or nothing.

    `api-version` is left out: it tells which form of Azure's API the client speaks, and a provider's path says its own.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return path, ""
    deployment, rest, query = found.groups("")
    query = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] != _VERSION)
    return f"/v1/{rest}?{query}" if query else f"/v1/{rest}", unquote(deployment)


def may_name_deployment(plain: str) -> bool:
    """Whether a provider might find a deployment in a path, as a lenient server reads it."""
    return _DEPLOYMENTS.match(plain) is not None


def with_model(path: str, model: str) -> str:
    """A path whose query names another model, and is otherwise as it was."""
    bare, _, query = path.partition("?")
    others = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) not in MODEL_PARAMETERS]
    return "&".join((f"{bare}?model={quote(model, safe='')}", *others))
