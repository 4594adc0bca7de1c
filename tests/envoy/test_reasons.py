"""What the comments in compiled documents hang on, and that they change nothing."""

import os
import subprocess
import sys
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extproc.envoy.comments import with_comments
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import to_yaml
from extproc.envoy.forms import render
from extproc.envoy.places import Places
from extproc.envoy.reasons import REASONS
from tests.envoy.golden import ROOT
from tests.envoy.samples import EVERYTHING

FORMS = ("edge", "sidecar", "attach")
_PRINT = """
import sys
from extproc.envoy.forms import render
from extproc.envoy.places import Places
from tests.envoy.samples import EVERYTHING, SEVERAL
sys.stdout.write("".join(render(form, SEVERAL, Places()) for form in ("edge", "sidecar", "attach")))
sys.stdout.write(render("edge", EVERYTHING, Places()))
"""


@cache
def printed(form: str) -> str:
    """The reference output, or what there is beside it, each comment of it on one line."""
    text = render("edge", EVERYTHING, Places()) if form == "everything" else (ROOT / "envoy" / f"{form}.yaml").read_text(encoding="utf-8")
    lines: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# ") and lines and lines[-1].startswith("# "):
            lines[-1] += bare[1:]
        else:
            lines.append(bare)
    return "\n".join(lines)


@pytest.mark.parametrize("path", REASONS)
def test_each_reason_is_told_once_where_it_is_told(path: str) -> None:
    told = [printed(form).count(" ".join(REASONS[path].split())) for form in (*FORMS, "everything")]
    assert set(told) <= {0, 1}
    assert 1 in told, "no document has such a path: see `with_comments`"


def test_comments_change_nothing() -> None:
    document = compile_edge(EVERYTHING, Places())
    assert yaml.load(render("edge", EVERYTHING, Places()), yaml.CSafeLoader) == yaml.load(to_yaml(document), yaml.CSafeLoader)


def test_the_same_bytes_in_every_process() -> None:
    """Whatever order sets have in it."""
    children = [
        subprocess.Popen([sys.executable, "-c", _PRINT], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    one, other = (process.communicate()[0] for process in children)
    assert one == other
    assert (
        one
        == "".join((ROOT / "envoy" / f"{form}.yaml").read_text() for form in FORMS).encode() + render("edge", EVERYTHING, Places()).encode()
    )


def test_where_a_comment_stands() -> None:
    document = {
        "a": [{"name": "x", "deep": [[{"b": 1}], "- b: 2"]}, {"name": "y", "typed_config": {"b": "b: 1\nb: 2\n" + "b: " * 60}}],
        "c": {"b": [], "d": {"b": {}}},
    }
    text = to_yaml(document, reasons={"a[y]/b": "of y", "a[y]": "the item", "c/b": "of c", "d/b": "of d", "nowhere/b": "never", "a": "all"})
    assert yaml.safe_load(text) == document
    lines = [line.strip() for line in text.splitlines()]
    stands = {line: after.partition(":")[0] for line, after in pairwise(lines) if line.startswith("#")}
    assert stands == {"# all": "a", "# the item": "- name", "# of y": "b", "# of c": "b", "# of d": "b"}
    assert lines[lines.index("# of d") - 1] == "d:"


def test_long_comments_are_wrapped_where_they_stand() -> None:
    text = with_comments("a:\n  b: 1\n", {"a": {"b": 1}}, {"a/b": "word " * 60})
    lines = text.splitlines()[1:-1]
    assert lines
    assert all(line.startswith("  # word") and len(line) <= 140 for line in lines)


_NAMES = st.sampled_from(["a", "name", "-b", "c d", "e:", "#f", "typed_config"])
_LEAVES = st.text("ab:#-'\"\n ", max_size=200) | st.integers() | st.booleans() | st.none()
_DOCUMENTS = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=20)


@given(st.dictionaries(_NAMES, _DOCUMENTS, max_size=5))
def test_any_document_stays_what_it_is(document: dict[str, Any]) -> None:
    reasons = {"a": "why a", "name": "why name", "a/a": "deeper", "-b": "why b", "c d": "why c", "/a": "the whole", "e:": "why e"}
    assert yaml.load(to_yaml(document, reasons=reasons), yaml.CSafeLoader) == document
