"""The class of a dataset by what a user types: a registered name, a file, or a table of OpenML.

--dataset path/to/houses.csv --target price
--dataset openml:46934
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..dataset import DATASETS, TRAIN_SHARE, VALIDATION_SHARE, Dataset
from ..errors import UserError
from .openml import OpenMLTable
from .tables import Table


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
    decisions: Mapping[str, Sequence[str]] | None = None,
) -> type[Dataset]:
    """The class of a dataset: a registered one, or one made for a table, which is read.

    Args:
        name: a registered name, the path of a table (`.csv`, `.tsv`, `.parquet`, `.arff`, also `.gz`), or
            `openml:<id>`. The result folder of a table is the file's name without `.gz`, or `openml-<id>`.
        target: the column to predict, of a table; that of OpenML's metadata if None.
        seed_set: points labelled at the beginning, of a table; a sixth of the train part if None.
        data_folder: where tables of OpenML lie, or are downloaded to.
        decisions: of a table: columns by `numeric`, `category`, `ignore`, `keep`, the options of that name.

    Raises:
        UserError: there is no such dataset, or the table cannot be trained on.
    """
    if not is_own(name):
        found = DATASETS[name]
        if target is not None or seed_set is not None or any((decisions or {}).values()):
            raise UserError(
                f"dataset '{name}' has a target, a seed set and columns of its own; these are for tables"
            )
        return found
    decided = tuple((option, tuple(names)) for option, names in sorted((decisions or {}).items()) if names)
    if name.startswith("openml:"):
        data_id = name.removeprefix("openml:")
        if not data_id.isascii() or not data_id.isdigit() or len(data_id) > 18:
            raise UserError(f"'{name}': a number is wanted behind openml:, as in openml:46934")
        return _table_class(int(data_id), Path(data_folder).resolve(), target, seed_set, decided)
    try:
        stat = Path(name).stat()
    except OSError as error:
        raise UserError(f"{name}: there is no such file") from error
    path = Path(name).absolute()
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name}: its name is no text here: rename it, or set PYTHONUTF8=1") from error
    # A file that has changed is read again.
    return _table_class(path.name, path.parent, target, seed_set, decided, stat.st_mtime_ns, stat.st_size)


@cache
def _table_class(
    source: int | str,
    folder: Path,
    target: str | None,
    seed_set: int | None,
    decided: tuple[tuple[str, tuple[str, ...]], ...],
    *stamp: int,
) -> type[Dataset]:
    """A class for the table of that id of OpenML, or of that file in `folder`; the table is read."""
    attributes: dict[str, Any] = {"__module__": __name__, "target": target or "", "decisions": dict(decided)}
    cls: Any
    if isinstance(source, int):
        cls = type(f"openml-{source}", (OpenMLTable,), attributes | {"data_id": source})
    else:
        cls = type(source.removesuffix(".gz"), (Table,), attributes | {"files": (source,)})
    cls.folder, cls.loaded = cls.__name__, cls.load(folder)
    table = cls.loaded
    usual, cls.budget = default_sizes(len(table.y))
    cls.seed_set = usual if seed_set is None else seed_set
    cls.more_settings = {
        "target": table.target,
        "seed_set": cls.seed_set,
        "decisions": cls.decisions,
        "sha256": table.sha256,
    }
    cls.__doc__ = f"{len(table.y):,} rows, {table.x.shape[1]} features; target: {table.target}."
    return cls
