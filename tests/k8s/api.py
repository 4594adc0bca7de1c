"""A client of the Kubernetes API for tests: manifests are plain dictionaries, kinds are named like `apps/v1/Deployment` and `v1/Pod`."""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

import httpx

T = TypeVar("T")
Manifest: TypeAlias = Mapping[str, Any]
Found: TypeAlias = dict[str, Any]

_TYPES = {
    "apply": "application/apply-patch+yaml",
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
}


class Refused(Exception):
    """What the API server says of a request that it does not take."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        """A word of the API's own, such as `NotFound`, `Forbidden` and `Invalid`."""


class Api:
    """One user's view of a cluster."""

    def __init__(self, url: str, authority: Path, token: str, *, like: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} | ({"Impersonate-User": like} if like else {})
        # No proxy of the machine's is between us and a loopback address.
        self._http = httpx.Client(
            base_url=url, verify=ssl.create_default_context(cafile=str(authority)), headers=headers, timeout=60, trust_env=False
        )
        self._places: dict[str, tuple[str, bool]] = {}
        self.warnings: list[str] = []
        """What the last answer warned of: of deprecated fields, of a webhook's concerns."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: object = None, *, type: str = "application/json", **query: str) -> Found:
        """One request; `Refused` unless it succeeds."""
        content = None if body is None else json.dumps(body).encode()
        answer = self._http.request(method, path, content=content, headers={"Content-Type": type}, params=query)
        self.warnings = [value.split('"', 1)[1].rstrip('"') for value in answer.headers.get_list("warning")]
        if answer.is_error:
            raise _refusal(answer)
        found: Found = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {"text": answer.text}
        return found

    def path(self, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Of a collection, or of one object. Which plural a kind has, and whether it lives in namespaces, the server knows."""
        version, _, word = kind.rpartition("/")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if kind not in self._places:
            for resource in self.call("GET", root)["resources"]:
                if "/" not in resource["name"]:
                    self._places[f"{version}/{resource['kind']}"] = (resource["name"], resource["namespaced"])
        if kind not in self._places:
            raise LookupError(f"{version} has no {word} here")
        plural, namespaced = self._places[kind]
        within = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{within}/{plural}" + (f"/{name}" if name else "")

    def get(self, kind: str, name: str, namespace: str = "default") -> Found:
        return self.call("GET", self.path(kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str = "default") -> Found | None:
        """Like `get`; None where there is no such thing."""
        try:
            return self.get(kind, name, namespace)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def list(self, kind: str, namespace: str | None = None, **query: str) -> list[Found]:
        """All of a kind, in all namespaces unless one is named; `labelSelector` and `fieldSelector` as the API takes them."""
        found: list[Found] = self.call("GET", self.path(kind, namespace), **query)["items"]
        return found

    def create(self, manifest: Manifest, namespace: str = "default", *, dry_run: bool = False) -> Found:
        place = self.path(_kind(manifest), _namespace(manifest, namespace))
        return self.call("POST", place, manifest, **_query(dry_run=dry_run))

    def apply(self, manifest: Manifest, namespace: str = "default", *, dry_run: bool = False, manager: str = "tests") -> Found:
        """Server-side apply, with unknown fields refused."""
        place = self.path(_kind(manifest), _namespace(manifest, namespace), manifest["metadata"]["name"])
        query = {**_query(dry_run=dry_run), "fieldManager": manager, "force": "true"}
        return self.call("PATCH", place, manifest, type=_TYPES["apply"], **query)

    def patch(self, kind: str, name: str, body: object, namespace: str = "default", *, type: str = "merge", part: str = "") -> Found:
        """`type` is `merge` or `json`; `part` a subresource such as `status`."""
        place = self.path(kind, namespace, name) + (f"/{part}" if part else "")
        return self.call("PATCH", place, body, type=_TYPES[type])

    def delete(self, kind: str, name: str, namespace: str = "default", **query: str) -> None:
        self.call("DELETE", self.path(kind, namespace, name), **query)

    def token(self, account: str, namespace: str = "default") -> str:
        """Of a service account, as its pods have it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        place = self.path("v1/ServiceAccount", namespace, account) + "/token"
        said: str = self.call("POST", place, body)["status"]["token"]
        return said


def eventually(look: Callable[[], T | None], seconds: float = 60) -> T:
    """What `look` returns as soon as that is true. Its failed assertions count only when time is over."""
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() > end
        try:
            if found := look():
                return found
        except AssertionError:
            if late:
                raise
        if late:
            raise AssertionError(f"not so in {seconds} s")
        time.sleep(0.1)


def _kind(manifest: Manifest) -> str:
    return f"{manifest['apiVersion']}/{manifest['kind']}"


def _namespace(manifest: Manifest, otherwise: str) -> str:
    said: str = manifest["metadata"].get("namespace", otherwise)
    return said


def _query(*, dry_run: bool) -> dict[str, str]:
    return {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})


def _refusal(answer: httpx.Response) -> Refused:
    try:
        said = answer.json()
    except ValueError:
        said = {}
    return Refused(answer.status_code, said.get("reason", ""), said.get("message", answer.text))
