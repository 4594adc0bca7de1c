"""What is given back to the system of a heap with holes, and when that is tried."""

import subprocess
import sys

import msgspec
import pytest

from extproc import heap
from extproc.adapter import AdapterSession
from extproc.envoy import names
from extproc.gate import GateSession
from tests.playbook import one, request_body, request_headers, response_body, response_headers
from tests.scene import CHAT, Scene, head
from tests.test_answering import CHAT as ANSWER
from tests.test_gate import JSON

# In a process of its own: other tests' heaps have other holes. What stays is as large as what goes, so that whatever room there was before
# is full soon, and there is no large hole at the end of the heap, which the library gives back itself.
_HOLES = """
from pathlib import Path
from extproc.heap import Leftovers

def given_back(leftovers):
    before = resident()
    leftovers.give_back()
    return before - resident()

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

bodies = [bytes(60_000) for _ in range(800)]
del bodies[::2]
leftovers = Leftovers()
"""
MIB = 1024 * 1024


def given_back(*passed: int) -> list[int]:
    """Bytes, at each of two attempts, of a heap with 24 MB of holes through which bodies of these sizes have passed."""
    more = f"for size in {passed}: leftovers.passed(size)\nprint(given_back(leftovers))\nprint(given_back(leftovers))"
    done = subprocess.run([sys.executable, "-c", _HOLES + more], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.splitlines()]


def test_what_large_bodies_leave_is_given_back() -> None:
    first, second = given_back(*[400_000] * 20)
    assert first > 10_000_000
    # Nothing has passed since.
    assert second < MIB


@pytest.mark.parametrize("passed", [[], [400_000], [10_000] * 10_000])
def test_who_had_no_large_bodies_does_not_look_for_holes(passed: list[int]) -> None:
    assert max(given_back(*passed)) < MIB


def test_where_the_library_has_no_such_function_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_trim", None)
    leftovers = heap.Leftovers()
    leftovers.passed(8 * MIB)
    leftovers.give_back()


def asked(scene: Scene, size: int, model: str = "gpt") -> tuple[GateSession, bytes]:
    """A request of about so many bytes, on its way to its provider."""
    session = GateSession(scene.engine)
    body = msgspec.json.encode({**CHAT, "model": model, "user": "u" * size})
    one(session, request_headers(head()))
    one(session, request_body(body))
    return session, body


@pytest.mark.parametrize(("question", "answer"), [(100_000, 10), (10, 100_000), (40_000, 40_000)])
def test_large_questions_and_answers_count_when_they_have_gone(question: int, answer: int) -> None:
    scene = Scene()
    session, body = asked(scene, question)
    told = msgspec.json.encode({**ANSWER, "more": "m" * answer})
    one(session, response_headers(JSON))
    assert scene.engine.leftovers.large == 0
    one(session, response_body(told, end=True))
    session.close()
    assert scene.engine.leftovers.large == len(body) + len(told)


def test_small_ones_do_not() -> None:
    scene = Scene()
    session, _ = asked(scene, 10_000)
    session.close()
    assert scene.engine.leftovers.large == 0


def test_those_that_nobody_waited_for_do() -> None:
    scene = Scene()
    session, body = asked(scene, 100_000)
    session.close()
    assert scene.engine.leftovers.large == len(body)


def test_so_does_each_attempt() -> None:
    scene = Scene()
    gate = GateSession(scene.engine)
    body = msgspec.json.encode({**CHAT, "model": "both", "user": "u" * 100_000})
    one(gate, request_headers(head()))
    sent = one(gate, request_body(body))
    for number, provider in enumerate(("openai", "anthropic"), 1):
        attempt = AdapterSession(scene.engine)
        attributes = {names.CLUSTER_ATTRIBUTE: f"provider_{provider}", names.ATTEMPT_ATTRIBUTE: number}
        one(attempt, request_headers(head(), attributes=attributes, metadata=sent.metadata))
        one(attempt, request_body(body))
        attempt.close()
        assert scene.engine.leftovers.large == number * len(body)
