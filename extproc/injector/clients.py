"""The environment of an application: which variables have its SDKs come to the sidecar.

Only those that an SDK really reads. What the pod's author has set stays; what comes by `envFrom` cannot be seen from here.
"""

from collections.abc import Set as AbstractSet
from typing import Any

from extproc.injector.names import HOST
from extproc.injector.settings import ClientKey, Settings

Plain = dict[str, Any]

_BASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # openai for Python, Node, Go, Java and Ruby, and others' for its dialect; the second LiteLLM, LangChain, openai before 1.0.
    ("/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    # anthropic for Python, Node, Go, Java and Ruby, and LiteLLM; the second LiteLLM alone.
    ("", ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE")),
    # google-genai for Python, Node and Go; the second where it speaks with Vertex AI.
    ("", ("GOOGLE_GEMINI_BASE_URL",)),
    ("", ("GOOGLE_VERTEX_BASE_URL",)),
    # cohere for Python.
    ("", ("CO_API_URL",)),
    # groq for Python and Node, which put /openai/v1 after it.
    ("", ("GROQ_BASE_URL",)),
    # ollama for Python, and its command; the second LiteLLM.
    ("", ("OLLAMA_HOST", "OLLAMA_API_BASE")),
)
"""What comes after the sidecar's address, and the variables of one provider: whoever has set one of them has said where it is."""

_KEYS: tuple[tuple[str, ...], ...] = (
    ("OPENAI_API_KEY",),
    ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ("CO_API_KEY",),
    ("GROQ_API_KEY",),
    ("MISTRAL_API_KEY",),
    ("OLLAMA_API_KEY",),
)
"""The variable that gets the key, and those that would be heard beside it."""

_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_EXEMPT = ("NO_PROXY", "no_proxy")


def environment(container: Plain, theirs: AbstractSet[str], settings: Settings) -> list[Plain]:
    """The variables that an application's container is to have beside `theirs`, in Kubernetes' form."""
    address = f"http://{HOST}:{settings.port}"
    groups = (names for names in _BASES if theirs.isdisjoint(names[1]))
    made: list[Plain] = [{"name": name, "value": address + path} for path, names in groups for name in names]
    # `env` goes before `envFrom`, and that is where keys mostly come from.
    if settings.client_key is not None and not container.get("envFrom"):
        made += [{"name": names[0], "valueFrom": _reference(settings.client_key)} for names in _KEYS if theirs.isdisjoint(names)]
    return made


def detour(container: Plain) -> str | None:
    """The variable by which the container's calls of the sidecar would go to a proxy instead; None if there is none."""
    values = {str(entry.get("name")): str(entry.get("value") or "") for entry in container.get("env") or ()}
    exempt = ",".join(values.get(name, "") for name in _EXEMPT)
    if HOST in exempt or "*" in exempt.split(","):
        return None
    return next((name for name in _PROXIES if values.get(name)), None)


def _reference(key: ClientKey) -> Plain:
    return {"secretKeyRef": {"name": key.secret, "key": key.key}}
