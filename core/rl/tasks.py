"""A short synthetic regression task to learn a policy on, and the names of all environments in Gymnasium.

Each run id is another task. n rows, d features.
"""

import gymnasium as gym
import numpy as np

from ..dataset import DATASETS, Dataset

ROWS = 500
#: Configuration of a model small enough that steps are cheap; it trains until it converges.
SMALL = {"hidden": (32, 32), "batch_size": 64}


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


def register() -> None:
    """Registers every dataset, and the synthetic task with a small model, another task in each episode."""
    small = {"anew": True, "variation": "gauss", "config": SMALL}
    classes: dict[str, type[Dataset]] = {**DATASETS.classes, "synthetic": Synthetic}
    for name, cls in classes.items():
        gym.register(
            f"BalsaBench/{cls.folder}-v0",
            entry_point="core.rl.candidates:CandidateEnv",
            kwargs={"dataset": name} | (small if name == "synthetic" else {}),
        )
