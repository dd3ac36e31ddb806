"""How a policy is evaluated, compared with random choices on the same tasks."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from ..files import write_file
from ..training.side_by_side import side_by_side
from .candidates import CandidateEnv, Observation
from .policy import RUN, Policy

#: A position among the candidates of an observation.
Choose: TypeAlias = Callable[[Observation], int]

SEEN = ("candidates", "context", "mask")


def best_of(policy: Policy) -> Choose:
    """Chooses the candidate with the highest score."""

    @torch.no_grad()
    def choose(seen: Observation) -> int:
        candidates, context, mask = (torch.from_numpy(seen[name])[None] for name in SEEN)
        scores = policy(candidates, context[:, : len(RUN)], mask)
        return int(torch.where(mask > 0, scores, -torch.inf).argmax())

    return choose


def random_of(rng: np.random.Generator) -> Choose:
    return lambda seen: int(rng.integers(int(seen["mask"].sum())))


def areas(envs: Sequence[CandidateEnv], seeds: Sequence[int], choose: Choose) -> np.ndarray:
    """The mean test MAE over an episode, divided by the first, for each of S seeds; [S]."""

    def played(env: CandidateEnv, seed: int) -> float:
        seen, info = env.reset(seed=seed)
        curve, done = [info["mae"]], False
        while not done:
            seen, _, done, _, info = env.step(choose(seen))
            curve.append(info["mae"])
        return float(np.mean(curve[1:]) / curve[0])

    seeded = zip(envs, seeds, strict=True)
    return np.array(side_by_side([partial(played, env, seed) for env, seed in seeded]))


class Evaluation:
    """Evaluates a policy on the same tasks each time, each an environment and a seed.

    Appends a line to a table: the mean area under the curve of policy and random, and mean and standard error
    of the difference over the tasks.
    """

    def __init__(self, path: Path, envs: Sequence[CandidateEnv], seeds: Sequence[int]) -> None:
        self.path, self.envs, self.seeds = path, envs, seeds

    @cached_property
    def _random(self) -> np.ndarray:
        return areas(self.envs, self.seeds, random_of(np.random.default_rng(0)))

    def note(self, steps: int, policy: Policy) -> dict[str, float]:
        """Evaluates a policy after so many training steps; returns the new row of the table."""
        areas_of_policy = areas(self.envs, self.seeds, best_of(policy))
        difference = areas_of_policy - self._random
        row = {
            "policy": float(areas_of_policy.mean()),
            "random": float(self._random.mean()),
            "difference": float(difference.mean()),
            "error": float(difference.std(ddof=1) / len(difference) ** 0.5),
        }
        before = self.path.read_text() if self.path.exists() else f"{','.join(['steps', *row])}\n"
        line = ",".join([str(steps), *(f"{value:.6g}" for value in row.values())])
        write_file(self.path, lambda beside: beside.write_text(f"{before}{line}\n"))
        return row
