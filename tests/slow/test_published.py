"""`benchmarks/published.py`, with a folder that is laid out as the published code is."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EVALUATE = """
import argparse
import time

import gym
from tqdm import tqdm

import core

parser = argparse.ArgumentParser()
for name in ("agent", "dataset", "query_size", "restarts", "data_folder"):
    parser.add_argument(f"--{name}")
args = parser.parse_args()
assert issubclass(core.Environment, gym.Env) and core.PUBLISHED_CODE
for i in (iterator := tqdm(range(800), miniters=2)):
    begin = time.process_time()
    while time.process_time() < begin + 0.05:
        pass
    iterator.set_postfix({"accuracy": 0.0})
"""
CORE = """
import gym

PUBLISHED_CODE = True


class Environment(gym.Env):
    pass
"""


def run(*typed: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks/published.py"), *map(str, typed)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_both_codes_are_timed(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/__init__.py").write_text(CORE)
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    rest = ("--dataset", "diabetes", "--agents", "random", "--points", 8, "--repeats", 1)
    done = run("--code", tmp_path, *rest)
    assert done.returncode == 0, done.stderr
    head, line = (line.split("\t") for line in done.stdout.splitlines())
    assert head == ["agent", "published", "ours", "ratio"]
    agent, published, ours, _ = line
    assert agent == "random"
    assert 0.05 <= float(published) < 0.2  # of what the loop does, not of starting
    assert float(ours) > 0


def test_a_folder_without_the_code_is_refused(tmp_path: Path) -> None:
    done = run("--code", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "has no evaluate.py" in done.stderr
