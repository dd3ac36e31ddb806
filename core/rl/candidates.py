"""Active learning as a Markov decision process with spaces: choose among a few candidates of the pool.

C candidates, m and k numbers of a candidate and of the run, d features, n rows of a synthetic task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch

from ..agent import AGENTS, check_scores
from ..dataset import DATASETS, Dataset
from ..environment import Environment
from ..errors import check_known
from ..models.variations import VARIATIONS, load_config
from ..protocol import PROTOCOLS
from ..seeds import Seeds
from .policy import LIMIT, RUN, SCORES, Features, names_of

#: Names of the numbers after those of `RUN` in a context, which a critic sees, but no agent.
VALIDATION = ("validation_nll", "last_change", "change_before")

ROWS = 500
#: Configuration of a model small enough that steps are cheap; it trains until it converges.
SMALL = {"hidden": (32, 32), "batch_size": 64}

Observation: TypeAlias = dict[str, np.ndarray]


class CandidateEnv(gym.Env[Observation, Any]):
    """A run of the benchmark in which each step offers C candidates, drawn from the pool.

    Observations are finite float32 arrays: `candidates` [C, m], `context` [k] (`RUN`, then `VALIDATION`) and
    `mask` [C], 1 where there is a candidate. An action is a position among them; a position without a
    candidate means another one, cyclically. The reward is the drop of the validation MAE, divided by its
    first value.

    `info` holds `added`, the metrics of `core.metrics.METRICS`, and `action_mask`, for
    `action_space.sample(mask=...)`. No timings: equal seeds give equal infos.

    Args:
        dataset: a name in `DATASETS`, or `synthetic`.
        candidates: C.
        budget: points to add; the dataset's own if None.
        anew: each episode is another run, drawn from `np_random`, whatever the seed.
        scores: agents whose scores are among the candidates' numbers; they may raise the dropout rate.
        config: values that replace the usual ones.

    Attributes:
        rows: the pool's rows that are candidates now, in the order of their positions [at most C], int64.
    """

    def __init__(
        self,
        dataset: str,
        variation: str = "nf",
        protocol: str = "corrected",
        *,
        candidates: int = 32,
        budget: int | None = None,
        anew: bool = False,
        scores: Sequence[str] = SCORES,
        config: Mapping[str, Any] | None = None,
        device: torch.device | str = "cpu",
        data_folder: str | Path = "../datasets",
    ) -> None:
        check_known("variation", variation, VARIATIONS)
        check_known("protocol", protocol, PROTOCOLS)
        self._make = Synthetic if dataset == "synthetic" else DATASETS[dataset]
        self.protocol = PROTOCOLS[protocol]
        self.config = replace(load_config(dataset, variation, self.protocol), **(config or {}))
        for name in scores:
            check_scores(name, variation)
            self.config = AGENTS[name].inject_config(self.config)
        self.candidates, self.budget, self.anew, self.scores = candidates, budget, anew, tuple(scores)
        self.device = torch.device(device)
        self._data_folder = data_folder
        self._run_id = 1

        boxes: dict[str, gym.spaces.Space[Any]] = {
            "candidates": gym.spaces.Box(-LIMIT, LIMIT, (candidates, len(names_of(scores)))),
            "context": gym.spaces.Box(-LIMIT, LIMIT, (len(RUN) + len(VALIDATION),)),
            "mask": gym.spaces.Box(0, 1, (candidates,)),
        }
        self.observation_space: Any = gym.spaces.Dict(boxes)
        self.action_space = gym.spaces.Discrete(candidates)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts the run whose id is the seed, with its split, seed set and initial weights.

        The seed also seeds the draws of candidates. None plays the run again, at first run 1, with other
        candidates.
        """
        super().reset(seed=seed)
        if self.anew:  # far from the ids that a benchmark has
            self._run_id = int(self.np_random.integers(2**32, 2**62))
        elif seed is not None:
            self._run_id = seed
        seeds = Seeds(self._run_id)
        dataset = self._make(self._data_folder, seeds)
        self.env = Environment(dataset, self.config, self.protocol, device=self.device, budget=self.budget)
        self._features = Features(self.scores, seeds, self.protocol)
        self._generator = seeds.torch("agent", self.device)
        _, info = self.env.reset()
        self._validation_nll = [info["validation_nll"]] * 3
        self._error = self._first_error = self._validation_mae()
        return self._observation(), self._info(info)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Labels the candidate at a position, and draws others; a ValueError for none of 0 to C - 1."""
        if not 0 <= action < self.candidates:
            raise ValueError(f"a candidate is one of 0 to {self.candidates - 1}, got {action}")
        _, _, terminated, _, info = self.env.step(self.rows[[action % len(self.rows)]])
        self._validation_nll.append(info["validation_nll"])
        before, self._error = self._error, self._validation_mae()
        reward = (before - self._error) / self._first_error
        return self._observation(), reward, terminated, False, self._info(info)

    def action_masks(self) -> np.ndarray:
        """Which positions hold a candidate, bool [C]; sb3-contrib asks for it."""
        return np.arange(self.candidates) < len(self.rows)

    def _validation_mae(self) -> float:
        learner, generator = self.env.learner, self.env.seeds.torch("evaluation", self.device)
        x, y = learner.validation
        return float((learner.predictor.predict(x, generator) - y).abs().mean())  # the same samples each time

    def _observation(self) -> Observation:
        """Draws the candidates, and what is seen of them; an empty pool leaves none."""
        state = self.env.state
        pool = len(state.x_unlabeled)
        self.rows = self.np_random.choice(pool, min(self.candidates, pool), replace=False)
        seen = {name: np.zeros(box.shape, np.float32) for name, box in self.observation_space.items()}
        if pool:
            x = state.x_unlabeled[torch.from_numpy(self.rows).to(self.device)]
            numbers = self._features.of_candidates(state, x, self._generator)
            seen["candidates"][: len(x)] = numbers.cpu().numpy()
        seen["mask"][: len(self.rows)] = 1
        last = np.array(self._validation_nll[-3:])
        validation = np.nan_to_num([last[2], last[2] - last[1], last[1] - last[0]])
        context = np.concatenate([self._features.of_run(state).cpu().numpy(), validation])
        seen["context"][:] = context.clip(-LIMIT, LIMIT)
        return seen

    def _info(self, info: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in info.items() if name != "pit"}
        return kept | {"action_mask": self.action_masks().astype(np.int8)}


class Synthetic(Dataset):
    """320 rows for training, 80 for validation, 100 for testing; 20 labels at first, 40 to add."""

    folder = "Synthetic"
    seed_set = 20
    budget = 40

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return (_friedman, _network, _mixture)[rng.integers(3)](rng)


def _friedman(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Friedman #1 with weights drawn for the task (*Multivariate Adaptive Regression Splines*, 1991, eq. 61).

    y = 10 w1 sin(pi x1 x2) + 20 w2 (x3 - 1/2)^2 + 10 w3 x4 + 5 w4 x5 + N(0, 1), w uniform in [0, 2].
    """
    x, weights = _inputs(rng, 5), rng.uniform(0, 2, 4)
    parts = (10 * np.sin(np.pi * x[:, 0] * x[:, 1]), 20 * (x[:, 2] - 0.5) ** 2, 10 * x[:, 3], 5 * x[:, 4])
    return x, sum(w * part for w, part in zip(weights, parts, strict=True)) + rng.normal(size=ROWS)


def _network(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random network of 64 tanh units; its noise is three times as large in one part of the inputs."""
    x = _inputs(rng, 5)
    hidden = np.tanh((x - 0.5) @ rng.normal(0, 2, (5, 64)) + rng.normal(size=64))
    signal = hidden @ rng.normal(size=64)
    noise = np.where(x[:, 0] > rng.uniform(0.3, 1), 0.3, 0.1) * signal.std()
    return x, signal + noise * rng.normal(size=ROWS)


def _mixture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One input; a mixture of one to three sines of their own frequency, phase and offset."""
    x, count = _inputs(rng, 1), rng.integers(1, 4)
    frequency, phase, offset = rng.uniform(2, 12, count), rng.uniform(0, 6, count), rng.normal(size=count)
    mode = rng.integers(0, count, ROWS)
    y = np.sin(frequency[mode] * x[:, 0] + phase[mode]) + offset[mode]
    return x, y + rng.normal(0, rng.uniform(0.05, 0.3), ROWS)


def _inputs(rng: np.random.Generator, d: int) -> np.ndarray:
    """Inputs in [0, 1], [n, d]: uniform, or crowded in places like those of real tables."""
    if rng.random() < 0.5:
        return rng.uniform(size=(ROWS, d))
    centers, widths = rng.uniform(size=(6, d)), rng.uniform(0.03, 0.3, 6)
    which = rng.choice(6, ROWS, p=rng.dirichlet(np.ones(6)))
    return np.clip(rng.normal(centers[which], widths[which, None]), 0, 1)
