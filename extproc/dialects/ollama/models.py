"""The list of models for Ollama's clients.

https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models
"""

import hashlib

from extproc.dialects.hub import Extra

# What is said of a model's file. We know of none, and clients insist on values: plainly no real ones.
_MODIFIED_AT = "1970-01-01T00:00:00Z"
_FAMILY = "headgate"

# Clients offer a user what a model can do; what it cannot, its provider says.
_CAPABILITIES = ("completion", "tools", "vision", "thinking")


def _details() -> Extra:
    return {
        "parent_model": "",
        "format": "",
        "family": _FAMILY,
        "families": [_FAMILY],
        "parameter_size": "",
        "quantization_level": "",
    }


def list_model(name: str) -> Extra:
    """A model in the list. Clients tell models apart by their digests, and show the first twelve digits."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return {
        "name": name,
        "model": name,
        "modified_at": _MODIFIED_AT,
        "size": 0,
        "digest": digest,
        "details": _details(),
        "capabilities": list(_CAPABILITIES),
    }


def describe_model(name: str) -> Extra:
    """What /api/show says of it."""
    return {
        "modelfile": f"FROM {name}\n",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": _details(),
        "model_info": {"general.architecture": _FAMILY, "general.basename": name},
        "capabilities": list(_CAPABILITIES),
        "modified_at": _MODIFIED_AT,
    }
