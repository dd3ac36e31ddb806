"""Columns of any kind as features, by scikit-learn's ColumnTransformer.

Numbers stay numbers; what is missing gets the median, and the column an indicator. Categories are one-hot,
a missing one among them. Medians and categories are those of the rows that may be looked at; a category that
is not among them is zero in all of its columns.

Shapes: n rows, d features.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from .frames import RawFrame
from .rawfiles import UnusableError, one_line

__all__ = ["Columns", "Features", "row_numbers", "sort_columns", "target_values"]

#: A column of texts of which at least this share are numbers has wrong cells, not categories.
_MOSTLY = 0.9
#: A column of texts with more different ones than this share of the rows names rows.
_NAMES = 0.5
#: Most categories of one column.
_CATEGORIES = 1000


@dataclass(frozen=True)
class Columns:
    """What becomes of a table's columns, by their names in its order.

    Attributes:
        numeric, categorical: the features.
        constant: not used: one value in all rows.
        ids: not used: numbers of rows, or texts that (nearly) each row has one of its own of.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    constant: tuple[str, ...]
    ids: tuple[str, ...]

    @property
    def note(self) -> str:
        """Which columns are not used, in words; empty if all are."""
        kinds = (("constant", self.constant), ("one value a row", self.ids))
        parts = [f"{', '.join(names)} ({why})" for why, names in kinds if names]
        return f"not used as features: {'; '.join(parts)}" if parts else ""


def sort_columns(raw: RawFrame, target: str, rows: np.ndarray) -> Columns:
    """Which columns become which features.

    Args:
        rows: the rows [n] that may be looked at.

    Raises:
        UnusableError: no feature is left, or a column has cells that are neither.
    """
    numeric: list[str] = []
    categorical: list[str] = []
    constant: list[str] = []
    ids: list[str] = []
    seen = raw.frame.iloc[rows]
    for name in (name for name in raw.names if name != target):
        column, looked_at = raw.frame[name], seen[name]
        if looked_at.nunique(dropna=False) <= 1:
            constant.append(name)
        elif name in raw.nominal or not _is_numeric(column, name):
            (ids if _names_rows(column, name in raw.nominal) else categorical).append(name)
        else:
            _check_finite(column, name)
            (ids if _counts_rows(column) else numeric).append(name)
    for name in categorical:
        if (count := raw.frame[name].nunique()) > _CATEGORIES:
            raise UnusableError(f"column {name!r} has {count:,} categories; leave it out, or group them")
    columns = Columns(*map(tuple, (numeric, categorical, constant, ids)))
    if not numeric and not categorical:
        found = columns.note or f"it has no column but the target {target!r}"
        raise UnusableError(f"no feature is left: {found}")
    return columns


def row_numbers(raw: RawFrame) -> set[str]:
    """The columns that hold consecutive integers, each of them once.

    Raises:
        UnusableError: a column has cells that are wrong.
    """
    numbers = (name for name in raw.names if name not in raw.nominal and _is_numeric(raw.frame[name], name))
    return {name for name in numbers if raw.frame[name].nunique() > 1 and _counts_rows(raw.frame[name])}


def _is_numeric(column: pd.Series, name: str) -> bool:
    """Whether a column holds numbers, as texts or otherwise.

    Raises:
        UnusableError: most of its cells do, the others do not.
    """
    if pd.api.types.is_numeric_dtype(column):
        return True
    filled = column.dropna()
    good = pd.to_numeric(filled, errors="coerce").notna()
    if good.all():
        return True
    if good.mean() >= _MOSTLY:
        raise UnusableError(f"column {name!r}: {_bad_cells(filled[~good], 'a number, or nothing,')}")
    return False


def _bad_cells(bad: pd.Series, wanted: str) -> str:
    """Of the cells that are wrong, with the numbers of the rows as index, from 0."""
    count = f"{len(bad)} cells are" if len(bad) > 1 else "a cell is"
    found = f"found {one_line(repr(str(bad.iloc[0])), 60)} in data row {bad.index[0] + 1}"
    return f"{count} wrong: {wanted} is expected, {found}"


def _check_finite(column: pd.Series, name: str) -> None:
    values = pd.to_numeric(column)
    bad = values[np.isinf(values.to_numpy(np.float64, na_value=np.nan))]
    if len(bad):
        raise UnusableError(f"column {name!r}: {_bad_cells(bad, 'a finite number, or nothing,')}")


def _counts_rows(column: pd.Series) -> bool:
    """Whether a column holds consecutive integers, each of them once."""
    values = pd.to_numeric(column)
    if values.hasnans or not values.is_unique or pd.api.types.is_bool_dtype(values):
        return False
    return bool((values % 1 == 0).all() and values.max() - values.min() == len(values) - 1)


def _names_rows(column: pd.Series, declared: bool) -> bool:
    return not declared and column.nunique() > _NAMES * column.count()


def target_values(raw: RawFrame, target: str) -> np.ndarray:
    """The target [n], float64, finite and not constant.

    Raises:
        UnusableError: it is not.
    """
    if target not in raw.frame:
        near = difflib.get_close_matches(target, raw.names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {one_line(', '.join(raw.names))}"
        raise UnusableError(f"there is no column {target!r}; {hint}")
    column = raw.frame[target]
    if missing := int(column.isna().sum()):
        verb = "rows have" if missing > 1 else "row has"
        raise UnusableError(
            f"{missing} of {len(column)} {verb} no target {target!r}: fill it in, or leave them out"
        )
    values = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = column[~np.isfinite(values.to_numpy())]
    if len(bad):
        raise UnusableError(f"the target {target!r} must hold numbers: {_bad_cells(bad, 'one')}")
    if values.nunique() == 1:
        raise UnusableError(f"the target {target!r} is {values.iloc[0]:g} in all rows: nothing to learn")
    return values.to_numpy()


class Features:
    """Makes features of a table, as learned from some of its rows.

    Args:
        raw: the table.
        columns: as of `sort_columns`.
        rows: the rows [n] that may be looked at.
    """

    def __init__(self, raw: RawFrame, columns: Columns, rows: np.ndarray) -> None:
        self.columns = columns
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        # A column without any number in these rows keeps its place, as zeros, and its indicator.
        median = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        self._transformer = ColumnTransformer(
            [("numeric", median, list(columns.numeric)), ("categorical", one_hot, list(columns.categorical))],
            verbose_feature_names_out=False,
        )
        self._transformer.fit(self._cells(raw.frame.iloc[rows]))

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        """Features [n, d], float64, all finite, of rows that have these columns."""
        return np.asarray(self._transformer.transform(self._cells(frame)), np.float64)

    @property
    def names(self) -> Sequence[str]:
        """Of the d features; `<column>_<category>` if it is one-hot."""
        return [str(name) for name in self._transformer.get_feature_names_out()]

    def _cells(self, frame: pd.DataFrame) -> pd.DataFrame:
        numbers = {name: pd.to_numeric(frame[name]).astype(np.float64) for name in self.columns.numeric}
        texts = {name: _texts(frame[name]) for name in self.columns.categorical}
        return pd.DataFrame(numbers | texts, index=frame.index)


def _texts(column: pd.Series) -> pd.Series:
    """Categories as texts, NaN where one is missing."""
    texts = column.astype("string").str.strip().astype(object)
    return texts.where(texts.notna(), np.nan)
