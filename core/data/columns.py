"""What a table's columns are, and features made of them by scikit-learn's ColumnTransformer.

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

from ..safe_io import UnusableError, one_line
from .frames import RawFrame

#: A column of texts of which at least this share are numbers has wrong cells, not categories.
_MOSTLY = 0.9
#: A column of texts with more different ones than this share of the rows names rows.
_NAMES = 0.5
#: Most categories of one column.
_CATEGORIES = 1000
#: Texts that are numbers where a column has no others.
_TRUTH = {
    text: value
    for word, value in (("true", 1.0), ("false", 0.0))
    for text in (word, word.title(), word.upper())
}


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
    """Which columns become which features, by the rows [n] that may be looked at.

    Raises:
        UnusableError: no feature is left, or a column has cells that are neither numbers nor categories.
    """
    kinds: dict[str, list[str]] = {"numeric": [], "categorical": [], "constant": [], "ids": []}
    for name in raw.names:
        if name != target:
            kinds[_kind(raw.frame[name], name in raw.nominal, rows)].append(name)
    columns = Columns(**{kind: tuple(names) for kind, names in kinds.items()})
    if not columns.numeric and not columns.categorical:
        found = columns.note or f"it has no column but the target {target!r}"
        raise UnusableError(f"no feature is left: {found}")
    return columns


def _kind(cells: pd.Series, declared: bool, rows: np.ndarray) -> str:
    """Which of the fields of `Columns` a column belongs to; `declared` ones are categories."""
    numeric = not declared and _is_numeric(cells)
    values = numbers(cells) if numeric else _texts(cells)
    if values.iloc[rows].nunique(dropna=False) <= 1:
        return "constant"
    if numeric:
        expect(~np.isinf(values), cells, "a finite number, or nothing")
        return "ids" if _counts_rows(values) else "numeric"
    count = values.nunique()
    if not declared and count > _NAMES * values.count():
        return "ids"
    if count > _CATEGORIES:
        raise UnusableError(f"column {cells.name!r} has {count:,} categories; leave it out, or group them")
    return "categorical"


def row_numbers(raw: RawFrame) -> set[str]:
    """The columns that hold consecutive integers, each of them once.

    Raises:
        UnusableError: a column has cells that are wrong.
    """
    numeric = (name for name in raw.names if name not in raw.nominal and _is_numeric(raw.frame[name]))
    return {name for name in numeric if _counts_rows(numbers(raw.frame[name]))}


def _counts_rows(values: pd.Series) -> bool:
    """Whether numbers are consecutive integers, each of them once."""
    if values.hasnans or not values.is_unique:
        return False
    return bool((values % 1 == 0).all() and values.max() - values.min() == len(values) - 1)


def _is_numeric(cells: pd.Series) -> bool:
    """Whether a column holds numbers.

    Raises:
        UnusableError: most of its cells do, the others do not.
    """
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
    values = numbers(cells).to_numpy()
    expect(np.isfinite(values), cells, "a number")
    return values


def _texts(cells: pd.Series) -> pd.Series:
    """Cells as texts, NaN where one is missing."""
    texts = cells.astype("string").str.strip().astype(object)
    return texts.where(texts.notna(), np.nan)


def one_hot(cells: pd.Series, categories: Sequence[str] | Sequence[int]) -> np.ndarray:
    """Cells as float64 [n, number of categories].

    Raises:
        UnusableError: a cell is empty or holds another value.
    """
    values = _texts(cells) if isinstance(categories[0], str) else numbers(cells)
    hot = np.stack([values == category for category in categories], axis=1).astype(np.float64)
    expect(hot.any(axis=1), cells, f"one of {one_line(', '.join(map(str, categories)))}")
    return hot


def expect(good: pd.Series | np.ndarray, cells: pd.Series, wanted: str) -> None:
    """Raises an UnusableError that counts the cells which are not good, and names the first."""
    bad = cells[~good]
    if len(bad):
        count = f"{len(bad):,} bad cells" if len(bad) > 1 else "a bad cell"
        found = "nothing" if pd.isna(bad.iloc[0]) else one_line(repr(str(bad.iloc[0])), 60)
        where = f"in data row {bad.index[0] + 1}"
        raise UnusableError(f"{count} in column {cells.name!r}: expected {wanted}, found {found} {where}")


def target_values(raw: RawFrame, target: str) -> np.ndarray:
    """The target [n], float64, finite and not constant.

    Raises:
        UnusableError: it is not.
    """
    if target not in raw.frame:
        near = difflib.get_close_matches(target, raw.names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {one_line(', '.join(raw.names))}"
        raise UnusableError(f"there is no column {target!r}; {hint}")
    values = finite(raw.frame[target])
    if np.ptp(values) == 0:
        raise UnusableError(f"the target {target!r} is {values[0]:g} in all rows: nothing to learn")
    return values


class Features:
    """Makes features of a table's columns, as learned from the rows [n] that may be looked at."""

    def __init__(self, raw: RawFrame, columns: Columns, rows: np.ndarray) -> None:
        self.columns = columns
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        # A column without any number in these rows keeps its place, as zeros, and its indicator.
        median = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        self._transformer = ColumnTransformer(
            [("numeric", median, list(columns.numeric)), ("categorical", one_hot, list(columns.categorical))],
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
        values = {name: numbers(frame[name]) for name in self.columns.numeric}
        texts = {name: _texts(frame[name]) for name in self.columns.categorical}
        return pd.DataFrame(values | texts, index=frame.index)
