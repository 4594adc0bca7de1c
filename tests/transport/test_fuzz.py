"""The fuzz target (tests/fuzz/http2_connection.py): every input of the corpus, and then a few new ones.

`make fuzz` goes on for longer.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cases import cases
from tests.fuzz.http2_connection import Run, target
from tests.fuzz.seeds import SEEDS, captured, write

RUNS = 1_500
"""A number, not a time: so a busy machine tries as much as any other, and does so by the same steps."""
ROOT = Path(__file__).parent.parent.parent
INPUTS = SEEDS | captured()


@cases("name", INPUTS)
def test_the_corpus(name: str) -> None:
    target(INPUTS[name])


@pytest.mark.parametrize("name", captured())
def test_what_real_clients_send_is_right(name: str) -> None:
    """Each stream gets to its end, and nobody says goodbye."""
    run = Run()
    run.play(captured()[name])
    told = [told for number, told in run.told.items() if number]
    assert told and all(one.headed and (one.ended or one.gone) for one in told)
    assert not run.connection.closed


def test_new_inputs(tmp_path: Path) -> None:
    """Guided by what they reach, where there is atheris; else by hypothesis."""
    if importlib.util.find_spec("atheris") is None:
        settings(max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck))(given(st.binary(max_size=400))(target))()
        return
    seeds, found = tmp_path / "seeds", tmp_path / "found"
    found.mkdir()
    write(seeds)
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=4096", "-timeout=10", f"-artifact_prefix={found}/"]
    command = [sys.executable, "-m", "tests.fuzz.http2_connection", *options, str(found), str(seeds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    # It saw where it was: the seeds alone come by some 600 places.
    assert int(re.findall(r" cov: (\d+) ", done.stderr)[-1]) > 500, done.stderr[-4_000:]
