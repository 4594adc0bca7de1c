"""How the process ends that runs the gateway."""

import subprocess
import sys

import pytest

# A start that is given up while Envoy's configuration is compiled, or after that.
STORY = """
import asyncio, atexit, sys, time
from extproc.cli.running import _ended
from extproc.config.model import Config
from extproc.control.envoy import _aside

async def start():
    work = asyncio.create_task(_aside(lambda config: [str(time.sleep({takes}))], Config(providers={{}}, models=())))
    await asyncio.wait({{work}}, timeout=1)

atexit.register(print, "Python has ended by itself")
asyncio.run(start())
print("ended")
sys.exit(_ended(3))
"""


@pytest.mark.parametrize(("takes", "said"), [(60, "ended\n"), (0, "ended\nPython has ended by itself\n")])
def test_nobody_waits_for_a_compilation_and_none_is_torn_apart(takes: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", STORY.format(takes=takes)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")
