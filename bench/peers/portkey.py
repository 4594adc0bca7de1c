"""Portkey's gateway: one Node.js process, which the request's own headers configure.

- `x-portkey-provider: openai` and `x-portkey-custom-host` name the provider. It knows no keys of callers and no models: the caller's
  `authorization` goes on to the provider. No retries, no cache, no guardrails, as without a config.
- `--headless` and `NODE_ENV=production`: without its page of logs.
- One process is what `npx @portkey-ai/gateway` and its image start. Node.js uses a second core for some of its garbage collection.
- Its first event of each stream waits 25 ms; that is its own doing (`isFirstChunk` in src/handlers/streamHandler.ts).

`@hono/node-server` is held at 1.13.5, the version of Portkey's own lock file and image: from 1.14.2 on every stream is answered 500
(`TypeError: immutable`, its issue 1389), and nothing in the package keeps newer ones away.
"""

from pathlib import Path

from bench.children import free_port
from bench.peers.environments import InstallError, NodeEnvironment, node
from bench.peers.peer import HOST, Peer
from bench.system import Target

_SERVER = "node_modules/@portkey-ai/gateway/build/start-server.js"


class Portkey(Peer):
    """`node build/start-server.js --headless`."""

    name = "portkey"
    version = "1.15.2"
    environment = NodeEnvironment(Path(__file__).with_name("portkey"))
    size = "25 MB"

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        port = free_port()
        try:
            binary = node()
        except InstallError as error:
            raise self.silent(str(error), folder) from None
        await self.spawn([binary, str(self.home / _SERVER), "--headless", f"--port={port}"], folder, {"NODE_ENV": "production"})
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{provider}/v1"}
        return await self.ready(Target(host=HOST, port=port, headers=headers), folder, 60)
