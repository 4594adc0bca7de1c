"""Everything that a scenario needs: the gateway, the hostile provider behind it, and a caller."""

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.children import free_port
from bench.faults import http2, tls, words
from bench.faults.deeds import DEEDS
from bench.faults.hostile import Hostile
from bench.faults.load import Caller
from bench.faults.site import Site

GOOD = "good"
PAIR = "pair"
"""Models of good providers alone, with one target and with two."""
BOUND = 1 << 20
"""`limits.response_body` of the gateway, so that what never ends is long enough soon."""
FIRST_BYTE, IDLE, CONNECT = 3.0, 3.0, 1.0
"""Seconds, so short that nobody has to wait long for them."""


class Setting(NamedTuple):
    """What stands."""

    site: Site
    hostile: Hostile
    caller: Caller


def alone(fault: str) -> str:
    """The model whose only target has that fault."""
    return f"alone-{fault}"


def helped(fault: str) -> str:
    """The model whose first target has that fault, and whose second is good."""
    return f"helped-{fault}"


def config(hostile: Hostile, faults: Iterable[str], *, hasty: bool = True, **more: Any) -> dict[str, Any]:
    """A provider for each fault, so that what one does is not held against another; and two good ones, of two dialects.

    `hasty`: nobody is waited for for long; otherwise as long as the gateway waits by itself.
    """
    faults = [*faults]
    timeouts = {"connect": CONNECT, "first_byte": FIRST_BYTE, "idle": IDLE} if hasty else {}
    providers = {
        fault: {"dialect": _dialect(fault), "base_url": _address(hostile, fault), "key": key(fault), "timeouts": timeouts}
        for fault in faults
    }
    base = f"http://127.0.0.1:{hostile.port}"
    providers |= {
        "good": {"dialect": "openai", "base_url": f"{base}/good/v1", "key": key("good"), "timeouts": timeouts},
        "help": {"dialect": "anthropic", "base_url": f"{base}/help/v1", "key": key("help"), "timeouts": timeouts},
    }
    models = [{"name": GOOD, "targets": ["good/m"]}, {"name": PAIR, "targets": ["help/m", "good/m"]}]
    models += [{"name": alone(fault), "targets": [f"{fault}/m"]} for fault in faults]
    models += [{"name": helped(fault), "targets": [f"{fault}/m", "help/m"]} for fault in faults]
    return {"providers": providers, "models": models, "limits": {"response_body": BOUND}, **more}


def key(provider: str) -> str:
    """A provider's credential: nobody else is to see it."""
    return f"sk-of-provider-{provider}"


def _dialect(fault: str) -> str:
    """Faults of other dialects than OpenAI's begin with their name."""
    begin = fault.partition("-")[0]
    return begin if begin in ("anthropic", *words.OTHERS) else "openai"


def _address(hostile: Hostile, fault: str) -> str:
    if fault == "refused":
        return f"http://127.0.0.1:{free_port()}/{fault}/v1"
    if fault == "unresolved":
        return f"http://nowhere.invalid/{fault}/v1"
    scheme = "https" if fault.startswith(("tls", "h2")) else "http"
    return f"{scheme}://127.0.0.1:{hostile.ports.get(fault, hostile.port)}/{fault}/v1"


@asynccontextmanager
async def providers() -> AsyncIterator[tuple[Path, Hostile]]:
    """A folder for a while, and the hostile provider."""
    with tempfile.TemporaryDirectory(prefix="hg-faults-") as name:
        folder, hostile = Path(name), Hostile(DEEDS)
        await hostile.start(tls.meetings(folder, http2.meetings(hostile.heard)))
        try:
            yield folder, hostile
        finally:
            await hostile.stop()


@asynccontextmanager
async def gateway(
    folder: Path,
    hostile: Hostile,
    faults: Iterable[str] = (),
    *,
    before: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[Setting]:
    """A running gateway in a folder of its own there, and somebody who asks it. `before`: the command that starts it."""
    own = Path(tempfile.mkdtemp(dir=folder))
    site = Site(own, config(hostile, faults, **more), environ={"SSL_CERT_FILE": str(folder / tls.TRUSTED), **(environ or {})})
    caller = Caller(site.url)
    try:
        await site.start(*before)
        yield Setting(site, hostile, caller)
    finally:
        await caller.close()
        await site.stop()
