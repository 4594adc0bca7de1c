"""Reviews: what is answered to what, as the API server reads it."""

import base64
import json
from typing import Any

import pytest

from extproc.injector.inject import Injected
from extproc.injector.overrides import Wrong
from extproc.injector.review import Malformed, Verdict, review
from tests.cases import cases
from tests.injector.samples import POD, asked


def changed(pod: dict[str, Any]) -> Injected:
    return Injected({**pod, "spec": {**pod["spec"], "hostname": "x"}}, done=True, warnings=("mind",))


def response(verdict: Verdict) -> dict[str, Any]:
    answer = json.loads(verdict.body)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    found: dict[str, Any] = answer["response"]
    return found


def test_a_patch() -> None:
    said = response(review(asked(POD), changed))
    patch = json.loads(base64.b64decode(said.pop("patch")))
    assert patch == [{"op": "add", "path": "/spec/hostname", "value": "x"}]
    assert said == {"uid": "u-1", "allowed": True, "patchType": "JSONPatch", "warnings": ["mind"]}


def test_nothing_to_do() -> None:
    verdict = review(asked(POD), lambda pod: Injected(pod, done=True))
    assert (verdict.decision, response(verdict)) == ("unchanged", {"uid": "u-1", "allowed": True})
    verdict = review(asked(POD), lambda pod: Injected(pod, done=False, warnings=("no",)))
    assert (verdict.decision, response(verdict)) == ("left", {"uid": "u-1", "allowed": True, "warnings": ["no"]})


def test_what_somebody_has_written_wrong_is_refused_with_words() -> None:
    def refuse(pod: dict[str, Any]) -> Injected:
        raise Wrong("the annotation x")

    verdict = review(asked(POD), refuse)
    assert verdict.decision == "refused"
    status = {"code": 422, "reason": "Invalid", "message": "Headgate: the annotation x"}
    assert response(verdict) == {"uid": "u-1", "allowed": False, "status": status}


def test_a_bug_is_not_answered() -> None:
    def fail(pod: dict[str, Any]) -> Injected:
        raise KeyError("x")

    with pytest.raises(KeyError):
        review(asked(POD), fail)


OTHERS: list[dict[str, Any]] = [
    {"operation": "UPDATE"},
    {"operation": "DELETE"},
    {"operation": "CREATE", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}},
    {"operation": "CREATE", "subResource": "ephemeralcontainers"},
]


@cases("more", OTHERS)
def test_what_is_no_new_pod_passes(more: dict[str, Any]) -> None:
    verdict = review(asked(POD, **more), changed)
    said = response(verdict)
    assert said["allowed"] is True and "patch" not in said and "CREATE pods" in said["warnings"][0]


def test_warnings_that_are_too_long_are_cut() -> None:
    verdict = review(asked(POD), lambda pod: Injected(pod, done=True, warnings=("é" * 200,)))
    (line,) = response(verdict)["warnings"]
    assert len(line.encode()) <= 256 and line.endswith("é...")


def test_names_for_the_log() -> None:
    def named(metadata: Any, **more: Any) -> str:
        return review(asked({**POD, "metadata": metadata}, **more), lambda pod: Injected(pod, done=False)).name

    assert named({"name": "a"}) == "a"
    assert named({"generateName": "a-"}) == "a-"
    assert named({"generateName": "a-"}, name="said") == "said"
    assert (named({}), named(None), named([])) == ("", "", "")


def test_malformed() -> None:
    for body in (b"", b"\xff", b"[]", asked(None), asked(POD).replace(b'"uid"', b'"gid"')):
        with pytest.raises(Malformed):
            review(body, changed)
