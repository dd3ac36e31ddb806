"""What ends a script: the signal that comes first says how, whatever follows it."""

import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Forks a process for each case, which sends itself signals from a C loop: no handler of Python runs before
#: the last of them is there.
SENDER = """
import ctypes, json, os, signal, sys
from core.cli import run_script
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests under nohup ignores it
kill = ctypes.CDLL(None).kill
codes = []
for numbers in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        run_script(lambda: len(list(map(kill, [os.getpid()] * len(numbers), numbers))))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""
SAID = {2: "interrupted", 15: "terminated", 1: "hung up"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sends signals as Linux does")
def test_of_signals_that_wait_together_the_first_one_counts() -> None:
    """Python calls the handlers of waiting signals by number, Ctrl-C (2) before SIGTERM (15)."""
    cases = [*permutations(SAID), *permutations(SAID, 2), (15,), (15, 15, 2)]
    command = [sys.executable, "-c", SENDER, json.dumps(cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stdout) == [128 + numbers[0] for numbers in cases]
    assert done.stderr.splitlines() == [f"-c: {SAID[numbers[0]]}" for numbers in cases]
