"""A node of one's own: a pod's containers as processes of this machine, started, asked and ended as a kubelet does it.

What is not a kubelet's: containers have no root and no network of their own. So a path that begins where a volume is mounted is that
volume's folder here - in commands, arguments, variables and the working directory - and `/tmp` is `TMPDIR`; users, resources and
capabilities are those of the tests. Everything else - commands, arguments, environment, probes, hooks, their order - is what the pod says.
"""

import base64
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from msgspec import Struct

from tests.e2e import starter

Plain = dict[str, Any]
Process = starter.Command | subprocess.Popen[bytes]

_LONGEST = 90.0


class Image(Struct, frozen=True):
    """What an image says of a container."""

    entrypoint: tuple[str, ...]
    folder: str = "/"


class Node:
    """Runs one pod, in a namespace with these objects."""

    def __init__(
        self, folder: Path, pod: Plain, images: Mapping[str, Image], environ: Mapping[str, str], *,
        config_maps: Mapping[str, Mapping[str, str]], secrets: Mapping[str, Mapping[str, str]],
    ) -> None:  # fmt: skip
        """`environ`: of the machine, for all containers."""
        self._folder, self._spec, self._images, self._environ = folder, pod["spec"], images, dict(environ)
        self._config_maps, self._secrets = config_maps, secrets
        self._processes: dict[str, Process] = {}
        self._sidecars: list[Plain] = []
        self._volumes = {volume["name"]: self._volume(volume) for volume in self._spec.get("volumes", ())}
        self.events: list[str] = []
        """What happened, in its order."""

    def _volume(self, volume: Plain) -> Path:
        folder = self._folder / "volumes" / str(volume["name"])
        folder.mkdir(parents=True)
        if "configMap" in volume:
            for name, text in self._config_maps[volume["configMap"]["name"]].items():
                (folder / name).write_text(text)
        else:
            assert volume == {"name": volume["name"], "emptyDir": {}}, volume
        return folder

    # Life.

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._kill()

    def _start(self) -> None:
        for container in self._spec.get("initContainers", ()):
            self._run(container)
            if container.get("restartPolicy") == "Always":
                self._sidecars.append(container)
                self._until_started(container)
            else:
                assert self._processes[container["name"]].wait(_LONGEST) == 0, self.log(container["name"])
                self.events.append(f"{container['name']} has ended")
        for container in self._spec["containers"]:
            self._run(container)
            if (hook := container.get("lifecycle", {}).get("postStart")) is not None:
                assert self._execute(container, hook["exec"]["command"]).wait(_LONGEST) == 0, self.log(container["name"])
                self.events.append(f"{container['name']} is held no longer")
        for container in self._spec["containers"]:
            if "startupProbe" in container:
                self._until_started(container)

    def _run(self, container: Plain) -> None:
        image = self._images[container["image"]]
        command = [*container.get("command", image.entrypoint), *container.get("args", ())]
        self._processes[container["name"]] = self._execute(container, command)
        self.events.append(f"{container['name']} runs")

    def _execute(self, container: Plain, command: list[str]) -> Process:
        mapped = _Mapped(container, self._volumes)
        values = self._environment(container)
        first, *rest = [mapped.path(_expanded(part, values)) for part in command]
        environ = {**self._environ, **{name: mapped.path(value) for name, value in values.items()}, "TMPDIR": mapped.path("/tmp")}
        folder = mapped.path(self._images[container["image"]].folder)
        log = self._folder / f"{container['name']}.log"
        if first == "headgate":
            return starter.Command(rest, environ=environ, folder=Path(folder), out=log, errors=log)
        with log.open("ab") as out:
            program = sys.executable if first == "python" else first
            return subprocess.Popen([program, *rest], env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def _environment(self, container: Plain) -> dict[str, str]:
        values: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            reference = source["secretRef"]
            assert reference["name"] in self._secrets or reference.get("optional")
            values |= self._secrets.get(reference["name"], {})
        for entry in container.get("env", ()):
            if "valueFrom" in entry:
                reference = entry["valueFrom"]["secretKeyRef"]
                values[entry["name"]] = self._secrets[reference["name"]][reference["key"]]
            else:
                values[entry["name"]] = _expanded(entry["value"], values)
        return values

    def terminate(self) -> None:
        """As a kubelet ends a pod: all containers at once, each after its `preStop`; then native sidecars, the last one first."""
        hooks = []
        for container in self._spec["containers"]:
            if (hook := container.get("lifecycle", {}).get("preStop")) is not None:
                hooks.append((container, self._execute(container, hook["exec"]["command"])))
            else:
                self._ask_to_end(container)
        for container, hook in hooks:
            assert hook.wait(_LONGEST) == 0
            self._ask_to_end(container)
        for container in self._spec["containers"]:
            self._until_ended(container)
        for container in reversed(self._sidecars):
            self._ask_to_end(container)
            self._until_ended(container)

    def _ask_to_end(self, container: Plain) -> None:
        self._processes[container["name"]].send_signal(signal.SIGTERM)
        self.events.append(f"{container['name']} is asked to end")

    def _until_ended(self, container: Plain) -> None:
        assert self._processes[container["name"]].wait(_LONGEST) == 0, self.log(container["name"])
        self.events.append(f"{container['name']} has ended")

    def _kill(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)

    # Looking in.

    def log(self, name: str) -> str:
        """What a container has said."""
        return (self._folder / f"{name}.log").read_text()

    def volume(self, name: str) -> Path:
        """Its folder."""
        return self._volumes[name]

    def process(self, name: str) -> Process:
        """A container's."""
        return self._processes[name]

    def probe(self, container: Plain, kind: str) -> bool:
        """Whether a probe succeeds now, asked at the pod's address."""
        said = container[kind]["httpGet"]
        try:
            answer = httpx.get(f"http://127.0.0.1:{said['port']}{said['path']}", timeout=container[kind]["timeoutSeconds"])
        except httpx.TransportError:
            return False
        return 200 <= answer.status_code < 400

    def until(self, true: Callable[[], object], what: str) -> None:
        """Waits; fails with all logs."""
        deadline = time.monotonic() + _LONGEST
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {_LONGEST:g} s until {what}: {self.events}\n" + "\n".join(map(self.log, self._processes)))
            time.sleep(0.05)

    def _until_started(self, container: Plain) -> None:
        name = container["name"]
        self.until(lambda: self.probe(container, "startupProbe") or self._processes[name].poll() is not None, f"{name} has started")
        assert self._processes[name].poll() is None, self.log(name)
        self.events.append(f"{name} has started")


class _Mapped:
    """A container's paths, as this machine has them."""

    def __init__(self, container: Plain, volumes: Mapping[str, Path]) -> None:
        mounts = sorted(container.get("volumeMounts", ()), key=lambda mount: -len(mount["mountPath"]))
        self._mounts = [(mount["mountPath"], str(volumes[mount["name"]])) for mount in mounts]

    def path(self, text: str) -> str:
        """The text, if it begins with a mounted path as that of the volume."""
        for inside, outside in self._mounts:
            if text == inside or text.startswith(f"{inside}/"):
                return outside + text.removeprefix(inside)
        return text


def _expanded(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` of what is known by then, as Kubernetes does it."""
    return re.sub(r"\$\((\w+)\)", lambda found: values.get(found[1], found[0]), text)


def decoded(patch: str) -> bytes:
    """A review's patch."""
    return base64.b64decode(patch)


def listening(port: int) -> Iterator[str]:
    """The addresses at which somebody listens on a port, as proc(5) shows them."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            address, state = row.split()[1], row.split()[3]
            if state == "0A" and int(address.rpartition(":")[2], 16) == port:
                yield address.rpartition(":")[0]
