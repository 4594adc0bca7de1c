"""A fleet of real Envoys through many changes of its configuration, under load: `python -m bench.xds` (docs/fleet.md).

Each change adds clusters and takes others away, changes one that is in use, and every second one the routes; every tenth one renews the
callers' certificate. In the midst the control plane is killed and started again. No request may fail, and no node may refuse anything.
"""

import argparse
import copy
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e.fleet import FleetOfEnvoys, Load, Protocol, until
from tests.e2e.upstream import Demo


def main() -> int:
    """The exit code: 0 if all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--protocol", choices=("delta", "sotw"), action="append", help="both unless given")
    given = parser.parse_args()
    failed = False
    with Demo() as demo:
        for protocol in given.protocol or ("delta", "sotw"):
            failed |= _run(demo, protocol, given.changes, given.nodes)
    return int(failed)


def _configuration(demo: Demo, at: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "providers": {"o": {"dialect": "openai", "base_url": f"{demo.url}/v1"}},
        "models": [{"name": "m", "targets": ["o/m"]}],
    }
    if not at:
        return config
    changed = copy.deepcopy(config)
    changed["providers"]["o"]["timeouts"] = {"connect": 2 + at % 10 / 10, "idle": 60 + at // 2}
    changed["limits"] = {"request_body": 32 * 1024 * 1024 + at // 2}
    for name, host in (("p", f"127.0.0.{at % 200 + 2}"), ("n", f"n{at}.localhost")):
        changed["providers"][f"{name}{at}"] = {"dialect": "openai", "base_url": f"http://{host}:9/v1"}
    # A silence that nobody else may have is a route more.
    changed["providers"][f"p{at}"]["timeouts"] = {"idle": 200 + at // 2}
    return changed


def _run(demo: Demo, protocol: Protocol, changes: int, nodes: int) -> bool:
    """Whether anything failed."""
    settings = {"settle": 0, "linger": 2, "canary": {"nodes": ["node-0"]}}
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as folder,
        FleetOfEnvoys(Path(folder), _configuration(demo, 0), settings, protocol, nodes).running() as fleet,
    ):
        until(fleet.settled, "all nodes have the first version")
        took = []
        began = time.monotonic()
        with Load(fleet.url, "m") as load:
            for at in range(1, changes + 1):
                before, start = fleet.status()["stable"], time.monotonic()
                if at % 10 == 0:
                    fleet.certify("callers", "127.0.0.1")
                if at == changes // 2:
                    fleet.kill_plane()
                fleet.write(_configuration(demo, at))
                if at == changes // 2:
                    fleet.start_plane()
                fleet.until_changed(before)
                took.append(time.monotonic() - start)
        rejected = sum(sum(node.stats("update_rejected$").values()) for node in fleet.nodes)
        counted = "(cds|rds.headgate|lds).update_success$|ssl_context_update_by_sds$"
        middle = sorted(took)[len(took) // 2]
        print(
            f"{protocol}: {changes} changes in {time.monotonic() - began:.0f} s; at all {nodes} nodes after {middle:.2f} s (median), ",
            end="",
        )
        print(f"{max(took):.2f} s at most; {load.done} requests, {len(load.failed)} failed; {rejected} updates refused")
        print(f"  one node: {fleet.nodes[0].stats(counted)}", flush=True)
        for line in load.failed[:5]:
            print(f"  {line}")
        return bool(load.failed or rejected)


if __name__ == "__main__":
    sys.exit(main())
