"""Datasets that are read from a published table: found or fetched, checked, cached.

Shapes: n rows, d features.
"""

from __future__ import annotations

import sys
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from ..dataset import TRAIN_SHARE, VALIDATION_SHARE, Dataset
from ..errors import UserError
from ..files import UnusableError, beside, commit, one_line, unpacked_size, write_file
from .downloads import DownloadError, fetch, is_writable, writing_alone

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Categories", "LoadedTable", "Table"]

PASSED = "passed"
#: How far, relatively, the mean of the target may be from the published table's.
MEAN_TOLERANCE = 1e-5
_SKIP_HINT = " (--skip_data_check 1 goes on with it)"


@dataclass(frozen=True)
class LoadedTable:
    """The arrays of a table, read-only: all runs of a process share them.

    Attributes:
        x: features [n, d], float64.
        y: target [n], float64.
        source: the file they were read from.
        data_check: "passed", or "skipped: " and what differs from the published table.
    """

    x: np.ndarray
    y: np.ndarray
    source: Path
    data_check: str

    def __post_init__(self) -> None:
        self.x.setflags(write=False)
        self.y.setflags(write=False)


#: One-hot columns and their categories.
Categories: TypeAlias = Mapping[str, Sequence[str] | Sequence[int]]

# Restarts build a dataset each; the file is read once a process.
_loaded: dict[tuple[type[Table], Path, bool], LoadedTable] = {}


class Table(Dataset, ABC):
    """A dataset read from a published table, which a subclass declares by its class attributes.

    In the data folder the following are looked for, in this order: the cache `<name>.npz`; each of
    `files`, also with `.gz`; else it is the file of an installed package, if that is there; else the table
    is downloaded from the first of `urls` that gives it, if it declares any.
    The first raw file found must pass the check: its columns, rows and the mean of its target, and
    a finite number (or a known category) in every cell that is used. What has passed is cached where the
    folder can be written to. With `skip_data_check`, other rows and another mean are told on stderr and
    in `data_check`, and such a table is never cached.

    Features are the numeric columns in the order of `columns`, then the one-hot columns of
    `categories`. A subclass looks like `datasets/diamonds.py`.

    Raises:
        UserError: (from the constructor) no file and no download, or the table is not the published one.
    """

    #: Name of the cache file, and in messages: the registered name.
    name: ClassVar[str]
    #: Raw files that may lie in the data folder: the names that say most first.
    files: ClassVar[tuple[str, ...]]
    #: Addresses of the raw file, the first to be tried first; none: only the user has it.
    urls: ClassVar[tuple[str, ...]] = ()
    #: The name under which a download is stored; one of `files`.
    download: ClassVar[str] = ""
    #: A package and the file in it that is the table, too: for who has no network.
    packaged: ClassVar[tuple[str, str] | None] = None
    #: SHA-256 of raw files as they are unpacked, where it is known: of an archive's member, since no
    #: archive's own is, nor that of OpenML's ARFF files. Only a download must have it: a file that lies
    #: there may have other line ends, and what it holds is checked in any case.
    sha256: ClassVar[Mapping[str, str]] = {}
    #: The file inside a zip archive, and the matrix inside a MATLAB file, where there is such a file.
    member: ClassVar[str] = ""
    variable: ClassVar[str] = ""
    #: All columns of the raw table.
    columns: ClassVar[tuple[str, ...]]
    target: ClassVar[str]
    #: Columns that are not used.
    dropped: ClassVar[tuple[str, ...]] = ()
    #: One-hot columns and their categories, in the order of the features.
    categories: ClassVar[Categories] = {}
    #: Rows of the whole table and the mean of its target, to know it by.
    n_rows: ClassVar[int]
    target_mean: ClassVar[float]

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """See `Dataset.rows`; the table itself: nothing is drawn."""
        table = self.load(self.data_folder, skip_data_check=self.skip_data_check)
        self.data_check = table.data_check
        return table.x, table.y

    @classmethod
    def load(cls, data_folder: str | Path, *, skip_data_check: bool = False) -> LoadedTable:
        """The table from the cache, a raw file or its address; once a process and folder.

        Raises:
            UserError: see the class.
        """
        folder = Path(data_folder).resolve()
        # Whether the check was skipped is part of the key: a run with the check on must not
        # get what a run without it has read.
        key = cls, folder, skip_data_check
        if key not in _loaded:
            try:
                table = (
                    cls._from_cache(folder)
                    or cls._from_folder(folder, skip_data_check)
                    or cls._from_package(skip_data_check)
                    or cls._from_network(folder, skip_data_check)
                )
            except OSError as error:
                raise UserError(f"{cls.name}: {folder} cannot be used: {one_line(error)}") from error
            if table.data_check != PASSED:
                _warn(f"{cls.name}: {table.source}: check {table.data_check}; results are not comparable")
            _loaded[key] = table
        return _loaded[key]

    @classmethod
    def feature_names(cls) -> list[str]:
        """Names of the d features; a one-hot column is called `<column>=<category>`."""
        one_hot = [f"{column}={value}" for column, values in cls.categories.items() for value in values]
        return [*cls._numeric_columns(), *one_hot]

    @classmethod
    def _numeric_columns(cls) -> list[str]:
        others = {cls.target, *cls.dropped, *cls.categories}
        return [column for column in cls.columns if column not in others]

    # --- sources ---------------------------------------------------------------------------

    @classmethod
    def _from_cache(cls, folder: Path) -> LoadedTable | None:
        path = folder / f"{cls.name}.npz"
        if not path.is_file():
            return None
        try:
            # More than the table has is none of it: it may be packed to nearly nothing.
            if unpacked_size(path) > 2**20 + 9 * cls.n_rows * (len(cls.feature_names()) + 1):
                raise UnusableError("it unpacks to more than the table")
            with np.load(path, allow_pickle=False) as arrays:
                x, y, names = arrays["x"], arrays["y"], arrays["features"].tolist()
            problem = cls._cache_problem(x, y, names)
        # np.load raises nearly anything on damaged bytes.
        except Exception as error:
            problem = f"{type(error).__name__}: {one_line(error)}"
        if problem:
            _warn(f"{path} is damaged or of another version ({problem}); it is made anew from the raw table")
            return None
        return LoadedTable(x, y, path, PASSED)

    @classmethod
    def _cache_problem(cls, x: np.ndarray, y: np.ndarray, names: list[str]) -> str:
        if names != cls.feature_names():
            return "other features"
        if x.shape != (cls.n_rows, len(names)) or y.shape != (cls.n_rows,):
            return f"shapes {x.shape} and {y.shape}"
        if x.dtype != np.float64 or y.dtype != np.float64:
            return f"types {x.dtype} and {y.dtype}"
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return "values that are not finite"
        return cls._mean_difference(y)

    @classmethod
    def _store(cls, folder: Path, table: LoadedTable) -> None:
        """Caches a table that has passed; from a read-only folder it is read anew each time."""
        if not is_writable(folder):
            return
        path, names = folder / f"{cls.name}.npz", np.array(cls.feature_names())
        try:
            write_file(path, lambda part: np.savez(part, x=table.x, y=table.y, features=names))
        except UserError as error:
            _warn(f"{error}; the table is not cached")

    @classmethod
    def _from_folder(cls, folder: Path, skip_data_check: bool) -> LoadedTable | None:
        for path in cls._raw_files(folder):
            if path.is_file():
                try:
                    table = cls._read(path, skip_data_check)
                except UnusableError as error:
                    raise UserError(f"{cls.name}: {path}: {error}{cls._another_file(folder)}") from error
                if table.data_check == PASSED:
                    cls._store(folder, table)
                return table
        return None

    @classmethod
    def _from_package(cls, skip_data_check: bool) -> LoadedTable | None:
        """The file of an installed package, which is not imported; it needs no cache."""
        package, file = cls.packaged or ("", "")
        spec = find_spec(package) if package else None
        path = Path(spec.origin).parent / file if spec and spec.origin else None
        if path is None or not path.is_file():
            return None
        try:
            return cls._read(path, skip_data_check)
        except UnusableError as error:
            raise UserError(f"{cls.name}: {path}: {error}; put the table into the data folder") from error

    @classmethod
    def _another_file(cls, folder: Path) -> str:
        """What to do about a raw file that cannot be used; nothing where it is the user's only one."""
        if not cls.urls:
            return ""
        by_hand = f"by hand as {folder / cls.download} or by download_all_datasets.py"
        return f"; remove it and fetch {cls.urls[0]}, {by_hand}"

    @classmethod
    def _raw_files(cls, folder: Path) -> Iterator[Path]:
        for name in cls.files:
            yield folder / name
            yield folder / f"{name}.gz"

    @classmethod
    def _from_network(cls, folder: Path, skip_data_check: bool) -> LoadedTable:
        absent = f"{cls.name}: none of {', '.join(cls.files)} is in {folder}"
        if not cls.urls:
            raise UserError(absent, "data_folder")
        target = folder / cls.download
        by_hand = f"fetch {cls.urls[0]} by hand and save it as {target}"
        if not is_writable(folder):
            raise UserError(f"{absent}, and nothing can be written there; {by_hand}")
        with writing_alone(target):
            # Another process may have fetched it while this one waited.
            table = cls._from_folder(folder, skip_data_check)
            if table is not None:
                return table
            failures = []
            for url in cls.urls:
                try:
                    return cls._from_address(url, target, skip_data_check)
                except (DownloadError, UnusableError) as error:
                    failures.append(f"{url}: {error}")
        raise UserError(f"{cls.name}: cannot be downloaded ({'; '.join(failures)}); {by_hand}")

    @classmethod
    def _from_address(cls, url: str, target: Path, skip_data_check: bool) -> LoadedTable:
        """Fetches and reads the table; a file that fails the check never bears its final name."""
        with beside(target) as part:
            fetch(url, part)
            unpacked = cls.member if cls.download.endswith(".zip") else cls.download
            table = cls._read(part, skip_data_check, cls.sha256.get(unpacked))
            table = LoadedTable(table.x, table.y, target, table.data_check)
            if table.data_check == PASSED:
                commit({part: target})
                cls._store(target.parent, table)
        return table

    # --- the check -------------------------------------------------------------------------

    @classmethod
    def _read(cls, path: Path, skip_data_check: bool, sha256: str | None = None) -> LoadedTable:
        """Reads and checks a raw file; its hash too, if one is given, whatever `skip_data_check` says.

        Raises:
            UnusableError: nothing can be trained on it, or it differs and the check is on.
        """
        from .rawfiles import read_raw

        frame = read_raw(path, cls.columns, member=cls.member, variable=cls.variable, sha256=sha256)
        missing = [column for column in cls.columns if column not in frame]
        if missing:
            names = one_line(", ".join(missing))
            raise UnusableError(f"{len(missing)} of {len(cls.columns)} columns are missing: {names}")
        if not cls._fills_seed_set(len(frame)):
            raise UnusableError(f"{len(frame)} rows instead of {cls.n_rows}")
        x, y = cls._features(frame), _numbers(frame, cls.target)
        differences = "; ".join(filter(None, [cls._shape_difference(frame), cls._mean_difference(y)]))
        if differences and not skip_data_check:
            raise UnusableError(differences + _SKIP_HINT)
        return LoadedTable(x, y, path, f"skipped: {differences}" if differences else PASSED)

    @classmethod
    def _fills_seed_set(cls, n: int) -> bool:
        train = int(TRAIN_SHARE * n)
        validation = int(VALIDATION_SHARE * train)
        return train - validation > cls.seed_set and validation > 0

    @classmethod
    def _shape_difference(cls, frame: pd.DataFrame) -> str:
        differences = []
        if len(frame.columns) != len(cls.columns):
            differences.append(f"{len(frame.columns)} columns instead of {len(cls.columns)}")
        if len(frame) != cls.n_rows:
            differences.append(f"{len(frame)} rows instead of {cls.n_rows}")
        return "; ".join(differences)

    @classmethod
    def _mean_difference(cls, y: np.ndarray) -> str:
        mean = float(y.mean())
        if abs(mean - cls.target_mean) <= MEAN_TOLERANCE * abs(cls.target_mean):
            return ""
        return f"target mean {mean:.8g} instead of {cls.target_mean:.8g}"

    @classmethod
    def _features(cls, frame: pd.DataFrame) -> np.ndarray:
        """Features [n, d] of the raw table."""
        numeric = [_numbers(frame, column)[:, None] for column in cls._numeric_columns()]
        one_hot = [_one_hot(frame, column, values) for column, values in cls.categories.items()]
        return np.hstack([*numeric, *one_hot])


def _numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column as float64 [n].

    Raises:
        UnusableError: a cell is empty or not a finite number.
    """
    import pandas as pd

    try:
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)
    except OverflowError as error:
        raise UnusableError(f"column {column!r} holds an integer that no float is as large as") from error
    _expect(np.isfinite(values), frame, column, "a number")
    return values


def _one_hot(frame: pd.DataFrame, column: str, categories: Sequence[str] | Sequence[int]) -> np.ndarray:
    """A column of categories as float64 [n, number of categories].

    Raises:
        UnusableError: a cell is empty or holds another value.
    """
    if isinstance(categories[0], str):
        values = frame[column].astype("string").str.strip().fillna("").to_numpy(object)
    else:
        values = _numbers(frame, column)
    hot = np.stack([values == category for category in categories], axis=1).astype(np.float64)
    _expect(hot.sum(axis=1) == 1, frame, column, f"one of {one_line(', '.join(map(str, categories)))}")
    return hot


def _expect(good: np.ndarray, frame: pd.DataFrame, column: str, wanted: str) -> None:
    if good.all():
        return
    import pandas as pd

    row = int(np.argmin(good))
    cell = frame[column].iloc[row]
    found = "nothing" if pd.isna(cell) else repr(str(cell))
    raise UnusableError(
        f"{np.count_nonzero(~good)} bad cells in column {column!r}: "
        f"expected {wanted}, found {one_line(found)} in data row {row + 1}"
    )


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
