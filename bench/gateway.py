"""The configurations of Headgate that are measured, and the keys in their state folders."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.system import MODEL
from extproc.keys import StoredKey
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store

SEVERAL = "gpt-4o-several"
"""A model with two targets."""


def document(
    provider: str, port: int, operator_port: int, *, routes: int, features: bool, cache: int, several: bool = False
) -> dict[str, Any]:  # fmt: skip
    """`gateway.yaml`: one provider, `routes` models of which the last is the one that is asked for. `cache`: its bytes.

    `several`: there is also the model `SEVERAL`, whose requests pass the adapter.
    """
    others = [{"name": f"model-{number:05}", "targets": [f"mock/upstream-{number:05}"]} for number in range(routes - 1)]
    return {
        "providers": {"mock": {"dialect": "openai", "base_url": f"{provider}/v1", "key": "sk-provider-bench"}},
        "models": [*others, *_several(several), {"name": MODEL, "targets": ["mock"]}],
        "filters": _all(cache) if features else [{"meter": {}}, {"auth": {}}, {"route": {}}],
        "listener": {"port": port},
        "admin": {"port": operator_port},
        "api": {"address": "off"},
        "workers": 1,
        "envoy_threads": 1,
        "state": "state",
    }


def _several(wanted: bool) -> list[dict[str, Any]]:
    return [{"name": SEVERAL, "targets": [f"mock/{MODEL}", f"mock/{SEVERAL}"]}] if wanted else []


def _all(cache: int) -> list[dict[str, Any]]:
    rule = {
        "models": ["gpt-*"],
        "request": {"set": {"x-bench-route": "rule"}, "remove": ["x-app-name"]},
        "response": {"set": {"x-served-by": "bench"}},
    }
    return [{"meter": {}}, {"auth": {"required": True}}, {"route": {}}, {"headers": {"rules": [rule]}}, {"cache": {"max_bytes": cache}}]


def fill_keys(state: Path, count: int) -> str:
    """Makes a caller's key in a state folder, and `count - 1` others of which only the hashes exist. Returns the key."""
    # In order, so that SQLite's indexes of names and of digests grow at their ends: that saves a quarter of the time.
    digests = sorted(os.urandom(32) for _ in range(1, count))
    keys = (StoredKey(f"key-{number:07}", digest, f"tenant-{number % 1000:03}") for number, digest in enumerate(digests, 1))
    with closing(Store.open(state)) as store, store.write(Actor("bench")) as tables:
        holder = Holder(tables.organizations.default().id)
        tables.keys.add_many(holder, keys)
        return tables.keys.create(holder, "bench", tenant="bench")[1]
