"""What a dataset is to the benchmark: scaled arrays, a split and a seed set.

Shapes: n rows, d features.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from sklearn.preprocessing import MinMaxScaler

from .errors import UserError
from .registry import Registry
from .seeds import Seeds

__all__ = ["DATASETS", "Dataset"]

DATASETS: Registry["Dataset"] = Registry("dataset")


class Dataset(ABC):
    """A regression task: its rows, their split, and the seed set of one run.

    A subclass names its result folder, the size of its seed set and its budget, and gives its
    rows in `rows`. Files that must be found, checked or fetched are `core.data.tables.Table`'s business.

    After `reset()`, which the constructor calls, float32 arrays hold the run's data, features
    [n, d] and targets [n], min-max scaled to [0, 1] on the train part (validation included):
    `x_train, y_train` (seed set and pool), `x_val, y_val`, `x_test, y_test`; `seed_indices`
    are the seed set's rows of `x_train`.

    Which rows are the test part is the same for every run. Validation part and seed set are the
    run's own (SPEC.md section 1).

    Args:
        data_folder: where the files of datasets that have files lie.
        seeds: the run's seeds; the stream `split` is used.
        skip_data_check: go on with a table that is not the published one.
    """

    folder: ClassVar[str]
    seed_set: ClassVar[int]
    budget: ClassVar[int]

    #: What the check of the raw data said, for meta.txt.
    data_check = "not needed"

    def __init__(self, data_folder: str | Path, seeds: Seeds, *, skip_data_check: bool = False) -> None:
        self.data_folder = Path(data_folder)
        self.seeds = seeds
        self.skip_data_check = skip_data_check
        self.reset()

    @abstractmethod
    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The whole data before scaling: features [n, d] and target [n], all finite.

        Args:
            rng: the run's split generator, for data that are drawn anew for each run; data
                that are read leave it untouched.
        """

    def reset(self) -> None:
        """Restores the run's split and seed set; they are drawn again, the same."""
        rng = self.seeds.numpy("split")
        x, y = self.rows(rng)
        if x.ndim != 2 or y.shape != x.shape[:1]:
            raise ValueError(f"{type(self).__name__}.rows: x [n, d], y [n] wanted, got {x.shape}, {y.shape}")
        order = np.random.default_rng(1).permutation(len(x))
        train, test = np.split(order, [int(0.8 * len(x))])

        x_scaler, y_scaler = MinMaxScaler().fit(x[train]), MinMaxScaler().fit(y[train, None])
        x = x_scaler.transform(x).astype(np.float32)
        y = y_scaler.transform(y[:, None])[:, 0].astype(np.float32)

        val, train = np.split(rng.permutation(train), [int(0.2 * len(train))])
        self.rows_train = train
        self.x_train, self.y_train = x[train], y[train]
        self.x_val, self.y_val = x[val], y[val]
        self.x_test, self.y_test = x[test], y[test]
        if len(train) <= self.seed_set:
            raise UserError(
                f"{type(self).__name__}: a seed set of {self.seed_set} leaves nothing of the "
                f"{len(train)} points of the train part"
            )
        self.seed_indices = rng.choice(len(train), self.seed_set, replace=False)
