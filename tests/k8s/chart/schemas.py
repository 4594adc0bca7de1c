"""Kubernetes' own schemas, as kubernetes-validate brings them: what `kubernetes-validate --strict` says, with each version read once."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_DEFINITIONS = "_definitions.json"


def newest() -> int:
    """The minor version."""
    return int(str(kubernetes_validate.latest_version()).split(".")[1])


@cache
def _registry(folder: Path) -> Any:
    resource: Any = Resource.from_contents(json.loads((folder / _DEFINITIONS).read_text()), DRAFT202012)
    return Registry().with_resource(_DEFINITIONS, resource).crawl()


@cache
def _validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    folder = _SCHEMAS / f"v{version}.0-local-strict"
    # A group is called by its first word: rbac.authorization.k8s.io/v1 is rbac-v1.
    short = re.sub(r"^([^./]*)(\.[^/]*)?/", r"\1-", api_version)
    schema = json.loads((folder / f"{kind.lower()}-{short}.json").read_text())
    return Draft202012Validator(schema, registry=_registry(folder))


def faults(manifest: dict[str, Any], version: str) -> list[str]:
    """What is wrong with a manifest in a version such as `1.33`, unknown fields included. Raises `FileNotFoundError` for what it lacks."""
    errors = _validator(version, manifest["kind"], manifest["apiVersion"]).iter_errors(manifest)
    return [f"{manifest['kind']} {manifest['metadata']['name']}: {error.json_path}: {error.message[:200]}" for error in errors]
