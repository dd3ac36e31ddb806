"""Active learning as a Markov decision process with spaces: choose among a few candidates of the pool.

C candidates, m and k numbers of a candidate and of the run, d features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch

from ..agent import AGENTS, check_scores
from ..dataset import DATASETS
from ..environment import Environment
from ..errors import check_known
from ..models.variations import VARIATIONS, load_config
from ..protocol import PROTOCOLS
from ..seeds import Seeds
from .policy import LIMIT, RUN, SCORES, Features, names_of
from .tasks import Synthetic

#: Names of the numbers after those of `RUN` in a context, which a critic sees, but no agent.
VALIDATION = ("validation_nll", "last_change", "change_before")

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
