"""One container of a pod's, as a process of this machine's: its arguments and environment, with what is mounted into it in a folder.

Paths of mounts become those of the folder. ConfigMaps and Secrets are laid there as a kubelet does it, and change as it changes them.
"""

import base64
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.k8s.api import Api
from tests.k8s.apiserver import ROOT


class Mounts:
    """The volumes of a pod in `folder`."""

    def __init__(self, api: Api, namespace: str, pod: dict[str, Any], folder: Path) -> None:
        """`pod`: its spec, or a template's."""
        self._api, self._namespace, self._pod, self._folder = api, namespace, pod, folder
        self._numbers = itertools.count()
        for volume in pod.get("volumes", []):
            (folder / volume["name"]).mkdir(parents=True)
        self.update()

    def update(self) -> None:
        """Takes over what ConfigMaps and Secrets say now: new files beside the old ones; then one link is moved, which shows them all."""
        for volume in self._pod.get("volumes", []):
            if (files := self._files(volume)) is None:
                continue
            home = self._folder / volume["name"]
            fresh = home / f"..{next(self._numbers)}"
            fresh.mkdir()
            for name, content in files.items():
                (fresh / name).write_bytes(content)
                with contextlib.suppress(FileExistsError):
                    (home / name).symlink_to(f"..data/{name}")
            (home / "..new").symlink_to(fresh.name)
            (home / "..new").rename(home / "..data")

    def _files(self, volume: dict[str, Any]) -> dict[str, bytes] | None:
        if "configMap" in volume:
            found = self._api.get("v1/ConfigMap", volume["configMap"]["name"], self._namespace)
            return {name: text.encode() for name, text in found.get("data", {}).items()}
        if "secret" in volume:
            found = self._api.get("v1/Secret", volume["secret"]["secretName"], self._namespace)
            return {name: base64.b64decode(text) for name, text in found.get("data", {}).items()}
        return None

    def here(self, text: str, container: dict[str, Any]) -> str:
        """An argument of the container, with the paths of its mounts as they are on this machine."""
        for mount in sorted(container.get("volumeMounts", []), key=lambda mount: -len(mount["mountPath"])):
            flag, is_one, value = text.partition("=")
            path, before = (value, f"{flag}=") if is_one else (text, "")
            if path == mount["mountPath"] or path.startswith(mount["mountPath"] + "/"):
                return f"{before}{self._folder / mount['name']}{path.removeprefix(mount['mountPath'])}"
        return text


@contextlib.contextmanager
def running(mounts: Mounts, container: dict[str, Any], log: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """The image's entry point, `headgate`, with the container's arguments and `more` of them, and with its environment alone."""
    command = [sys.executable, "-m", "extproc.cli", *(mounts.here(text, container) for text in container["args"]), *more]
    said = {line["name"]: mounts.here(line.get("value", ""), container) for line in container.get("env", [])}
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**ours, "PYTHONPATH": str(ROOT), **said}, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
            raise
