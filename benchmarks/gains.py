"""How much of a point's gain is the point's own: what any choice of single points could see at best.

    python benchmarks/gains.py --repeats 30

On the synthetic tasks of docs/LEARNING.md, each candidate of a step is added to a copy of the run, as the
greedy oracle does, several times with other minibatches and dropout masks, and the test MAE of each copy is
taken on both halves of the test set. A gain is the fall of that MAE less the mean fall of the step's
candidates, over the first MAE of the episode. The table has

- the standard deviation of a gain;
- correlations of the gains of the same candidates: between two trainings (same half), between the halves
  (same training), and between both;
- what is left of the gain of the best candidate: judged by the training and half that it was chosen by, by
  the other half, by another training, and by both.
"""

import argparse
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from measure import make_parser
from scipy import stats
from tqdm import tqdm

from core.cli import at_least, run_script
from core.models.masks import mask_source
from core.rl.candidates import CandidateEnv, mae
from core.rl.ids import SMALL

__all__ = ["gains", "summary"]

CANDIDATES, TRAININGS, HALVES = 32, 3, 2


def gains(env: CandidateEnv, every: int, rng: np.random.Generator) -> np.ndarray:
    """Gains [steps, trainings, halves, C] of each `every`-th step of an episode of random choices."""
    seen, info = env.reset(seed=int(rng.integers(2**31)))
    first, found, done, step = info["mae"], [], False, 0
    while not done:
        if step % every == 0 and seen["mask"].all():
            found.append(np.stack([_falls(env, int(rng.integers(2**31))) for _ in range(TRAININGS)]) / first)
        seen, _, done, _, _ = env.step(int(rng.integers(seen["mask"].sum())))
        step += 1
    falls = np.stack(found)
    return falls - falls.mean(-1, keepdims=True)


def _falls(env: CandidateEnv, seed: int) -> np.ndarray:
    """Minus the MAE on the halves of the test set after each candidate was added, [halves, C]."""
    run = env.env
    trainer = run.learner.trainer
    for i, generator in enumerate(trainer.batches):
        generator.manual_seed(seed + i)
    trainer.masks = [mask_source(generator) for generator in trainer.batches]
    learners, _, _ = run.with_each(env.rows)
    x, y = (part.chunk(HALVES) for part in run.learner.test)
    return np.array([[-mae(of, x[h], y[h]) for of in learners] for h in range(HALVES)])


def _pairs(count: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Each of so many with itself, and with each of the others."""
    return [(i, i) for i in range(count)], list(permutations(range(count), 2))


def summary(found: np.ndarray) -> pd.DataFrame:
    """The table, of gains [steps, trainings, halves, C]: mean over steps and standard error."""
    (same, others), (half, other_half) = (_pairs(count) for count in found.shape[1:3])
    cases = {
        "the other half": (same, other_half),
        "another training": (others, half),
        "both": (others, other_half),
    }

    def over(score: Callable[[np.ndarray, np.ndarray], float], trainings: list, halves: list) -> np.ndarray:
        """Of each step, the mean over the pairs."""
        each = [[score(step[a, h], step[b, i]) for a, b in trainings for h, i in halves] for step in found]
        return np.mean(each, axis=1)

    rows = {"standard deviation of a gain": found.std(axis=-1).mean(axis=(1, 2))}
    for name, pairing in cases.items():
        rows[f"correlation with {name}"] = over(lambda a, b: float(np.corrcoef(a, b)[0, 1]), *pairing)
    for name, pairing in {"itself": (same, half), **cases}.items():
        rows[f"best candidate's gain by {name}"] = over(lambda a, b: float(b[a.argmax()]), *pairing)
    values = [(what, of.mean(), stats.sem(of)) for what, of in rows.items()]
    return pd.DataFrame(values, columns=["what", "mean", "error"])


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, "gains.csv")  # a repeat is an episode
    parser.add_argument("--every", type=at_least(1), default=8, help="steps between two that are tried")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(1)
    env = CandidateEnv("synthetic", "gauss", candidates=CANDIDATES, anew=True, config=SMALL)
    rng = np.random.default_rng(1)
    found = [gains(env, args.every, rng) for _ in tqdm(range(args.repeats))]
    table = summary(np.concatenate(found))
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    table.to_csv(args.out, index=False, float_format="%.6g")


if __name__ == "__main__":
    run_script(main)
