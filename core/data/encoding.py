"""What columns became, and the features that they are.

Shapes: n rows, of all tables one behind the other; d features.
"""

from collections.abc import Iterator
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

    def features(self) -> Iterator[tuple[int, str, np.ndarray]]:
        """Place among those of all columns, name and values [n] of each: first numbers, then what says which
        cells are empty, which are limits, cycles, and categories.
        """
        rule, values = self.rule, self.values
        if rule.kind in ("number", "date"):
            yield 0, rule.name, np.where(np.isnan(values), rule.median, values)
        if rule.gaps:
            yield 1, f"missingindicator_{rule.name}", np.isnan(values)
        if rule.limits:
            yield 2, f"{rule.name}_limit", self.limits
        for cycle, wave in product(rule.cycles, (np.sin, np.cos)):
            turns = (values + rule.start) / CYCLES[cycle]
            yield 3, f"{rule.name}_{cycle}_{wave.__name__}", np.nan_to_num(wave(2 * np.pi * turns))
        others = np.ones(len(values), bool)
        for level in rule.levels:
            hot = pd.isna(values) if level is None else values == level
            others &= ~hot
            yield 4, f"{rule.name}_{'nan' if level is None else level}", hot
        if rule.rare:
            yield 4, f"{rule.name}_rare", others

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
