"""What a policy is worth: beside a random choice, on the same tasks."""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from ..errors import UserError
from ..files import one_line, write_file
from ..training.side_by_side import side_by_side
from .candidates import CandidateEnv, Observation
from .features import RUN
from .scorer import Scorer

__all__ = ["Choose", "Evaluation", "areas", "best_of", "random_of"]

#: A position among the candidates of an observation.
Choose: TypeAlias = Callable[[Observation], int]


def best_of(scorer: Scorer) -> Choose:
    """Always the candidate of highest score."""

    @torch.no_grad()
    def choose(seen: Observation) -> int:
        candidates, context, mask = (
            torch.from_numpy(seen[name])[None] for name in ("candidates", "context", "mask")
        )
        scores = scorer(candidates, context[:, : len(RUN)], mask)
        return int(torch.where(mask > 0, scores, -torch.inf).argmax())

    return choose


def random_of(rng: np.random.Generator) -> Choose:
    """Any of the candidates."""
    return lambda seen: int(rng.integers(int(seen["mask"].sum())))


def areas(envs: Sequence[CandidateEnv], seeds: Sequence[int], choose: Choose) -> np.ndarray:
    """Of an episode from each seed [S]: the mean over its rounds of the test MAE, divided by the first.

    Only for a query size of 1.
    """

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
    """Plays the same tasks again and again, and keeps a table of how a policy did.

    Args:
        path: of the table: steps, the mean area under the curve (`areas`) of policy and random, and mean and
            standard error of the difference over the tasks.
        envs, seeds: a task each.

    Attributes:
        row: the last row of the table, without the steps.

    Raises:
        UserError: the table that is there is damaged.
    """

    COLUMNS = ("policy", "random", "difference", "error")

    def __init__(self, path: Path, envs: Sequence[CandidateEnv], seeds: Sequence[int]) -> None:
        self.path, self.envs, self.seeds = path, envs, seeds
        self.row: dict[str, float] = {}
        self._random: np.ndarray | None = None
        self._rows()  # said before anything is played

    def _rows(self) -> list[list[Any]]:
        """Of the table that is there, its steps as numbers."""
        if not self.path.exists():
            return []
        try:
            rows: list[list[Any]] = list(csv.reader(self.path.read_text(encoding="utf-8").splitlines()))[1:]
            return [[int(steps), *row] for steps, *row in rows]
        except ValueError as error:
            raise UserError(f"{self.path} is damaged ({one_line(error)}); remove it") from error

    def note(self, steps: int, scorer: Scorer) -> None:
        """Evaluates a scorer that has been trained for so many steps."""
        if self._random is None:
            self._random = areas(self.envs, self.seeds, random_of(np.random.default_rng(0)))
        own = areas(self.envs, self.seeds, best_of(scorer))
        difference = own - self._random
        error = difference.std(ddof=1) / len(own) ** 0.5
        values = (own.mean(), self._random.mean(), difference.mean(), error)
        self.row = {name: float(value) for name, value in zip(self.COLUMNS, values, strict=True)}
        rows = [row for row in self._rows() if row[0] < steps]
        rows.append([steps, *(f"{value:.6g}" for value in self.row.values())])

        def write(beside: Path) -> None:
            with beside.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([("steps", *self.COLUMNS), *rows])

        write_file(self.path, write)
