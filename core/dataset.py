"""What a dataset is to the benchmark: scaled arrays, a split and a seed set.

Shapes: n rows, d features.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from .errors import UserError
from .registry import Registry
from .seeds import Seeds

DATASETS: Registry["Dataset"] = Registry("dataset", package="datasets")

#: The train part's share of all rows, and the validation part's of the train part.
TRAIN_SHARE, VALIDATION_SHARE = 0.8, 0.2
#: Seed of the shuffle that sets the test part aside, the same for every run.
SPLIT_SEED = 1


def train_and_test(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of n rows are for training and validation, and which for testing, in all runs."""
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    train, test = np.split(order, [int(TRAIN_SHARE * n)])
    return train, test


def sha256_of(*arrays: np.ndarray) -> str:
    """SHA-256 of the bytes of several arrays, without copying them."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


class RangeScaler:
    """Scales values [n], or each column of [n, d], to [0, 1] by their range, however small; constants to 0.

    scikit-learn's MinMaxScaler treats ranges below 2e-15 as constant.
    """

    def __init__(self, values: np.ndarray) -> None:
        low, span = values.min(axis=0), np.ptp(values, axis=0)
        self.scale = 1 / np.where(span == 0, 1, span)
        self._offset = 0 - low * self.scale

    def transform(self, values: np.ndarray) -> np.ndarray:
        return values * self.scale + self._offset

    def inverse_transform(self, scaled: np.ndarray) -> np.ndarray:
        return (scaled - self._offset) / self.scale


class Dataset(ABC):
    """A regression task: its rows, their split, and the seed set of one run.

    A subclass names its result folder, the size of its seed set and its budget, and returns its rows from
    `rows`. Published tables are subclasses of `core.data.tables.Table`.

    The constructor makes the run's data, features [n, d] and targets [n], float32, min-max scaled to [0, 1]
    on the train part (validation included): `x_train, y_train` (seed set and pool), `x_val, y_val`,
    `x_test, y_test`. `seed_indices` are the seed set's rows of `x_train`; `rows_train`, `rows_val` and
    `rows_test` are the numbers of these rows in the whole table, from 0. The test part is the same for every
    run; validation part and seed set are the run's own (docs/METHOD.md, section 1).

    Args:
        data_folder: where dataset files are.
        seeds: the run's seeds; the stream `split` is used.
        skip_data_check: accept a table that is not the published one.

    Raises:
        UserError: the rows have another shape, are too few, or hold NaN or infinity.
    """

    folder: ClassVar[str]
    seed_set: ClassVar[int]
    budget: ClassVar[int]

    #: Whether its table has been compared with the published one.
    verified: ClassVar[bool] = True
    #: Settings of its runs that other datasets do not have.
    more_settings: ClassVar[Mapping[str, object]] = {}
    #: What the check of the raw data said, for meta.txt.
    data_check = "not needed"

    def __init__(self, data_folder: str | Path, seeds: Seeds, *, skip_data_check: bool = False) -> None:
        self.data_folder = Path(data_folder)
        self.seeds = seeds
        self.skip_data_check = skip_data_check
        self.reset()

    @abstractmethod
    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """All data before scaling: features [n, d], target [n], finite; `rng` is for data that are drawn."""

    def digest(self) -> str:
        """A digest of the rows, which changes if they do."""
        x, y = self.rows(self.seeds.numpy("split"))
        return sha256_of(*(np.asarray(part, np.float64) for part in (x, y)))[:12]

    @classmethod
    def feature_names(cls) -> list[str]:
        """Names of the d features; none if they have no names."""
        return []

    def reset(self) -> None:
        """Draws the run's split and seed set again: the same ones."""
        rng = self.seeds.numpy("split")
        checked = self._checked(*self.rows(rng))
        x, y = (part if part.dtype.kind == "f" else part.astype(np.float64) for part in checked)
        train, test = train_and_test(len(x))

        self._x_scaler, self._y_scaler = RangeScaler(x[train]), RangeScaler(y[train])
        x = self._x_scaler.transform(x).astype(np.float32)
        y = self._y_scaler.transform(y).astype(np.float32)

        val, train = np.split(rng.permutation(train), [int(VALIDATION_SHARE * len(train))])
        self.rows_train, self.rows_val, self.rows_test = train, val, test
        self.x_train, self.y_train = x[train], y[train]
        self.x_val, self.y_val = x[val], y[val]
        self.x_test, self.y_test = x[test], y[test]
        if len(train) <= self.seed_set:
            raise UserError(
                f"{type(self).__name__}: a seed set of {self.seed_set} leaves nothing of the "
                f"{len(train)} points of the train part"
            )
        self.seed_indices = rng.choice(len(train), self.seed_set, replace=False)

    def to_raw(self, x: np.ndarray) -> np.ndarray:
        """Scaled features [n, d] in their own units, float64."""
        return self._x_scaler.inverse_transform(np.asarray(x, dtype=np.float64))

    def y_to_raw(self, y: np.ndarray) -> np.ndarray:
        """Scaled targets, of any shape, in the target's own units, float64."""
        return self._y_scaler.inverse_transform(np.asarray(y, dtype=np.float64))

    @property
    def y_scale(self) -> float:
        """The target's range on the train part, in its own units (1 if it is constant).

        A standard deviation of the scaled target times this is one in the target's units.
        """
        return float(1 / self._y_scaler.scale)

    def _checked(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What `rows` gave, if it can be trained on."""
        where = f"{type(self).__name__}.rows"
        arrays = isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
        if not arrays or x.ndim != 2 or not x.shape[1] or y.shape != x.shape[:1]:
            got = " and ".join(str(getattr(part, "shape", type(part).__name__)) for part in (x, y))
            raise UserError(f"{where}: expected numpy arrays, x [n, d] and y [n], got {got}")
        for array, name in ((x, "x"), (y, "y")):
            if array.dtype.kind not in "biuf":
                raise UserError(f"{where}: {name} must hold numbers, its type is {array.dtype}")
        if int(VALIDATION_SHARE * int(TRAIN_SHARE * len(x))) == 0:
            raise UserError(f"{where}: {len(x)} rows are too few: none is left for validation")
        bad = np.count_nonzero(~np.isfinite(np.column_stack([x, y])), axis=0)
        if bad.any():
            column, names = int(np.argmax(bad > 0)), dict(enumerate(self.feature_names()))
            which = f"column {names.get(column, column)} of x" if column < x.shape[1] else "the target"
            count = "1 value" if bad[column] == 1 else f"{bad[column]} values"
            advice = "leave these rows out, or fill them in"
            raise UserError(f"{where}: {which} has {count} NaN or infinite: {advice}")
        return x, y
