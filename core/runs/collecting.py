"""The tables of a run, and those that collect the runs of an experiment."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from ..errors import UserError
from ..files import remove_parts, write_file
from ..metrics import PIT_BINS
from .layout import FILES, finished_runs, id_of

__all__ = ["aggregate", "auc", "collect", "histograms", "read_curves", "series"]


def series(index: pd.Index, values: Sequence[float], run_id: int) -> pd.DataFrame:
    """One metric of a run as a table, with empty rows where nothing was measured.

    Args:
        index: when it was measured: points added (named `added`), or epochs (`epoch`), ascending.
        values: what was measured then.
    """
    return _every_row(pd.DataFrame({f"run_{run_id}": values}, index=index, dtype="float64"))


def histograms(index: pd.Index, counts: Sequence[Sequence[int]]) -> pd.DataFrame:
    """The PIT histograms of a run as a table: a column for each bin, named by where it begins.

    Args:
        index: as of `series`.
        counts: rows in each of the 20 bins, for each measurement.
    """
    bins = [f"{k / PIT_BINS:.2f}" for k in range(PIT_BINS)]
    return _every_row(pd.DataFrame(counts, index=index, columns=bins, dtype="Int64"))


def _every_row(table: pd.DataFrame) -> pd.DataFrame:
    return table.reindex(pd.RangeIndex(table.index[0], table.index[-1] + 1, name=table.index.name))


def read_curves(path: Path) -> pd.DataFrame:
    """A table as `series`, `histograms` or `aggregate` wrote it.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        # By way of texts: pandas before 3.0 reads most floats an ulp off.
        table = pd.read_csv(path, dtype=str, index_col=0).astype("float64")
        if table.empty:
            raise ValueError("no rows")
        table.index = table.index.astype("int64")
        return table
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}): remove its folder and run it again") from error


def aggregate(experiment: Path) -> list[int]:
    """Collects the finished runs of an experiment into its files, one column a run; their ids.

    Safe beside other processes that do the same: it works under a lock, from the runs' own files.
    """
    with FileLock(experiment / ".lock"):
        remove_parts(experiment)
        return collect(experiment)


def collect(experiment: Path) -> list[int]:
    folders = finished_runs(experiment)
    for file in FILES:
        if folders:
            table = pd.concat([read_curves(folder / file) for folder in folders], axis=1)
            write_file(experiment / file, table.to_csv)
        else:
            (experiment / file).unlink(missing_ok=True)
    return [id_of(folder) for folder in folders]


def auc(curves: pd.DataFrame) -> pd.Series:
    """Area under each column's learning curve: the mean of its rows, empty ones skipped."""
    return curves.mean()
