"""How the process ends that runs the gateway."""

import subprocess
import sys

import pytest

# A start that is given up while Envoy's configuration is compiled, or after that; the thread lives on when its work is done.
STORY = """
import asyncio, atexit, sys, threading, time
from extproc.cli.running import _ended
from extproc.control.envoy import _aside

def linger(frame, event, _):
    if event == "return" and frame.f_code.co_name == "run" and frame.f_code.co_filename.endswith("aside.py"):
        time.sleep(60)

threading.setprofile(linger)

async def start():
    work = asyncio.create_task(_aside(lambda: time.sleep({takes})))
    await asyncio.wait({{work}}, timeout={waits})

atexit.register(print, "Python has ended by itself")
asyncio.run(start())
print("ended")
sys.exit(_ended(3))
"""


@pytest.mark.parametrize(("takes", "waits", "said"), [(60, 0.5, "ended\n"), (0, 20, "ended\nPython has ended by itself\n")])
def test_nobody_waits_for_a_compilation_and_none_is_torn_apart(takes: int, waits: float, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORY.format(takes=takes, waits=waits)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")
