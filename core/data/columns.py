"""The columns of tables as features; what each is, is decided once over all tables together.

    columns = sort_columns([Sheet("done.csv", done), Sheet("pool.csv", pool)], "y", rows)
    print(*columns.lines, sep="\n")
    names, x = columns.features()

Numbers and dates are one feature each; what is missing gets the median, and the column an indicator.
Categories are one-hot, a missing one among them; those seen fewer than three times are one, 'rare'. Medians,
categories and counts are those of the rows that may be looked at; a new category is rare, or zero in all its
columns.

Shapes: n rows, of all tables one behind the other; d features.
"""

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..files import UnusableError, one_line
from .cells import Column, Sheet, Target
from .encoding import Rule, encode, learn
from .kinds import Decision

#: Options and the columns that they name: see `core.options.Options`.
Decisions = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Columns:
    """The columns of tables, but for the target, in their order.

    Attributes:
        columns: what became of each.
        rows: those that may be looked at.
    """

    columns: tuple[Column, ...]
    rows: np.ndarray

    @property
    def lines(self) -> list[str]:
        """What each column became; columns of the same kind share a line."""
        same: dict[str, list[str]] = {}
        for column in self.columns:
            same.setdefault(column.text, []).append(one_line(column.name) if column.name else "(nameless)")
        return [f"{one_line(', '.join(names), 100)}: {one_line(text)}" for text, names in same.items()]

    @property
    def details(self) -> list[str]:
        """The same, each column for itself, with what it holds."""
        said = [(f"{one_line(column.name)}: {one_line(column.text)}", column) for column in self.columns]
        return [
            one_line("; ".join(filter(None, (text, column.contents(self.rows)))), 300)
            for text, column in said
        ]

    def features(self) -> tuple[list[str], np.ndarray]:
        """Names (`<column>_<category>` if one-hot) and values [n, d], finite float64, of the features."""
        return encode(self.rules, self.columns)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """How each column becomes features, in plain values: what `apply` needs for another table."""
        return tuple(learn(column, self.rows) for column in self.columns)

    def keys(self) -> list[tuple[object, ...]]:
        """The contents of each row in all columns, used or not: equal rows have equal keys."""
        cells = [pd.Series(column.values, dtype=object) for column in self.columns]
        return list(zip(*(column.where(column.notna(), None) for column in cells), strict=True))


def apply(rules: Sequence[Rule], sheet: Sheet) -> np.ndarray:
    """The features [n, d] of another table by the rules of the columns of earlier ones.

    Raises:
        UnusableError: its columns differ, or a cell is not what its column held there.
    """
    check_same(
        [rule.name for rule in rules], sheet.names, f"{sheet.where}: it has", "the earlier tables have"
    )
    every = np.ones(len(sheet.frame), bool)
    columns = [
        Decision(rule.name, [sheet], every, rule.said, rule.reading).again(rule.kind, rule.levels)
        for rule in rules
    ]
    return encode(rules, columns)[1]


def check_same(wanted: Collection[str], found: Collection[str], here: str, there: str) -> None:
    """Raises an UnusableError where two tables have other columns; `here` and `there` begin the messages."""
    for these, those, where in ((wanted, found, here), (found, wanted, there)):
        if lacking := [name for name in these if name not in those]:
            raise UnusableError(f"{where} no column {one_line(', '.join(map(repr, lacking)))}")


def sort_columns(
    sheets: Sequence[Sheet],
    target: str,
    rows: np.ndarray,
    decisions: Decisions | None = None,
    declared: Collection[str] = (),
) -> Columns:
    """What each column is; the first table says which there are.

    Args:
        sheets: the tables; all have the first one's columns.
        target: left out; only the first table need have it.
        rows: the rows that may be looked at, counted over the tables one behind the other.
        decisions: of the user: `numeric` columns hold numbers or dates, and other cells are missing;
            `category` columns hold categories; `ignore` ones are not used; `keep` ones are, even if they
            look like row numbers or have another value in each row; `cyclic` ones hold dates, whose time of
            the year, and of the day, is a feature.
        declared: columns that their file calls categories.

    Raises:
        UnusableError: no feature is left, a column could be read in two ways, or a decision names no column.
    """
    names = sheets[0].names
    try:
        said = _by_column(names, target, decisions or {})
    except UnusableError as error:
        raise sheets[0].unusable(str(error)) from error
    for name in declared:
        said.setdefault(name, set()).add("declared")
    looked_at = np.zeros(sum(len(sheet.frame) for sheet in sheets), bool)
    looked_at[rows] = True
    used = [name for name in names if name != target]
    columns = Columns(
        tuple(Decision(name, sheets, looked_at, said.get(name, ())).column() for name in used), rows
    )
    if all(column.kind == "not used" for column in columns.columns):
        found = "; ".join(columns.lines) or f"there is no column but the target {target!r}"
        raise sheets[0].unusable(f"no feature is left: {found}")
    return columns


def _by_column(names: list[str], target: str, decisions: Decisions) -> dict[str, set[str]]:
    """What the user says of each column; raises an UnusableError for names of none, and contradictions."""
    said: dict[str, set[str]] = {}
    for option, columns in decisions.items():
        for name in columns:
            if name not in names:
                raise UnusableError(f"--{option} {shlex.quote(name)}: {_no_column(name, names)}")
            if name == target and option not in ("numeric", "keep"):
                raise UnusableError(f"--{option} {shlex.quote(name)}: that is the target")
            said.setdefault(name, set()).add(option)
    for name, options in said.items():
        if (len(options) > 1 and "ignore" in options) or {"category"} < options - {"keep"}:
            raise UnusableError(f"column {name!r}: --{' and --'.join(sorted(options))} contradict each other")
    return said


def _no_column(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {one_line(', '.join(names))}"
    return f"there is no column {name!r}; {hint}"


def read_target(sheet: Sheet, target: str, decisions: Decisions | None = None) -> Target:
    """The column of a table that is to be predicted.

    Raises:
        UnusableError: it is not there, missing in a row, no finite number, or the same in all rows.
    """
    if target not in sheet.names:
        raise sheet.unusable(_no_column(target, sheet.names))
    said = {option for option, columns in (decisions or {}).items() if target in columns}
    found = Decision(target, [sheet], np.ones(len(sheet.frame), bool), said).target()
    if (empty := np.isnan(found.y)).any():
        row = sheet.frame.index[int(np.argmax(empty))] + 1
        count = f"{empty.sum():,} of {len(empty):,} rows have" if empty.sum() > 1 else "a row has"
        raise sheet.unusable(f"{count} no target {target!r}, as data row {row}: fill it in, or leave it out")
    if np.ptp(found.y[~found.apart]) == 0:
        raise sheet.unusable(f"the target {target!r} is {found.y[0]:g} in all rows: nothing to learn")
    return found


# --- Published tables, whose columns are known -------------------------------------------------


def finite(cells: pd.Series) -> np.ndarray:
    """Cells as float64 [n]; an UnusableError where one is missing or no finite number."""
    values = _numbers(cells)
    _expect(values.abs() < np.inf, cells, "a number")
    return values.to_numpy()


def one_hot(cells: pd.Series, categories: Sequence[str] | Sequence[int]) -> np.ndarray:
    """Cells as float64 [n, number of categories]; an UnusableError where one is none of them."""
    by_name = isinstance(categories[0], str)
    values = cells.astype("string").str.strip().astype(object) if by_name else _numbers(cells)
    hot = np.stack([values == category for category in categories], axis=1).astype(np.float64)
    _expect(hot.sum(axis=1) == 1, cells, f"one of {one_line(', '.join(map(str, categories)))}")
    return hot


def _numbers(cells: pd.Series) -> pd.Series:
    """Cells as float64, NaN where one is missing or no number."""
    if pd.api.types.is_numeric_dtype(cells):
        return pd.Series(cells.to_numpy(np.float64, na_value=np.nan), cells.index)
    # Older pandas' to_numeric is an ulp off; Python's float, which rounds rightly, also takes 1_000.
    return cells.where(pd.to_numeric(cells, errors="coerce").notna()).astype(np.float64)


def _expect(good: pd.Series | np.ndarray, cells: pd.Series, wanted: str) -> None:
    """Raises an UnusableError that counts the cells which are not good, and names the first."""
    bad = cells[~good]
    if len(bad):
        count = f"{len(bad):,} bad cells" if len(bad) > 1 else "a bad cell"
        nothing = pd.isna(bad.iloc[0]) or bad.iloc[0] == ""
        found = "nothing" if nothing else one_line(repr(str(bad.iloc[0])), 60)
        where = f"in data row {bad.index[0] + 1}"
        raise UnusableError(f"{count} in column {cells.name!r}: expected {wanted}, found {found} {where}")
