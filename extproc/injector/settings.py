"""The injector's settings: what it puts beside an application, unless that pod's annotations say otherwise."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from extproc.config.document import read_document
from extproc.config.problem import Mark, Problem, Problems
from extproc.config.references import References
from extproc.config.section import Port, Section
from extproc.config.walk import Place, Walker
from extproc.injector.quantity import amount
from extproc.version import VERSION

Mode = Literal["auto", "native", "classic"]

OBJECT_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
KEY = r"^[A-Za-z0-9._-]{1,253}$"
QUANTITY = r"^[0-9]{1,18}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][0-9]{1,2})?$"
"""A part of what Kubernetes takes: nobody writes micros, nor signs."""

ObjectName = Annotated[str, Meta(pattern=OBJECT_NAME, description="a name of a Kubernetes object")]
Key = Annotated[str, Meta(pattern=KEY, description="a key of a ConfigMap or Secret")]
Quantity = Annotated[str, Meta(pattern=QUANTITY, description="an amount, such as `250m` or `512Mi`")]


class Resources(Section, frozen=True):
    """What the sidecar is promised, and what it may use at most, as Kubernetes has it."""

    requests: dict[str, Quantity] = field(default_factory=lambda: {"cpu": "100m", "memory": "256Mi"})
    """What a node must have left for it."""
    limits: dict[str, Quantity] = field(default_factory=lambda: {"memory": "1Gi"})
    """What it is ended, or held back, for. No limit of `cpu`: it would hold up answers of which the node has time for."""

    def excesses(self) -> Iterator[tuple[str, str, str]]:
        """What it would be promised more of than it may use, with both amounts: servers refuse that."""
        for name, request in self.requests.items():
            if (limit := self.limits.get(name)) is not None and amount(request) > amount(limit):
                yield name, request, limit


class ClientKey(Section, frozen=True):
    """A virtual key that applications are given where they have none of their own."""

    secret: ObjectName
    """Secret in the application's namespace."""
    key: Key = "key"
    """Which of its keys it is."""


class Settings(Section, frozen=True):
    """The whole of `injector.yaml`."""

    image: Annotated[str, Meta(min_length=1)] = f"headgate:{VERSION}"
    """Image of the sidecar; say a digest (`...@sha256:...`) where it has to be that very one."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When nodes fetch it."""
    image_pull_secrets: tuple[ObjectName, ...] = ()
    """Secrets in the application's namespace that open its registry."""
    mode: Mode = "auto"
    """`native`: an init container that goes on (Kubernetes 1.29); `classic`: one container more; `auto`: native where the server has it."""
    config: ObjectName = "headgate"
    """ConfigMap in the application's namespace that has the configuration."""
    config_key: Key = "gateway.yaml"
    """Which of its keys that is; all others are files beside it."""
    secret: ObjectName | None = "headgate"  # noqa: S105 - its name
    """Secret in the application's namespace whose keys become the sidecar's environment, so that `env:OPENAI_API_KEY` is found. It need
    not be there. null: none.
    """
    port: Port = 15180
    """Where the sidecar takes requests, at 127.0.0.1 of the pod."""
    admin_address: Literal["0.0.0.0", "::"] = "0.0.0.0"  # noqa: S104 - of a pod
    """Address of its operator's port, which kubelets ask whether it is ready; `::` where pods have IPv6 alone."""
    admin_port: Port = 15181
    """Its operator's port."""
    environment: bool = True
    """Tell the applications' SDKs where it is, by the variables that they read."""
    client_key: ClientKey | None = None
    """Virtual key for applications that have none of their own; the SDKs do not start without one."""
    hold: bool = True
    """Classic sidecars: start the application only when the sidecar is ready. Native ones always do."""
    drain_delay: Annotated[int, Meta(ge=0, le=3600)] = 5
    """Classic sidecars: seconds that one goes on taking requests when the pod is asked to end, for what the application still has to do.
    Native ones end after the application.
    """
    run_as_user: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = 10001
    """User of the sidecar. null: whom the platform chooses, as OpenShift wants it."""
    resources: Resources = Resources()
    """What the sidecar gets of its node."""
    env: tuple[dict[str, Any], ...] = ()
    """More of the sidecar's environment, as Kubernetes has it: `{name: ..., value: ...}` or with `valueFrom`."""


def read_settings(path: Path, environ: Mapping[str, str]) -> tuple[Settings | None, list[Problem]]:
    """The settings of a file, or None, with all that is wrong."""
    problems = Problems()
    root = read_document(path, problems)
    walker = Walker(problems, References(environ, path.parent))
    made = walker.struct(root, Settings, "$") if root is not None else None
    if isinstance(made, Settings) and not problems.errors:
        for place, message in _refused(made):
            problems.error(place, walker.places.get(place, Place(Mark())).mark, message)
    return (made if isinstance(made, Settings) and not problems.errors else None), problems.listed()


def _refused(settings: Settings) -> Iterator[tuple[str, str]]:
    """What would have every pod refused: by us, or by the server."""
    if settings.port == settings.admin_port:
        yield "$.admin_port", f"`port` is {settings.port}, too; each needs a port of its own"
    for name, request, limit in settings.resources.excesses():
        yield f"$.resources.requests.{name}", f"{request} is more than its limit, {limit}"
    for at, entry in enumerate(settings.env):
        if not isinstance(entry.get("name"), str) or not entry["name"]:
            yield f"$.env[{at}]", "the key `name` is missing: {name: ..., value: ...}, as Kubernetes has it"
