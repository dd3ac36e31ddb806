"""What a column became, and the features that it is.

Shapes: n rows.
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

    @property
    def title(self) -> str:
        return one_line(self.name) if self.name else "(nameless)"

    def features(self, values: np.ndarray, limits: np.ndarray) -> Iterator[tuple[int, str, np.ndarray]]:
        """Place among those of all columns, name and values [n] of each: first numbers, then what says which
        cells are empty, which are limits, cycles, and categories.

        Args:
            values: the column's [n], NaN for empty cells.
            limits: where a cell says only a limit [n], bool.
        """
        if self.kind in ("number", "date"):
            yield 0, self.name, np.where(np.isnan(values), self.median, values)
        if self.gaps:
            yield 1, f"missingindicator_{self.name}", np.isnan(values)
        if self.limits:
            yield 2, f"{self.name}_limit", limits
        for cycle, wave in product(self.cycles, (np.sin, np.cos)):
            turns = (values + self.start) / CYCLES[cycle]
            yield 3, f"{self.name}_{cycle}_{wave.__name__}", np.nan_to_num(wave(2 * np.pi * turns))
        others = np.ones(len(values), bool)
        for level in self.levels:
            hot = pd.isna(values) if level is None else values == level
            others &= ~hot
            yield 4, f"{self.name}_{'nan' if level is None else level}", hot
        if self.rare:
            yield 4, f"{self.name}_rare", others

    def contents(self, values: np.ndarray) -> str:
        """What values [n] hold, in words: the range of numbers, or how often each category is there."""
        cells = pd.Series(values)
        if self.kind == "category":
            return ", ".join(f"{level}: {n}" for level, n in cells.value_counts(dropna=False).items())
        if self.kind == "not used" or cells.isna().all():
            return ""
        ends = [cells.min(), cells.max(), cells.median()]
        if self.kind == "date":
            days = (pd.Timestamp(0) + pd.Timedelta(days=end + self.start) for end in ends)
            low, high, middle = (f"{day:%Y-%m-%d}" for day in days)
        else:
            low, high, middle = (f"{end:.6g}" for end in ends)
        empty = int(cells.isna().sum())
        return f"{low} ... {high}, median {middle}" + f", {empty} empty" * bool(empty)
