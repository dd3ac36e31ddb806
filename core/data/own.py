"""The class of a dataset by what a user types: a registered name, a file, or a table of OpenML.

--dataset path/to/houses.csv --target price
--dataset openml:46934
"""

import os
from functools import cache
from pathlib import Path

from ..dataset import DATASETS, TRAIN_SHARE, VALIDATION_SHARE, Dataset
from ..errors import UserError
from .openml import OpenMLTable
from .tables import Table

_OPENML = "openml:"


def default_sizes(n: int) -> tuple[int, int]:
    """Seed set and budget for n rows: a sixth and a third of the train part, at most 200 and 800."""
    train = int(TRAIN_SHARE * n)
    train -= int(VALIDATION_SHARE * train)
    return min(200, train // 6), min(800, train // 3)


def is_own(name: str) -> bool:
    """Whether `name` is a path or an id of OpenML, not the name of a registered dataset."""
    return bool(set(name) & {"/", os.sep, ".", ":"})


def find_dataset(
    name: str,
    target: str | None = None,
    seed_set: int | None = None,
    data_folder: str | Path = "../datasets",
) -> type[Dataset]:
    """The class of a dataset: a registered one, or one made for a table, which is read.

    Its folder is the name of the file, without `.gz`, or `openml-<id>`.

    Args:
        name: a registered name, the path of a table (`.csv`, `.tsv`, `.parquet`, `.arff`, also `.gz`), or
            `openml:<id>`.
        target: the column to predict, of a table; that of OpenML's metadata if None.
        seed_set: points labelled at the beginning, of a table; `default_sizes` says it if None.
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
        return _openml_class(int(data_id), Path(data_folder).resolve(), target, seed_set)
    try:
        stat = Path(name).stat()
    except OSError as error:
        raise UserError(f"{name}: there is no such file") from error
    # A file that has changed is read again.
    return _file_class(Path(name).absolute(), target, seed_set, stat.st_mtime_ns, stat.st_size)


@cache
def _openml_class(data_id: int, folder: Path, target: str | None, seed_set: int | None) -> type[Dataset]:
    return _make_class(OpenMLTable, f"openml-{data_id}", folder, target, seed_set, data_id=data_id)


@cache
def _file_class(path: Path, target: str | None, seed_set: int | None, *stamp: int) -> type[Dataset]:
    return _make_class(
        Table, path.name.removesuffix(".gz"), path.parent, target, seed_set, files=(path.name,)
    )


def _make_class(
    base: type[Table], name: str, folder: Path, target: str | None, seed_set: int | None, **source: object
) -> type[Dataset]:
    cls = type(name, (base,), {"__module__": __name__, "folder": name, "target": target or "", **source})
    table = cls.load(folder)
    cls.loaded = table
    usual, cls.budget = default_sizes(len(table.y))
    cls.seed_set = usual if seed_set is None else seed_set
    cls.more_settings = {"target": table.target, "seed_set": cls.seed_set, "sha256": table.sha256}
    cls.__doc__ = f"{len(table.y):,} rows, {table.x.shape[1]} features; target: {table.target}."
    return cls
