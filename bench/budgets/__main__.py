"""Runs it: see the package."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

import uvloop

from bench.budgets.clients import CAP, Seen, ask, request, spend
from bench.budgets.fleet import DOLLARS, Fleet, Scene
from bench.budgets.provider import Provider
from bench.budgets.table import Shown, broken, markdown
from extproc.limits.money import NANOS

SCENES = (
    Scene("plain", "as it is"),
    Scene("killed", "a worker of each gateway killed", kills=True),
    Scene("leased", "with leases", lease=True),
)
_SETTLED_WITHIN = 120.0
_ROUNDS = 20


async def play(folder: Path, arguments: argparse.Namespace, scenes: Sequence[Scene] = SCENES) -> list[Shown]:
    """All scenes, one after the other. `folder`: of a short name, since sockets are there."""
    provider = Provider(arguments.delay, arguments.prompt)
    fleet = Fleet(folder, arguments.gateways, arguments.workers, arguments.budget, scenes)
    try:
        await fleet.start(await provider.start())
        return [await _scene(fleet, provider, scene, arguments) for scene in scenes]
    finally:
        await fleet.close()
        provider.close()


async def _scene(fleet: Fleet, provider: Provider, scene: Scene, arguments: argparse.Namespace) -> Shown:
    print(f"{scene.what} ...", file=sys.stderr)
    seen, most, done = Seen(), [0], asyncio.Event()
    watching = asyncio.ensure_future(_watch(fleet, scene, most, done))
    crowd = [
        spend(fleet.ports[number % len(fleet.ports)], scene.name, seen, number, arguments.seconds) for number in range(arguments.clients)
    ]
    await asyncio.gather(*crowd, *([_kill(fleet, arguments.seconds / 3)] if scene.kills else []))
    settling = await _settled(fleet, scene)
    rushed, _ = await fleet.look(scene)
    await _spend_rest(fleet, scene, seen, arguments.budget)
    done.set()
    await watching
    money, slots = await fleet.look(scene)
    return Shown(
        what=scene.what, budget=arguments.budget, seen=seen, peak=_dollars(most[0]), rushed=_dollars(rushed.settled),
        settled=_dollars(money.settled), ledgers=fleet.spent(scene), given=provider.given[scene.name] * DOLLARS,
        reserved=_dollars(money.used - money.settled), slots=slots.used, settling=settling, least=_least(scene),
    )  # fmt: skip


async def _spend_rest(fleet: Fleet, scene: Scene, seen: Seen, budget: Decimal) -> None:
    """As many at once as there is room for, and again when they are settled: then one more is too much."""
    for _ in range(_ROUNDS):
        money, _ = await fleet.look(scene)
        room = int((budget - _dollars(money.settled)) / _least(scene))
        ports = (fleet.ports[number % len(fleet.ports)] for number in range(room or 1))
        asking = (ask(port, scene.name, seen, Random(number), patient=True) for number, port in enumerate(ports))  # noqa: S311 - as above
        await asyncio.gather(*asking)
        await _settled(fleet, scene)
        if not room:
            break


async def _watch(fleet: Fleet, scene: Scene, most: list[int], done: asyncio.Event) -> None:
    """The most that is settled and reserved."""
    while not done.is_set():
        money, _ = await fleet.look(scene)
        most[0] = max(most[0], money.used)
        await asyncio.sleep(0.02)


async def _kill(fleet: Fleet, after: float) -> None:
    await asyncio.sleep(after)
    fleet.kill_workers()


async def _settled(fleet: Fleet, scene: Scene) -> float:
    """Waits until nothing is reserved, or for too long. The seconds."""
    began = time.monotonic()
    while time.monotonic() - began < _SETTLED_WITHIN:
        money, slots = await fleet.look(scene)
        if money.used == money.settled and not slots.used:
            break
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def _least(scene: Scene) -> Decimal:
    """What a request reserves at most: one token for each byte, and its answer's."""
    body = request(1, scene.name, stream=False, number=10**6).partition(b"\r\n\r\n")[2]
    return (len(body) + CAP) * DOLLARS


def _dollars(nanos: int) -> Decimal:
    return Decimal(nanos) / NANOS


async def _main(arguments: argparse.Namespace) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hg-budgets-") as folder:
        shown = await play(Path(folder), arguments)
    print(f"{arguments.gateways} gateways with {arguments.workers} workers each, {arguments.clients} clients; ", end="")
    print(f"{os.cpu_count()} processors, load {' '.join(f'{load:.2f}' for load in os.getloadavg())}; {time.monotonic() - began:.0f} s\n")
    print(markdown(shown))
    return not any(any(broken(each)) for each in shown)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.budgets", description="What is promised of hard budgets, tried with a fleet.")
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4, help="of each gateway")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=12.0, help="for which the clients come, in each scene")
    parser.add_argument("--delay", type=float, default=1.0, help="seconds of an answer")
    parser.add_argument("--prompt", type=int, default=60, help="tokens of each, of some 230 bytes")
    parser.add_argument("--budget", type=Decimal, default=Decimal(60), help="US dollars")
    return parser.parse_args(arguments)


def main() -> None:
    """Entry of the command."""
    sys.exit(0 if uvloop.run(_main(parsed())) else 1)


if __name__ == "__main__":
    main()
