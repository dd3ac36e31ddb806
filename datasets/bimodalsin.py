"""BiModalSin: a toy with two modes, drawn for each run."""

import numpy as np

from core.dataset import DATASETS, Dataset


@DATASETS.register("bimodalsin")
class BiModalSin(Dataset):
    """1,000 points of y = sin x - 1/2 or sin x + 1/2, noise 0.2, x uniform in [-4, 4]."""

    folder = "BiModalSin"
    seed_set = 30
    budget = 60

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.uniform(-4, 4, 1000)
        mode = rng.integers(0, 2, 1000)
        return x[:, None], np.sin(x) + mode - 0.5 + rng.normal(0, 0.2, 1000)
