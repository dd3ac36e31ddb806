"""The cells of one table or several: their distinct texts, and what points and commas mean in their numbers.

Shapes: n rows, of all tables one behind the other; k distinct texts; T tables.
"""

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from ..files import one_line
from .frames import RawFrame
from .notations import NOTHING, clean, read_numbers

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"([+-]?(?:0|[1-9][0-9]*))\.0*")


class Cells:
    """A column of all tables.

    Attributes:
        texts: the k distinct ones, made by `clean`.
        codes: index of the text in each row [n]; -1 if the cell is empty.
        table: number of each row's table [n].
        there: which texts each table has [T, k], bool.
        numbers: the texts as numbers.
        decimals: what begins the decimals in each table: a point, a comma, '' if it does not matter, ? if
            nothing here says.
    """

    def __init__(self, columns: Sequence[pd.Series]) -> None:
        places: dict[str, int] = {}
        parts = []
        for column in columns:
            codes, distinct = pd.factorize(column)
            texts = [clean(str(one)) for one in np.asarray(distinct)]  # .1 of float32 is .1
            local = [-1 if text in NOTHING else places.setdefault(text, len(places)) for text in texts]
            parts.append(np.array([*local, -1])[codes])
        self.texts, self.codes = list(places), np.concatenate(parts)
        self.table = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self.there = np.zeros((len(parts), len(places)), bool)
        for there, part in zip(self.there, parts, strict=True):
            there[part[part >= 0]] = True
        self.numbers = read_numbers(self.texts)
        point, comma = ~np.isnan(self.numbers.point), ~np.isnan(self.numbers.comma)
        self._good = point | comma
        self.decimals = [
            "." if pd.api.types.is_numeric_dtype(column) else self._decimal(point & there, comma & there)
            for column, there in zip(columns, self.there, strict=True)
        ]

    def _decimal(self, point: np.ndarray, comma: np.ndarray) -> str:
        """By which texts [k] of a table are numbers if a point, or a comma, begins the decimals."""
        if point.sum() != comma.sum():
            return "." if point.sum() > comma.sum() else ","
        if (point != comma).any():
            return "."  # both stand here: one of them will be refused
        return "?" if (point & (self.numbers.point != self.numbers.comma)).any() else ""

    def rows(self, values: np.ndarray, empty: Any = np.nan) -> np.ndarray:
        """Values of the texts [k] in the rows [n] that have them."""
        return np.append(values, np.array(empty, values.dtype))[self.codes]

    def matching(self, matches: Callable[[str], object]) -> np.ndarray:
        """The rows [n], bool, whose text matches."""
        return self.rows(np.array([bool(matches(text)) for text in self.texts], bool), False)

    def written(self, rows: np.ndarray) -> list[str]:
        """The distinct texts in some rows [n], bool."""
        return [self.texts[code] for code in np.unique(self.codes[rows]) if code >= 0]

    def mostly_numbers(self, table: int) -> bool:
        there = self.there[table]
        return bool(there.any() and self._good[there].mean() > 0.5)

    def names(self, known: Sequence[str] = ()) -> np.ndarray:
        """The texts in the rows [n], each category by one name; NaN for empty cells.

        1 and 1.0 are the same. So are 01, 1 and 1E0, where no table has two of them, which would then be
        codes. `known` are the categories of earlier tables, whose names are taken.
        """
        texts = [*self.texts, *known]
        short = [_short(text) for text in texts]
        same = [f"{float(text):.17g}" if _NUMBER.fullmatch(text) else text for text in short]
        of_known = np.arange(len(texts)) >= len(self.texts)
        tables = [*np.pad(self.there, ((0, 0), (0, len(known)))), of_known]
        if any(_distinct(same, table) < _distinct(short, table) for table in tables):
            same = short
        if len(self.there) == 1 and not known:
            same = texts
        there = dict(zip(same[len(self.texts) :], known, strict=True)) | dict(zip(known, known, strict=True))
        pairs = zip(self.texts, same, strict=False)
        return self.rows(np.array([there.get(text, there.get(name, name)) for text, name in pairs], object))


def _short(text: str) -> str:
    if found := _WHOLE_NUMBER.fullmatch(text):
        return found[1]
    return text.lower() if text.lower() in ("true", "false") else text


def _distinct(names: Sequence[str], table: np.ndarray) -> int:
    return len({name for name, there in zip(names, table, strict=True) if there})


class Tables:
    """One table or several of the same columns; `looked_at` are the rows that may be looked at."""

    def __init__(self, raws: Sequence[RawFrame], looked_at: np.ndarray) -> None:
        self.raws, self.names, self.looked_at = raws, raws[0].names, looked_at
        self._cells: dict[str, Cells] = {}

    def cells(self, name: str) -> Cells:
        if name not in self._cells:
            columns = [raw.frame.iloc[:, raw.names.index(name)] for raw in self.raws if name in raw.names]
            self._cells[name] = Cells(columns)
        return self._cells[name]

    @cached_property
    def decimals(self) -> list[str]:
        """What begins the decimals in all columns of numbers of each table; '' if they differ in this."""
        return [self._decimal(i, raw.names) for i, raw in enumerate(self.raws)]

    def _decimal(self, table: int, names: Sequence[str]) -> str:
        every = [cells for cells in map(self.cells, names) if cells.mostly_numbers(table)]
        said = {cells.decimals[table] for cells in every} - {"", "?"}
        return said.pop() if len(said) == 1 else ""

    def place(self, name: str, row: int) -> tuple[RawFrame, int, str]:
        """The table of one of the n rows, the row's number there, from 1, and its cell in a column."""
        for raw in self.raws:
            if row < len(raw.frame):
                break
            row -= len(raw.frame)
        cell = raw.frame.iloc[row, raw.names.index(name)]
        return raw, raw.frame.index[row] + 1, one_line(str(cell), 60)

    def refuse(self, name: str, rows: np.ndarray, what: str, hint: str = "") -> NoReturn:
        """Raises an UnusableError that names the first of some rows [n], bool, its table and its cell."""
        count, (raw, number, cell) = int(rows.sum()), self.place(name, int(np.argmax(rows)))
        more = f", the first of {count:,} such cells" if count > 1 else ""
        said = f"column {name!r}: {what}; found {cell!r} in data row {number}{more}"
        raise raw.unusable(one_line(". ".join(filter(None, (said, hint))), 600))

    def apart(self, name: str, values: np.ndarray, apart: np.ndarray) -> str:
        """In words that some values of a column [n], those of `apart` [n], bool, lie far from all others."""
        others = np.where(apart, np.nan, values)
        ends = int(np.nanargmin(others)), int(np.nanargmax(others)), int(np.argmax(apart))
        (_, _, low), (_, _, high), (raw, number, cell) = (self.place(name, end) for end in ends)
        place = f"{cell} in data row {number}" + f" of {raw.where}" * (len(self.raws) > 1)
        count = int(apart.sum())
        said = f"{count} cells, the first {place}, are" if count > 1 else f"{place} is"
        return f"{said} far from all others ({low} ... {high})"
