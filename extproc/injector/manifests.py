"""Manifests: YAML documents of Kubernetes objects, of which those that make pods get a sidecar in them."""

from collections.abc import Callable
from typing import Any

import yaml

from extproc.injector.inject import Injected
from extproc.injector.overrides import Wrong
from extproc.injector.yaml_dialect import Dumper, Loader

Plain = dict[str, Any]

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"), ("spec", "template")),
    "PodTemplate": ("template",),
}
"""Where the pod is, by kind."""


class Manifests:
    """What becomes of a file."""

    def __init__(self, inject: Callable[[Plain], Injected]) -> None:
        self._inject = inject
        self.told: list[str] = []
        """Warnings, with the object that each is about."""

    def injected(self, text: str) -> str:
        """All documents, those without pods as they are; comments are lost. Raises `Wrong`, `yaml.YAMLError`."""
        documents = [self._document(one) for one in yaml.load_all(text, Loader) if one is not None]
        return yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=140, explicit_start=len(documents) > 1)

    def _document(self, one: Any) -> Any:
        if not isinstance(one, dict):
            raise Wrong("this is no Kubernetes object: it has no `kind`")
        kind = str(one.get("kind", ""))
        if kind.endswith("List") and isinstance(one.get("items"), list):
            return {**one, "items": [self._document(item) for item in one["items"]]}
        if kind not in _TEMPLATES:
            return one
        try:
            return self._at(one, list(_TEMPLATES[kind]), _called(one))
        except Wrong as error:
            raise Wrong(f"{_called(one)}: {error}") from None

    def _at(self, one: Plain, path: list[str], called: str) -> Plain:
        if not path:
            made = self._inject(one)
            self.told += [f"{called}: {warning}" for warning in made.warnings]
            return made.pod
        key, *rest = path
        below = one.get(key)
        if not isinstance(below, dict):
            raise Wrong(f"it has no {'.'.join(path)}")
        return {**one, key: self._at(below, rest, called)}


def _called(one: Plain) -> str:
    metadata = one.get("metadata")
    name = metadata.get("name") or metadata.get("generateName") if isinstance(metadata, dict) else None
    return f"{one.get('kind')} {name or '(without a name)'}"
