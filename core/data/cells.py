"""The cells of tables: their distinct texts, and what points and commas mean in their numbers.

Shapes: n rows; k distinct texts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..files import UnusableError
from .notations import NOTHING, Numbers, clean, read_numbers

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"([+-]?(?:0|[1-9][0-9]*))\.0*")


class Cells:
    """A column of one table of n rows.

    Attributes:
        texts: the k distinct ones, made by `clean`.
        codes: index of the text in each row [n]; -1 if the cell is empty.
    """

    def __init__(self, column: pd.Series) -> None:
        codes, distinct = pd.factorize(column)
        places: dict[str, int] = {}
        texts = [clean(str(one)) for one in np.asarray(distinct)]  # .1 of float32 is .1
        local = [-1 if text in NOTHING else places.setdefault(text, len(places)) for text in texts]
        self.texts, self.codes = list(places), np.array([*local, -1])[codes]
        self._typed = pd.api.types.is_numeric_dtype(column)

    @cached_property
    def numbers(self) -> Numbers:
        return read_numbers(self.texts)

    @cached_property
    def decimal(self) -> str:
        """What begins the decimals: a point, a comma, '' if it does not matter, ? if nothing here says."""
        point, comma = ~np.isnan(self.numbers.point), ~np.isnan(self.numbers.comma)
        if self._typed or point.sum() != comma.sum():
            return "." if self._typed or point.sum() > comma.sum() else ","
        if (point != comma).any():
            return "."  # both stand here: one of them will be refused
        return "?" if (point & (self.numbers.point != self.numbers.comma)).any() else ""


class Sheet:
    """A table, and what messages call it; its index numbers the rows of the file from 0."""

    def __init__(self, where: str, frame: pd.DataFrame) -> None:
        self.where, self.frame = where, frame
        self.names = [str(name) for name in frame.columns]
        self._cells: dict[str, Cells] = {}

    def unusable(self, text: str) -> UnusableError:
        """An error that names the table."""
        return UnusableError(f"{self.where}: {text}" if self.where else text)

    def cells(self, name: str) -> Cells:
        if name not in self._cells:
            self._cells[name] = Cells(self.frame.iloc[:, self.names.index(name)])
        return self._cells[name]

    @cached_property
    def decimal(self) -> str:
        """What begins the decimals in all columns of numbers that say it; '' if they say different things."""
        said = set()
        for cells in map(self.cells, self.names):
            good = ~np.isnan(cells.numbers.point) | ~np.isnan(cells.numbers.comma)
            if cells.texts and good.mean() > 0.5:
                said.add(cells.decimal)
        said -= {"", "?"}
        return said.pop() if len(said) == 1 else ""


@dataclass(frozen=True)
class Reading:
    """How a column was read, in plain values: what its own cells may not say in another table.

    Attributes:
        decimal: what begins the decimals; empty if nothing said it.
        unit: that all numbers have.
        order: of the first numbers of dates, in `notations.ORDERS`; -1 if it did not matter.
        start: days since 1970 of the first date.
    """

    decimal: str = ""
    unit: str = ""
    order: int = -1
    start: float = 0.0


@dataclass(frozen=True)
class Column:
    """What a column became.

    Attributes:
        name: of the column.
        kind: number, date, category or not used.
        text: the same in words, and what the user should know of it.
        values: [n]; float64 for numbers and dates, otherwise texts; NaN for empty cells.
        limits: where a cell says only a limit (<1.8) [n], bool, if that is a feature of its own.
        rare: categories seen less often are one.
        reading: how its numbers or dates were read.
        said: what the user, or its file, says of it.
    """

    name: str
    kind: str
    text: str
    values: np.ndarray
    limits: np.ndarray | None = None
    rare: int = 1
    reading: Reading = Reading()
    said: frozenset[str] = frozenset()

    def contents(self, rows: np.ndarray) -> str:
        """What some rows hold, in words: the range of numbers, or how often each category is there."""
        values = pd.Series(self.values[rows])
        if self.kind == "category":
            counts = values.value_counts(dropna=False)
            return ", ".join(f"{level}: {count}" for level, count in counts.items())
        if self.kind == "not used" or values.isna().all():
            return ""
        shown = values + self.reading.start if self.kind == "date" else values
        ends = [shown.min(), shown.median(), shown.max()]
        if self.kind == "date":
            ends = [pd.Timestamp(0) + pd.Timedelta(days=end) for end in ends]
        low, middle, high = (f"{end:%Y-%m-%d}" if self.kind == "date" else f"{end:.6g}" for end in ends)
        empty = int(values.isna().sum())
        return f"{low} ... {high}, median {middle}" + f", {empty} empty" * bool(empty)


class Target(NamedTuple):
    """What is to be predicted.

    Attributes:
        y: [n], float64.
        note: what was recognised in it: `decimal commas`, say.
        apart: which lie far from all others [n], bool; none of those that the user keeps.
        why: the same in words, or nothing.
    """

    y: np.ndarray
    note: str
    apart: np.ndarray
    why: str


def same_names(tables: Sequence[Sequence[str]]) -> list[str]:
    """Categories of several tables, by one name each: 1 and 1.0 are the same.

    So are 01, 1 and 1E0, where no table has two of them, which would then be codes.
    """
    short = [[_short(text) for text in table] for table in tables]
    same = [[f"{float(text):.17g}" if _NUMBER.fullmatch(text) else text for text in table] for table in short]
    apart = any(len({*one}) < len({*other}) for one, other in zip(same, short, strict=True))
    return [text for table in (short if apart else same) for text in table]


def _short(text: str) -> str:
    if found := _WHOLE_NUMBER.fullmatch(text):
        return found[1]
    return text.lower() if text.lower() in ("true", "false") else text
