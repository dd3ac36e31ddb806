"""The CSV tables of runs: how they are made, and how they are read."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import UserError
from ..metrics import PIT_BINS
from ..safe_io import one_line, read_bytes

__all__ = ["histograms", "read_curves", "series"]


#: Ids that evaluate.py takes at one time.
_MOST_RUNS = 100_000


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
        content = read_bytes(path)
        if content.partition(b"\n")[0].count(b",") > _MOST_RUNS:
            raise ValueError(f"it has more than {_MOST_RUNS:,} columns")
        # index_col alone would have pandas guess the index's type, and some versions wrap what is too large.
        texts = pd.read_csv(io.BytesIO(content), dtype=str, index_col=False)
        table = texts.set_index(texts.columns[0]).astype("float64")
        if table.empty:
            raise ValueError("no rows")
        table.index = table.index.astype("int64")
        return table
    except (OSError, ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise UserError(
            f"{path} cannot be read ({one_line(error)}): remove its folder and run it again"
        ) from error
