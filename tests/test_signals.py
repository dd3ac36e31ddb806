"""What ends a script: one line says which signal it was, and the exit code, too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: A process for each signal, which it sends to itself; exit codes are printed.
SENDER = """
import json, os, signal, sys
from core.cli import run_script
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests under nohup ignores it
codes = []
for number in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        run_script(lambda: os.kill(os.getpid(), number))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_signal_ends_a_script_in_one_line() -> None:
    command = [sys.executable, "-c", SENDER, json.dumps([2, 15, 1])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stdout) == [130, 143, 129]
    assert done.stderr.splitlines() == ["-c: interrupted", "-c: terminated", "-c: hung up"]
