"""The first container of a pod, as a process of this machine's: its arguments and environment, with what is mounted into it in a folder.

Paths of mounts become those of the folder, in ConfigMaps, too. These and Secrets are laid there as a kubelet does it, and change likewise.
"""

import base64
import contextlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.k8s.api import Api
from tests.k8s.apiserver import ROOT


class Container:
    """One that may run."""

    def __init__(self, api: Api, namespace: str, pod: dict[str, Any], folder: Path) -> None:
        """`pod`: its spec, or that of a template; `folder`: for its mounts, and for what it writes."""
        self._api, self._namespace, self._folder = api, namespace, folder
        self._volumes = pod.get("volumes", [])
        self.spec: dict[str, Any] = pod["containers"][0]
        self._numbers = itertools.count()
        # The longest first: what is mounted below a mount is not that mount's.
        mounts = sorted(self.spec.get("volumeMounts", []), key=lambda mount: -len(mount["mountPath"]))
        # /tmp is the machine's own: paths of sockets must be short, and nothing of ours is told where it is.
        self._places = {mount["mountPath"]: folder / mount["name"] for mount in mounts if mount["mountPath"] != "/tmp"}
        for volume in self._volumes:
            (folder / volume["name"]).mkdir(parents=True)
        self.update()

    @property
    def log(self) -> str:
        """All that it has written."""
        return (self._folder / "log").read_text(errors="replace")

    def update(self) -> None:
        """Takes over what ConfigMaps and Secrets say now: new files beside the old ones; then one link is moved, which shows them all."""
        for volume in self._volumes:
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

    @contextlib.contextmanager
    def running(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """The image's entry point, `headgate`, with the container's arguments and `more` of them, and with its environment alone."""
        command = [sys.executable, "-m", "extproc.cli", *map(self._here, self.spec["args"]), *more]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = {**kept, "PYTHONPATH": str(ROOT), **self._environment()}
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self._folder, start_new_session=True
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
                raise

    def _files(self, volume: dict[str, Any]) -> dict[str, bytes] | None:
        if "configMap" in volume:
            found = self._api.get("v1/ConfigMap", volume["configMap"]["name"], self._namespace)
            return {name: self._here(text).encode() for name, text in found.get("data", {}).items()}
        if "secret" in volume:
            return self._secret(volume["secret"]["secretName"])
        return None

    def _secret(self, name: str) -> dict[str, bytes]:
        found = self._api.get("v1/Secret", name, self._namespace)
        return {key: base64.b64decode(text) for key, text in found.get("data", {}).items()}

    def _environment(self) -> dict[str, str]:
        said: dict[str, str] = {}
        for source in self.spec.get("envFrom", []):
            said |= {key: value.decode() for key, value in self._secret(source["secretRef"]["name"]).items()}
        for entry in self.spec.get("env", []):
            chosen = entry.get("valueFrom", {}).get("secretKeyRef")
            said[entry["name"]] = self._secret(chosen["name"])[chosen["key"]].decode() if chosen else self._here(entry.get("value", ""))
        return said

    def _here(self, text: str) -> str:
        paths = "|".join(map(re.escape, self._places))
        return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda found: str(self._places[found[1]]), text) if paths else text
