"""Environments whose models are trained as one stack, and what a choice of candidates is worth in them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch

from ..training.lockstep import Fitting, side_by_side
from .candidates import CandidateEnv, Observation
from .features import RUN
from .scorer import Scorer

__all__ = ["Choose", "areas", "best_of", "random_of", "together"]

T = TypeVar("T")
#: A position among the candidates of an observation.
Choose: TypeAlias = Callable[[Observation], int]


def together(fittings: Sequence[Fitting[T]]) -> list[T]:
    """What generators return that ask for fits, in their order, all driven side by side.

    Raises:
        FloatingPointError: training diverged in one of them.
    """
    results: dict[int, T] = {}
    for i, result in side_by_side(fittings):
        if isinstance(result, Exception):
            raise result
        results[i] = result
    return [results[i] for i in range(len(fittings))]


def best_of(scorer: Scorer) -> Choose:
    """Always the candidate of highest score."""

    @torch.no_grad()
    def choose(seen: Observation) -> int:
        candidates, context, mask = (torch.from_numpy(seen[name])[None] for name in sorted(seen))
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

    def played(env: CandidateEnv, seed: int) -> Fitting[float]:
        seen, info = yield from env.resetting(seed)
        curve, done = [info["mae"]], False
        while not done:
            seen, _, done, _, info = yield from env.stepping(choose(seen))
            curve.append(info["mae"])
        return float(np.mean(curve[1:]) / curve[0])

    results: list[Any] = together([played(env, seed) for env, seed in zip(envs, seeds, strict=True)])
    return np.array(results)
