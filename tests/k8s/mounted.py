"""A pod that a cluster has a Deployment for, as processes of this machine; ConfigMaps and Secrets reach it as a kubelet brings them."""

import contextlib
import copy
import itertools
from pathlib import Path
from typing import Any

from tests.k8s.api import Api, Found
from tests.k8s.chart.processes import Pod


class MountedPod(Pod):
    """One whose files change as those of the cluster do, when it is told to look."""

    def __init__(self, folder: Path, api: Api, namespace: str, template: Found) -> None:
        folder.mkdir(parents=True)
        self._api, self._namespace = api, namespace
        self._numbers = itertools.count()
        super().__init__(folder, self._there(), template, {})

    def update(self) -> None:
        """Takes over what ConfigMaps and Secrets say now."""
        self._manifests = self._there()
        for volume in self.spec["volumes"]:
            self._lay(volume)

    def _there(self) -> list[Found]:
        kinds = ("ConfigMap", "Secret")
        return [{**one, "kind": kind} for kind in kinds for one in self._api.list(f"v1/{kind}", self._namespace)]

    def _lay(self, volume: dict[str, Any]) -> None:
        """New files stand beside the old ones; then one link is moved, which shows them all."""
        if "emptyDir" in volume:
            super()._lay(volume)
            return
        home = self.folder / volume["name"]
        fresh = home / f"..{next(self._numbers)}"
        fresh.mkdir(parents=True)
        for name, content in self._files(volume).items():
            (fresh / name).write_bytes(content)
            with contextlib.suppress(FileExistsError):
                (home / name).symlink_to(f"..data/{name}")
        (home / "..new").symlink_to(fresh.name)
        (home / "..new").rename(home / "..data")


def at(template: Found, address: str, port: int) -> Found:
    """The template of a pod that listens there and nowhere else, by the options of its command."""
    made = copy.deepcopy(template)
    (container,) = made["spec"]["containers"]
    container["args"] += ["--address", address, "--port", str(port)]
    container["ports"][0]["containerPort"] = port
    return made
