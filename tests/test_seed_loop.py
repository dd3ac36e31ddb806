"""The loop of the seed document runs as it is written there."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent

PREAMBLE = """
import argparse, math
import agents, core, datasets
from core import util
from core.models.variations import load_config
from core.util import tqdm

args = argparse.Namespace(query_size=3)
seeds = core.Seeds(run_id=1)
agent = agents.AGENTS["coreset"](args.query_size, seeds)
dataset = datasets.DATASETS["diabetes"]("unused", seeds)
config = load_config("diabetes", "nf")
env = core.environment.Environment(dataset, config, budget=7)
log_path = "runs/Diabetes/3/Coreset_Greedy/run_1"
"""

LOOP = """
with core.EnvironmentLogger(env, log_path, util.is_cluster) as env:
    done = False
    dataset.reset()
    state = env.reset()
    iterations = math.ceil(env.env.budget / args.query_size)
    iterator = tqdm(range(iterations), miniters=2)
    for i in iterator:
        action = agent.predict(*state)
        state, reward, done, truncated, info = env.step(action)
        iterator.set_postfix({"accuracy": env.accuracies[1][-1]})
        if done or truncated:
            # triggered when sampling batch_size is >1
            break
"""


def test_loop_runs_verbatim(tmp_path: Path) -> None:
    seed_document = ROOT.parent / "shared" / "SEED.md"
    if seed_document.exists():
        assert LOOP.strip() in seed_document.read_text()
    assert textwrap.indent(LOOP, "    ").strip() in (ROOT / "evaluate.py").read_text(encoding="utf-8")
    command = [sys.executable, "-c", PREAMBLE + LOOP]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/Diabetes/3/Coreset_Greedy"
    for file in ("accuracies.csv", "likelihoods.csv", "crps.csv", "losses.csv"):
        of_run = pd.read_csv(folder / "run_1" / file, index_col=0)
        assert list(of_run.columns) == ["run_1"]
        assert list(of_run.dropna().index) == [0, 3, 6, 7]
        assert list(of_run.index) == list(range(8))
        pd.testing.assert_frame_equal(pd.read_csv(folder / file, index_col=0), of_run)
    # Nobody watches a pipe: the bar is drawn when it starts and when it ends.
    assert done.stderr.count("\r") <= 3, done.stderr
    assert "3/3" in done.stderr
