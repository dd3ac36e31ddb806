"""Tables of one's own, and of OpenML: datasets without a file in `datasets/`, or with one of a few lines.

    --dataset path/to/houses.csv --target price
    --dataset openml:46934

Shapes: n rows, d features.
"""

from __future__ import annotations

import os
import sys
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..dataset import DATASETS, TRAIN_SHARE, VALIDATION_SHARE, Dataset, train_and_test
from ..errors import UserError
from ..files import MOST_CELLS, UnusableError, one_line

if TYPE_CHECKING:
    from .frames import RawFrame

__all__ = [
    "LEAST_ROWS",
    "OpenMLTable",
    "OwnTable",
    "Prepared",
    "default_sizes",
    "find_dataset",
    "is_own",
    "load_file",
    "load_openml_table",
]

#: With fewer rows a fifth of them says nothing of a model.
LEAST_ROWS = 50
#: Relative difference of the target's mean from the published one's that is rounding.
_MEAN_TOLERANCE = 1e-5
_OPENML = "openml:"


@dataclass(frozen=True)
class Prepared:
    """A table that can be trained on.

    Attributes:
        x, y: features [n, d] and target [n], float64, unscaled, read-only.
        names: of the features.
        target: the column.
        sha256: of the file, unpacked.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    target: str
    sha256: str


def default_sizes(n: int) -> tuple[int, int]:
    """Seed set and budget for n rows: a sixth and a third of the train part, at most 200 and 800."""
    train = int(TRAIN_SHARE * n)
    train -= int(VALIDATION_SHARE * train)
    return min(200, train // 6), min(800, train // 3)


class OwnTable(Dataset):
    """A table of a file or of OpenML; `find_dataset` makes the subclasses, which have these attributes."""

    prepared: ClassVar[Prepared]

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.prepared.x, self.prepared.y

    @classmethod
    def feature_names(cls) -> list[str]:
        return list(cls.prepared.names)


class OpenMLTable(Dataset, ABC):
    """A dataset with a name that is a table of OpenML, as in `datasets/airfoil.py`.

    It is fetched when it is first used. One that nobody has held against the published table yet has neither
    `n_rows` nor `target_mean`: `--list` calls it unverified.

    Raises:
        UserError: (from the constructor) it is not to be had, or is not the published one.
    """

    #: OpenML's id of the table.
    data_id: ClassVar[int]
    #: Rows of the whole table and the mean of its target, to know it by.
    n_rows: ClassVar[int | None] = None
    target_mean: ClassVar[float | None] = None
    verified = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.verified = cls.target_mean is not None

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        prepared = load_openml_table(self.data_id, self.data_folder, None)
        self.data_check = self._check(prepared)
        return prepared.x, prepared.y

    def _check(self, prepared: Prepared) -> str:
        n, mean = len(prepared.y), float(prepared.y.mean())
        found = f"{n} rows, target {prepared.target}, its mean {mean:.8g}"
        if self.n_rows is None or self.target_mean is None:
            return f"unverified: {found}"
        if n == self.n_rows and abs(mean - self.target_mean) <= _MEAN_TOLERANCE * abs(self.target_mean):
            return "passed"
        if not self.skip_data_check:
            wanted = f"{self.n_rows} rows, mean {self.target_mean:.8g}"
            raise UserError(f"openml:{self.data_id}: {found} instead of {wanted}", "skip_data_check")
        return f"skipped: {found}"


def is_own(name: str) -> bool:
    """Whether `name` is a path or an id of OpenML, not the name of a registered dataset."""
    return bool(set(name) & {"/", os.sep, ".", ":"})


def find_dataset(
    name: str,
    target: str | None = None,
    seed_set: int | None = None,
    data_folder: str | Path = "../datasets",
) -> type[Dataset]:
    """The class of a dataset: a registered one, or one made for a table.

    Its folder is the name of the file, without `.gz`, or `openml-<id>`.

    Args:
        name: a registered name, the path of a table (`.csv`, `.tsv`, `.parquet`, `.arff`, also `.gz`), or
            `openml:<id>`.
        target: the column to predict, of a table; that of OpenML's metadata if None.
        seed_set: points labelled at the beginning, of a table; as of `default_sizes` if None.
        data_folder: where tables of OpenML lie, or are downloaded to.

    Raises:
        UserError: there is no such dataset, or the table cannot be trained on.
    """
    if not is_own(name):
        found = DATASETS[name]
        if target is not None or seed_set is not None:
            raise UserError(f"dataset '{name}' has a target and a seed set of its own; these are for tables")
        return found
    if name.startswith(_OPENML):
        data_id = name.removeprefix(_OPENML)
        if not data_id.isascii() or not data_id.isdigit() or len(data_id) > 18:
            raise UserError(f"'{name}': a number is wanted behind openml:, as in openml:46934")
        folder = f"openml-{int(data_id)}"
        prepared = load_openml_table(int(data_id), Path(data_folder), target)
    else:
        path = Path(name)
        folder = path.name.removesuffix(".gz")
        prepared = load_file(path, target)
    return _make_class(folder, prepared, seed_set)


def _make_class(folder: str, prepared: Prepared, seed_set: int | None) -> type[Dataset]:
    n = len(prepared.y)
    usual, budget = default_sizes(n)
    settings = {
        "target": prepared.target,
        "seed_set": usual if seed_set is None else seed_set,
        "sha256": prepared.sha256,
    }
    doc = f"{n:,} rows, {prepared.x.shape[1]} features; target: {prepared.target}."
    attributes = {
        "__doc__": doc,
        "__module__": __name__,
        "folder": folder,
        "seed_set": settings["seed_set"],
        "budget": budget,
        "prepared": prepared,
        "more_settings": settings,
    }
    return type(folder, (OwnTable,), attributes)


def load_file(path: Path, target: str | None) -> Prepared:
    """A table in a file as features and target; read once a process, again where the file has changed.

    Raises:
        UserError: it cannot be read, or cannot be trained on.
    """
    from .frames import read_frame

    def make() -> Prepared:
        raw = read_frame(path)
        if target is None:
            columns = one_line(", ".join(raw.names))
            raise UserError(f"{path}: which column is the target? It has {columns}", "target")
        return _prepare(str(path), raw, target)

    return _once((*_stamp(path), target), make)


def load_openml_table(data_id: int, folder: Path, target: str | None) -> Prepared:
    """A table of OpenML as features and target; once a process and folder.

    Args:
        target: None for that of the metadata.

    Raises:
        UserError: it is not to be had, or cannot be trained on.
    """
    from .openml import load_openml

    where = f"openml:{data_id}"

    def make() -> Prepared:
        table = load_openml(data_id, folder)
        if not (target or table.target):
            raise UserError(f"{where}: its metadata name no target", "target")
        return _prepare(where, table.raw, target or table.target)

    return _once((where, folder.resolve(), target), make)


# Every run makes a dataset.
_made: dict[tuple[object, ...], Prepared] = {}


def _once(key: tuple[object, ...], make: Callable[[], Prepared]) -> Prepared:
    if key not in _made:
        _made[key] = make()
    return _made[key]


def _stamp(path: Path) -> tuple[object, ...]:
    """A file and its state."""
    try:
        stat = path.stat()
    except OSError:
        return (path.absolute(),)
    return path.resolve(), stat.st_mtime_ns, stat.st_size


def _prepare(where: str, raw: RawFrame, target: str) -> Prepared:
    """Features as the train part of all runs has them; which columns are not used is said on stderr."""
    from .columns import Features, sort_columns, target_values

    try:
        y = target_values(raw, target)
        if len(y) < LEAST_ROWS:
            raise UnusableError(f"{len(y)} rows are too few: at least {LEAST_ROWS} are needed")
        train, _ = train_and_test(len(y))
        columns = sort_columns(raw, target, train)
        features = Features(raw, columns, train)
        if len(features.names) * len(y) > MOST_CELLS:
            raise UnusableError(f"its {len(features.names):,} features of {len(y):,} rows are too many")
    except (UnusableError, OverflowError) as error:  # an integer that no float is as large as
        raise UserError(f"{where}: {error}") from error
    if columns.note:
        print(f"note: {where}: {columns.note}", file=sys.stderr)
    x = features(raw.frame)
    x.setflags(write=False)
    y.setflags(write=False)
    return Prepared(x, y, tuple(features.names), target, raw.sha256)
