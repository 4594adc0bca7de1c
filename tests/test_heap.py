"""What is given back to the system of a heap with holes."""

import subprocess
import sys

import pytest

from extproc import heap

# In a process of its own: other tests' heaps have other holes.
_HOLES = """
from pathlib import Path
from extproc.heap import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

large, pins = [], []
for _ in range(400):
    large.append(bytes(100_000))
    pins.append(bytearray(700))
large.clear()
before = resident()
give_back()
print(before - resident())
"""


def test_holes_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _HOLES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20_000_000


def test_where_the_library_has_no_such_function_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_trim", None)
    heap.give_back()
