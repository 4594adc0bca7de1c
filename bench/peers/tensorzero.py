"""TensorZero's gateway, as its Python package embeds it: the same Rust server, with its OpenAI-compatible endpoint.

- The gateway's own binary comes as a container image only: no package registry has it (`tensorzero` of crates.io is a placeholder,
  0.0.0). So it is the wheel's, in a Python process that starts it and then sleeps (`embedded.py`). The binary is built with mimalloc and
  link-time optimisation, and has more middleware. With mimalloc preloaded, which is not done here, this one takes 2 to 10 % less CPU.
- Neither sets TCP_NODELAY on its listener, so Nagle's algorithm holds a stream's events back until the client acknowledges those before.
- No keys of callers (they need PostgreSQL), no observability (ClickHouse), no cache, no rate limits, no usage analytics.
- Its runtime has a thread for each core, as it always has.
- A model of its own configuration is asked for as `tensorzero::model_name::NAME`.
"""

import asyncio
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers.environments import PythonEnvironment, python
from bench.peers.peer import HOST, KEY, Peer
from bench.system import MODEL, Target

_SECONDS = 60.0
_LAUNCHER = Path(__file__).with_name("embedded.py")

_CONFIG = """\
[gateway]
disable_pseudonymous_usage_analytics = true

[gateway.observability]
enabled = false

[models.{model}]
routing = ["mock"]

[models.{model}.providers.mock]
type = "openai"
model_name = {model}
api_base = {base}
api_key_location = "env::PROVIDER_KEY"
"""


class TensorZero(Peer):
    """`tensorzero._start_http_gateway`."""

    name = "tensorzero"
    version = "2026.6.0"
    environment = PythonEnvironment(Path(__file__).with_name("tensorzero.lock"))
    size = "150 MB"

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        config, found = folder / "tensorzero.toml", folder / "url"
        # A JSON string is a TOML string.
        config.write_text(_CONFIG.format(model=json.dumps(MODEL), base=json.dumps(f"{provider}/v1/")))
        # -I: it is to import nothing of this repository, and not the file beside it that has its own name.
        command = [str(python(self.home)), "-I", str(_LAUNCHER), str(config), str(found)]
        process = await self.spawn(command, folder, {"PROVIDER_KEY": KEY})
        deadline = time.monotonic() + _SECONDS
        while not found.exists():
            if process.returncode is not None or time.monotonic() > deadline:
                raise self.silent("it does not say where it listens", folder)
            await asyncio.sleep(0.02)
        url = urlsplit(found.read_text())
        assert url.port is not None
        target = Target(host=HOST, port=url.port, path=f"{url.path}/chat/completions", model=f"tensorzero::model_name::{MODEL}")
        return await self.ready(target, folder, _SECONDS)
