"""Diabetes: comes with scikit-learn (Efron et al., Least Angle Regression, Annals of Statistics, 2004)."""

import numpy as np

from core.dataset import DATASETS, Dataset


@DATASETS.register("diabetes")
class Diabetes(Dataset):
    """442 patients, 10 features; target: disease progression a year later."""

    folder = "Diabetes"
    seed_set = 50
    budget = 100

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.datasets import load_diabetes

        return load_diabetes(return_X_y=True)
