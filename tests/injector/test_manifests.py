"""Manifests: every kind that makes pods, lists, several documents; and YAML as Kubernetes' tools read it."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extproc.injector.inject import Injected, inject
from extproc.injector.manifests import Manifests
from extproc.injector.overrides import Wrong
from extproc.injector.settings import Settings
from extproc.injector.yaml_dialect import Dumper, Loader
from tests.cases import cases

TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "app", "image": "a"}]}}


def marked(pod: dict[str, Any]) -> Injected:
    return Injected({**pod, "seen": True}, done=True, warnings=("mind",))


def through(document: Any) -> tuple[Any, list[str]]:
    manifests = Manifests(marked)
    return yaml.load(manifests.injected(yaml.safe_dump(document)), Loader), manifests.told


@cases("kind", ["DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"])
def test_kinds_with_a_template(kind: str) -> None:
    made, told = through({"kind": kind, "metadata": {"name": "x"}, "spec": {"replicas": 1, "template": TEMPLATE}})
    assert made["spec"] == {"replicas": 1, "template": {**TEMPLATE, "seen": True}}
    assert told == [f"{kind} x: mind"]


def test_pods_cron_jobs_and_templates() -> None:
    assert through({"kind": "Pod", **TEMPLATE})[0]["seen"] is True
    made, _ = through({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}})
    assert made["spec"]["jobTemplate"]["spec"]["template"]["seen"] is True
    assert through({"kind": "PodTemplate", "template": TEMPLATE})[0]["template"]["seen"] is True


def test_lists_and_what_makes_no_pods() -> None:
    service = {"kind": "Service", "spec": {"ports": [{"port": 80}]}}
    made, _ = through({"kind": "List", "items": [service, {"kind": "Pod", **TEMPLATE}]})
    assert made["items"][0] == service and made["items"][1]["seen"] is True
    made, _ = through({"kind": "DeploymentList", "items": [{"kind": "Deployment", "spec": {"template": TEMPLATE}}]})
    assert made["items"][0]["spec"]["template"]["seen"] is True


def test_several_documents() -> None:
    text = "---\nkind: Service\n---\n# nothing\n---\nkind: Pod\nspec: &s {containers: []}\nother: *s\n"
    made = Manifests(marked).injected(text)
    assert list(yaml.safe_load_all(made)) == [
        {"kind": "Service"}, {"kind": "Pod", "spec": {"containers": []}, "other": {"containers": []}, "seen": True},
    ]  # fmt: skip
    assert "&" not in made and Manifests(marked).injected("# nothing\n") == ""


def test_json_is_yaml() -> None:
    assert yaml.safe_load(Manifests(marked).injected('{"kind": "Pod", "spec": {}}'))["seen"] is True


@cases(("text", "why"), [
    ("kind: Deployment\nmetadata: {name: x}", "Deployment x: it has no spec.template"),
    ("kind: CronJob\nspec: {jobTemplate: 1}", r"CronJob \(without a name\): it has no jobTemplate"),
    ("[1]", "no Kubernetes object"),
    ("text", "no Kubernetes object"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_its_object(text: str, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        Manifests(marked).injected(text)


def test_refusals_name_the_object() -> None:
    document = {"kind": "Pod", "metadata": {"name": "x", "labels": {"headgate.io/inject": "maybe"}}, "spec": {"containers": []}}
    with pytest.raises(Wrong, match=r'Pod x: the label headgate[.]io/inject is "maybe"'):
        Manifests(lambda pod: inject(pod, Settings(), native=True)).injected(yaml.safe_dump(document))


@cases(("text", "value"), [
    ("2026-01-01", "2026-01-01"), ("22:22", "22:22"), ("1e3", 1000.0), ("0644", 420), ("0o644", 420), ("0x1F", 31), ("-0x10", -16),
    ("1_000", 1000),
    ("yes", True), ("Off", False), ("y", "y"), ("", None), ("~", None), ("null", None), ("nil", "nil"), (".5", 0.5), ("1.", 1.0), ("+1", 1),
    ("0", 0), ("08", 8.0), ("1.2.3", "1.2.3"), ("=", "="), ("'1'", "1"), ("1_0e2", 1000.0), ("0b11", 3), ("-1", -1),
])  # fmt: skip
def test_plain_scalars(text: str, value: object) -> None:
    found = yaml.load(f"a: {text}", Loader)["a"]
    assert (found, type(found)) == (value, type(value))


@given(st.recursive(st.text(max_size=6) | st.integers() | st.booleans() | st.none() | st.sampled_from(
    ["a\x85b", "1e3", "2026-01-01", "22:22", "0o7", "yes", "n", "=", "<<", "1_0", "0x", "-", "*a", "&a", "!t", "# x", "a: b", "12e45"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert yaml.load(yaml.dump(value, Dumper=Dumper, allow_unicode=True), Loader) == value
