"""What columns became, and the features that they are.

Shapes: n rows, of all tables one behind the other; d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from ..files import one_line

#: Days after which the time of the year, and of the day, is the same.
CYCLES = {"year": 365.2425, "day": 1.0}


@dataclass(frozen=True)
class Rule:
    """What a column is, how its cells are read and become features: what another table is read by.

    Attributes:
        name: of the column.
        kind: number, date, category or not used.
        said: what the user, or its file, says of it.
        decimal: what begins the decimals; empty if nothing said it.
        unit: that all numbers have.
        order: of the first numbers of dates, in `notations.ORDERS`; -1 if it did not matter.
        start: days since 1970 of the first date.
        median: what an empty cell of numbers or dates becomes.
        gaps: whether a feature says which cells are empty.
        limits: whether a feature says which cells are limits (<1.8).
        cycles: names in `CYCLES`, of each a sine and a cosine of dates are features.
        levels: categories that are a feature each, ascending; None for empty cells.
        rare: whether all others share one.
    """

    name: str
    kind: str
    said: frozenset[str] = frozenset()
    decimal: str = ""
    unit: str = ""
    order: int = -1
    start: float = 0.0
    median: float = 0.0
    gaps: bool = False
    limits: bool = False
    cycles: tuple[str, ...] = ()
    levels: tuple[str | None, ...] = ()
    rare: bool = False


@dataclass(frozen=True)
class Column:
    """A column of the tables.

    Attributes:
        rule: what it is.
        text: the same in words, and what the user should know of it.
        values: [n]; float64 for numbers and dates, otherwise texts; NaN for empty cells.
        limits: where a cell says only a limit [n], bool.
    """

    rule: Rule
    text: str
    values: np.ndarray
    limits: np.ndarray

    @property
    def title(self) -> str:
        return one_line(self.rule.name) if self.rule.name else "(nameless)"

    def contents(self, rows: np.ndarray) -> str:
        """What some rows hold, in words: the range of numbers, or how often each category is there."""
        values = pd.Series(self.values[rows])
        if self.rule.kind == "category":
            counts = values.value_counts(dropna=False)
            return ", ".join(f"{level}: {count}" for level, count in counts.items())
        if self.rule.kind == "not used" or values.isna().all():
            return ""
        ends = [values.min(), values.max(), values.median()]
        if self.rule.kind == "date":
            first = pd.Timestamp(0)
            low, high, middle = (
                f"{first + pd.Timedelta(days=end + self.rule.start):%Y-%m-%d}" for end in ends
            )
        else:
            low, high, middle = (f"{end:.6g}" for end in ends)
        empty = int(values.isna().sum())
        return f"{low} ... {high}, median {middle}" + f", {empty} empty" * bool(empty)


def encode(columns: Sequence[Column]) -> tuple[list[str], np.ndarray]:
    """Names and values [n, d], finite float64, of the features of columns.

    Numbers come first, then what says which cells are empty, which are limits, cycles, and categories.
    """
    numbers = [(one.rule, one.values) for one in columns if one.rule.kind in ("number", "date")]
    found = [(rule.name, np.where(np.isnan(values), rule.median, values)) for rule, values in numbers]
    found += [(f"missingindicator_{rule.name}", np.isnan(values)) for rule, values in numbers if rule.gaps]
    found += [(f"{one.rule.name}_limit", one.limits) for one in columns if one.rule.limits]
    for (rule, values), cycle, wave in product(numbers, CYCLES, (np.sin, np.cos)):
        if cycle in rule.cycles:
            turns = (values + rule.start) / CYCLES[cycle]
            found.append((f"{rule.name}_{cycle}_{wave.__name__}", np.nan_to_num(wave(2 * np.pi * turns))))
    for one in columns:
        if one.rule.kind == "category":
            codes = _codes(one.rule.levels, one.values)
            levels = ["nan" if level is None else level for level in one.rule.levels]
            levels += ["rare"] * one.rule.rare
            found += [(f"{one.rule.name}_{level}", codes == i) for i, level in enumerate(levels)]
    return [name for name, _ in found], np.stack([part for _, part in found], axis=1).astype(np.float64)


def _codes(levels: Sequence[str | None], cells: np.ndarray) -> np.ndarray:
    """Which of the levels each cell [n] is; their number where it is none of them."""
    codes, distinct = pd.factorize(cells)
    empty = levels.index(None) if None in levels else len(levels)
    known = {name: i for i, name in enumerate(levels) if name is not None}
    return np.array([*(known.get(one, len(levels)) for one in distinct), empty])[codes]
