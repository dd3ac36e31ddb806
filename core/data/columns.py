"""What a table's columns are, and features made of them by scikit-learn's ColumnTransformer.

Numbers stay numbers; what is missing gets the median, and the column an indicator. Categories are one-hot,
a missing one among them. Medians and categories are those of the rows that may be looked at; a category that
is not among them is zero in all of its columns.

Shapes: n rows, d features.
"""

import difflib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from ..files import UnusableError, one_line
from .frames import RawFrame

#: A column of texts of which at least this share are numbers has wrong cells, not categories.
_MOSTLY = 0.9
#: A column of texts with more different ones than this share of the rows names rows.
_NAMES = 0.5
#: Most categories of one column.
_CATEGORIES = 1000
#: Texts that are numbers where a column has no others.
_TRUTH = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}


def _kind(cells: pd.Series, declared: bool, rows: np.ndarray) -> str:
    """What a column is by the rows [n] that may be looked at; `declared` ones are categories.

    Returns:
        `numeric`, `categorical`, `constant` (one value in all rows) or `one value a row`: numbers of rows or
        texts that (nearly) each row has one of its own of.

    Raises:
        UnusableError: it has cells that are neither numbers nor categories.
    """
    numeric = not declared and _is_numeric(cells)
    values = numbers(cells) if numeric else _texts(cells)
    if values.iloc[rows].nunique(dropna=False) <= 1:
        return "constant"
    if numeric:
        expect(values.abs() != np.inf, cells, "a finite number, or nothing")
        return "one value a row" if _counts_rows(values) else "numeric"
    count = values.nunique()
    if not declared and count > _NAMES * values.count():
        return "one value a row"
    if count > _CATEGORIES:
        raise UnusableError(f"column {cells.name!r} has {count:,} categories; leave it out, or group them")
    return "categorical"


def row_numbers(raw: RawFrame) -> set[str]:
    """The columns of consecutive integers, each of them once; an UnusableError where cells are wrong."""
    numeric = (name for name in raw.names if name not in raw.nominal and _is_numeric(raw.frame[name]))
    return {name for name in numeric if _counts_rows(numbers(raw.frame[name]))}


def _counts_rows(values: pd.Series) -> bool:
    whole = not values.hasnans and values.is_unique and (values % 1 == 0).all()
    return bool(whole and values.max() - values.min() == len(values) - 1)


def _is_numeric(cells: pd.Series) -> bool:
    """Whether a column holds numbers; an UnusableError where most of its cells do, the others do not."""
    filled = cells.dropna()
    good = numbers(filled).notna()
    if len(good) and good.mean() < _MOSTLY:
        return False
    expect(good, filled, "a number, or nothing")
    return True


def numbers(cells: pd.Series) -> pd.Series:
    """Cells as float64, NaN where one is missing or no number."""
    if pd.api.types.is_numeric_dtype(cells):
        return pd.Series(cells.to_numpy(np.float64, na_value=np.nan), cells.index)
    if cells.isin([*_TRUTH, np.nan]).all():
        return cells.astype(object).map(_TRUTH).astype(np.float64)
    # Older pandas' to_numeric is an ulp off; Python's float, which rounds rightly, also takes 1_000.
    return cells.where(pd.to_numeric(cells, errors="coerce").notna()).astype(np.float64)


def finite(cells: pd.Series) -> np.ndarray:
    """Cells as float64 [n]; an UnusableError where one is missing or no finite number."""
    values = numbers(cells)
    expect(values.abs() < np.inf, cells, "a number")
    return values.to_numpy()


def one_hot(cells: pd.Series, categories: Sequence[str] | Sequence[int]) -> np.ndarray:
    """Cells as float64 [n, number of categories]; an UnusableError where one is none of them."""
    values = _texts(cells) if isinstance(categories[0], str) else numbers(cells)
    hot = np.stack([values == category for category in categories], axis=1).astype(np.float64)
    expect(hot.sum(axis=1) == 1, cells, f"one of {one_line(', '.join(map(str, categories)))}")
    return hot


def _texts(cells: pd.Series) -> pd.Series:
    texts = cells.astype("string").str.strip().astype(object)
    return texts.where(texts.notna(), np.nan)


def expect(good: pd.Series | np.ndarray, cells: pd.Series, wanted: str) -> None:
    """Raises an UnusableError that counts the cells which are not good, and names the first."""
    bad = cells[~good]
    if len(bad):
        count = f"{len(bad):,} bad cells" if len(bad) > 1 else "a bad cell"
        found = "nothing" if pd.isna(bad.iloc[0]) else one_line(repr(str(bad.iloc[0])), 60)
        where = f"in data row {bad.index[0] + 1}"
        raise UnusableError(f"{count} in column {cells.name!r}: expected {wanted}, found {found} {where}")


def target_values(raw: RawFrame, target: str) -> np.ndarray:
    """The target [n], float64; an UnusableError where it is not there, not all finite, or constant."""
    if target not in raw.frame:
        near = difflib.get_close_matches(target, raw.names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {one_line(', '.join(raw.names))}"
        raise UnusableError(f"there is no column {target!r}; {hint}")
    values = finite(raw.frame[target])
    if np.ptp(values) == 0:
        raise UnusableError(f"the target {target!r} is {values[0]:g} in all rows: nothing to learn")
    return values


class Features:
    """Makes features of a table's columns, as learned from the rows [n] that may be looked at.

    Args:
        unused: columns that are known to number the rows.

    Raises:
        UnusableError: no feature is left, or a column has cells that are neither numbers nor categories.
    """

    def __init__(self, raw: RawFrame, target: str, rows: np.ndarray, unused: Iterable[str] = ()) -> None:
        kinds = dict.fromkeys(unused, "one value a row")
        for name in raw.names:
            if name != target:
                kinds[name] = _kind(raw.frame[name], name in raw.nominal, rows)
        columns = {
            kind: [name for name in kinds if kinds[name] == kind] for kind in sorted(set(kinds.values()))
        }
        self._numeric, self._categorical = columns.pop("numeric", []), columns.pop("categorical", [])
        parts = [f"{', '.join(names)} ({why})" for why, names in columns.items()]
        #: Which columns are not used, in words; empty if all are.
        self.note = f"not used as features: {'; '.join(parts)}" if parts else ""
        if not self._numeric and not self._categorical:
            raise UnusableError(f"no feature is left: {self.note or 'it has no column but the target'}")
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        # A column without any number in these rows keeps its place, as zeros, and its indicator.
        median = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        self._transformer = ColumnTransformer(
            [("numeric", median, self._numeric), ("categorical", one_hot, self._categorical)],
            verbose_feature_names_out=False,
        )
        self._transformer.fit(self._values(raw.frame.iloc[rows]))

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        """Features [n, d], float64, all finite, of rows that have these columns."""
        return np.asarray(self._transformer.transform(self._values(frame)), np.float64)

    @property
    def names(self) -> list[str]:
        """Of the d features; `<column>_<category>` if it is one-hot."""
        return [str(name) for name in self._transformer.get_feature_names_out()]

    def _values(self, frame: pd.DataFrame) -> pd.DataFrame:
        values = {name: numbers(frame[name]) for name in self._numeric}
        texts = {name: _texts(frame[name]) for name in self._categorical}
        return pd.DataFrame(values | texts, index=frame.index)
