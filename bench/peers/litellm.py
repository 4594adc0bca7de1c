"""LiteLLM's proxy: one uvicorn worker, a master key, one model, no database.

- One worker, as Headgate has one and Portkey is one process. It cannot use more than one core, whatever the machine has.
- The master key is its only way to ask callers for a key without PostgreSQL; without it anybody may administrate it.
- No database, no Redis, no callbacks, no retries but its defaults. It counts tokens and cost of each answer, as it always does.
- As its guide for production says: `LITELLM_MODE=PRODUCTION`, `LITELLM_LOG=ERROR`; the latter also ends uvicorn's line a request.
- It would fetch a price list and several others at its start: all are told to be taken from the package. Telemetry is off.
- `litellm[proxy]` as it comes: uvloop, and h11, since httptools does not come with it.

Version 1.106.2: later ones ask for a certifi that the registry did not have when this was locked.
"""

import json
from pathlib import Path
from typing import Any

from bench.children import free_port
from bench.peers.environments import PythonEnvironment, python
from bench.peers.peer import HOST, KEY, Peer
from bench.system import MODEL, Target

_MASTER = "sk-bench-master"

_ENV = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
}


class LiteLLM(Peer):
    """`litellm --config ... --num_workers 1`."""

    name = "litellm"
    version = "1.106.2"
    environment = PythonEnvironment(Path(__file__).with_name("litellm.lock"))
    size = "750 MB"

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        port = free_port()
        config = folder / "config.yaml"
        config.write_text(json.dumps(_config(provider)))
        interpreter = python(self.home)
        options = ["--config", str(config), "--host", HOST, "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
        # -I: it is to import nothing of this repository.
        await self.spawn([str(interpreter), "-I", str(interpreter.with_name("litellm")), *options], folder, _ENV)
        # It imports for ten seconds on an idle machine.
        return await self.ready(Target(host=HOST, port=port, headers={"authorization": f"Bearer {_MASTER}"}), folder, 240)


def _config(provider: str) -> dict[str, Any]:
    """Its config.yaml. JSON is YAML."""
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": {"model": f"openai/{MODEL}", "api_base": f"{provider}/v1", "api_key": KEY}}],
        "general_settings": {"master_key": _MASTER},
        "litellm_settings": {"telemetry": False},
    }
