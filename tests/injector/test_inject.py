"""Pods with their sidecars, as files: settings, the pod, and what comes of it. `make golden` writes the last part anew."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from extproc.config.model import Config
from extproc.injector.cluster import has_native_sidecars, parse_version
from extproc.injector.inject import DRAIN, Injected, inject
from extproc.injector.overrides import Wrong
from extproc.injector.patch import difference
from extproc.injector.settings import Settings
from extproc.injector.yaml_dialect import Dumper, Loader
from tests.injector.patched import apply

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))
_LINE = "\n----------\n"


class Golden:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.given, self.pod, self.expected = path.read_text(encoding="utf-8").split(_LINE)
        said = yaml.safe_load(self.given)
        self.native = has_native_sidecars(parse_version(said["kubernetes"]))
        self.settings = msgspec.convert({"image": "headgate:1", **said.get("settings", {})}, Settings)

    def inject(self, pod: dict[str, Any]) -> Injected:
        return inject(pod, self.settings, native=self.native)

    def said(self) -> str:
        try:
            made = self.inject(yaml.load(self.pod, Loader))
        except Wrong as error:
            return f"refused: {error}\n"
        warnings = "".join(f"# warning: {line}\n" for line in made.warnings)
        return warnings + (_yaml(made.pod) if made.done else "left as it is\n")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path, request: pytest.FixtureRequest) -> None:
    golden = Golden(path)
    said = golden.said()
    if request.config.getoption("--update", default=False):
        path.write_text(_LINE.join((golden.given, golden.pod, said)), encoding="utf-8")
    else:
        assert said == golden.expected, f"{path.name} differs: look at it, then run pytest with --update"


def injected() -> list[tuple[Golden, dict[str, Any], dict[str, Any]]]:
    found = []
    for golden in map(Golden, GOLDEN):
        if golden.expected.startswith(("refused", "left")) or golden.expected.endswith("\nleft as it is\n"):
            continue
        pod = yaml.load(golden.pod, Loader)
        found.append((golden, pod, golden.inject(pod).pod))
    return found


def test_patches_make_what_is_meant() -> None:
    for golden, pod, made in injected():
        assert apply(list(difference(pod, made)), pod) == made, golden.path.stem
        assert pod == yaml.load(golden.pod, Loader), "nothing that is given is changed"


def test_the_second_time_there_is_nothing_to_do() -> None:
    for golden, _, made in injected():
        assert not list(difference(made, golden.inject(made).pod)), golden.path.stem


def test_after_the_server_has_filled_in_its_defaults_there_is_nothing_to_do() -> None:
    for golden, _, made in injected():
        defaulted = with_defaults(made)
        assert defaulted != made
        assert not list(difference(defaulted, golden.inject(defaulted).pod)), golden.path.stem


def with_defaults(pod: dict[str, Any]) -> dict[str, Any]:
    """As the API server fills it in, and its ServiceAccount plugin mounts tokens, before it asks a second time."""
    made = copy.deepcopy(pod)
    spec = made["spec"]
    spec |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30}
    spec.setdefault("restartPolicy", "Always")
    for volume in spec["volumes"]:
        if "configMap" in volume:
            volume["configMap"]["defaultMode"] = 420
    spec["volumes"].append({"name": "kube-api-access-x", "projected": {"sources": []}})
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("resources", {})
        container.setdefault("volumeMounts", []).append({"name": "kube-api-access-x", "mountPath": "/var/run/secrets"})
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                container[probe]["successThreshold"] = 1
    return made


def test_containers_that_others_have_added_meanwhile_get_what_they_lack() -> None:
    for golden, _, made in injected():
        more = copy.deepcopy(made)
        more["spec"]["containers"].insert(0, {"name": "late", "image": "late:1"})
        again = golden.inject(more)
        late = again.pod["spec"]["containers"][0]
        named = "headgate.io/containers" in made["metadata"]["annotations"]
        without = made["metadata"]["annotations"].get("headgate.io/env") == "false" or not golden.settings.environment
        assert ("env" in late) is not (named or without), golden.path.stem
        assert again.pod["spec"]["containers"][1:] == made["spec"]["containers"]


POD: dict[str, Any] = {
    "metadata": {"annotations": {}},
    "spec": {"containers": [{"name": "app", "image": "a", "env": [{"name": "MINE", "value": "1"}]}]},
}


def annotated(pod: dict[str, Any], **annotations: str) -> dict[str, Any]:
    said = {f"headgate.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {**pod, "metadata": {**pod["metadata"], "annotations": {**pod["metadata"]["annotations"], **said}}}


ANNOTATIONS: dict[str, list[str]] = {
    "mode": ["native", "classic"],
    "port": ["15180", "16000"],
    "config": ["headgate", "other"],
    "env": ["true", "false"],
    "client_key": ["a", "b/c"],
    "memory_limit": ["1Gi", "2Gi"],
    "containers": ["app", ""],
}
CHOSEN = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in ANNOTATIONS.items()})


@given(CHOSEN, CHOSEN)
def test_a_change_of_annotations_is_as_if_they_had_been_so_from_the_beginning(before: dict[str, str], after: dict[str, str]) -> None:
    first = inject(annotated(POD, **before), Settings(), native=True).pod
    bare = {
        name: value
        for name, value in first["metadata"]["annotations"].items()
        if name.removeprefix("headgate.io/").replace("-", "_") not in before
    }
    changed = annotated({**first, "metadata": {**first["metadata"], "annotations": bare}}, **after)
    made, wanted = inject(changed, Settings(), native=True).pod, inject(annotated(POD, **after), Settings(), native=True).pod
    assert by_name(made["spec"]["volumes"]) == by_name(wanted["spec"]["volumes"])
    for kind in ("initContainers", "containers"):
        ours, theirs = (by_name(pod["spec"].get(kind, [])) for pod in (made, wanted))
        assert ours == theirs
    assert apply(list(difference(changed, made)), changed) == made


def by_name(items: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of each, whatever their order."""
    return {
        item["name"]: {**item, "env": by_name(item["env"])} if item.get("env") else {k: v for k, v in item.items() if k != "env"}
        for item in items
    }


@pytest.mark.parametrize(("grace", "warned"), [(None, True), (20, True), (30, True), (31, False), (60, False)])
def test_pods_that_would_be_killed_before_a_classic_sidecar_has_ended_are_warned_of(grace: int | None, warned: bool) -> None:
    pod = {**POD, "spec": {**POD["spec"], "terminationGracePeriodSeconds": grace}}
    assert bool(inject(pod, Settings(), native=False).warnings) == warned
    assert not inject(pod, Settings(), native=True).warnings
    assert not inject(annotated({**POD, "spec": {**POD["spec"]}}, drain_delay="4"), Settings(), native=False).warnings


def test_what_is_taken_for_drain_is_what_a_configuration_has_unless_it_says_otherwise() -> None:
    assert {field.name: field.default for field in fields(Config)}["drain"] == DRAIN


HOSTILE: list[Any] = [
    {"spec": 1}, {"metadata": []}, {"metadata": {"labels": "x"}}, {"metadata": {"annotations": 7}}, {"spec": {"containers": {}}},
    {"spec": {"containers": [1]}}, {"spec": {"containers": [{"env": {}}]}}, {"spec": {"volumes": "x", "containers": []}},
    {"spec": {"os": "windows"}}, {"spec": {"containers": [{"name": "a", "env": [1]}]}}, {"spec": {"containers": [{"ports": [1]}]}},
    {"spec": {"imagePullSecrets": 1}}, {"metadata": {"labels": {"headgate.io/inject": True}}},
    {"metadata": {"annotations": {"headgate.io/port": 1}}},
]  # fmt: skip


def test_what_is_no_pod_is_refused_and_is_no_bug_of_ours() -> None:
    for pod in HOSTILE:
        with pytest.raises(Wrong):
            inject(pod, Settings(), native=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
PODS = st.fixed_dictionaries({}, optional={
    "metadata": JSON | st.fixed_dictionaries({}, optional={"labels": JSON, "annotations": JSON}),
    "spec": JSON | st.fixed_dictionaries({}, optional={name: JSON | st.lists(st.fixed_dictionaries({}, optional={
        "name": st.sampled_from(["headgate", "a"]) | JSON, "env": JSON, "ports": JSON, "envFrom": JSON}), max_size=2)
        for name in ("containers", "initContainers", "volumes", "imagePullSecrets")}),
})  # fmt: skip


@given(PODS)
def test_whatever_comes_is_injected_left_or_refused(pod: dict[str, Any]) -> None:
    before = copy.deepcopy(pod)
    try:
        made = inject(pod, Settings(), native=True)
    except Wrong:
        return
    assert pod == before
    if made.done:
        assert apply(list(difference(pod, made.pod)), pod) == made.pod
        assert not list(difference(made.pod, inject(made.pod, Settings(), native=True).pod))


def _yaml(pod: dict[str, Any]) -> str:
    return str(yaml.dump(pod, Dumper=Dumper, sort_keys=False, width=140))
